"""An experiment, worked out: every host, every address, every dial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from netlab.checks import Check
from netlab.errors import NetlabError
from netlab.experiments.templates import HFTP, fill
from netlab.model import BY_TCP, Bind, Protocol, Target, Topology, Transport, endpoint
from netlab.yamlfile import did_you_mean

# The vantage that stands for the server's own host.
SERVER = "server"


@dataclass(frozen=True, slots=True)
class Service:
    """The server under test.

    Attributes:
        port: the port.
        check: how an answer is recognised.
        command: the argument vector, with `{hftp}`, `{python}`, `{address}`, `{endpoint}`, `{port}`, `{data}`
            to be filled in; empty where the service runs already.
        v6only: arguments added for a bind that is IPv6 only.
        device: arguments added for a bind to a device, with `{device}` to be filled in.
        files: what is put into `{data}`, by name, with the same and `{nonce}` to be filled in.
        transport: how it is talked to.
    """

    port: int
    check: Check
    command: tuple[str, ...] = ()
    v6only: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    transport: Transport = BY_TCP

    def argv(self, bind: Bind, python: str, hftp: tuple[str, ...]) -> list[str]:
        """Return the command for a bind; `{data}` stays, for the agent to fill in on the host.

        Args:
            bind: where to listen.
            python: the host's interpreter.
            hftp: what runs the HFTP program there; takes the place of an argument that is just `{hftp}`.
        """
        known = {**self._known(bind), "python": python}
        template = [
            *self.command,
            *(self.v6only if bind.v6only else ()),
            *(self.device if bind.device else ()),
        ]
        words = [word for argument in template for word in (hftp if argument == HFTP else (argument,))]
        return [fill(word, known) for word in words]

    def contents(self, bind: Bind, python: str, nonce: str) -> dict[str, str]:
        """Return the files for a bind; `{data}` stays, as in `argv`.

        Args:
            bind: where to listen.
            python: the host's interpreter.
            nonce: the run's, for a service that says what stands in its configuration; `{nonce}` there.
        """
        known = {**self._known(bind), "python": python, "nonce": nonce}
        return {name: fill(text, known) for name, text in self.files.items()}

    def _known(self, bind: Bind) -> dict[str, str]:
        address = bind.address if bind.told is None else bind.told
        return {
            "address": address,
            "endpoint": endpoint(address, self.port),
            "port": str(self.port),
            "device": bind.device or "",
        }


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """A Compose file that a backend is asked to bring up.

    Attributes:
        path: the file's.
        servers: the services in it that are under test.
    """

    path: Path
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageServer:
    """What runs on a server that is a container.

    Attributes:
        image: its name.
        argv: the command; the image's own if it is empty. `{data}` in it is where the files are.
        files: content by name.
    """

    image: str
    argv: tuple[str, ...]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of the matrix, by the names of its rows and columns; all of them where none are named."""

    binds: tuple[str, ...] = ()
    vantages: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def has_bind(self, name: str) -> bool:
        """Whether the row is wanted."""
        return not self.binds or name in self.binds

    def has_vantage(self, name: str) -> bool:
        """Whether the group of columns is wanted."""
        return not self.vantages or name in self.vantages

    def has_target(self, name: str) -> bool:
        """Whether the column is wanted."""
        return not self.targets or name in self.targets

    @staticmethod
    def check(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
        """Refuse names that nothing has.

        Raises:
            NetlabError: the message lists those that there are.
        """
        there = list(known)
        for name in names:
            if name not in there:
                hint = did_you_mean(name, there)
                raise NetlabError(f"no {kind} is called {name!r}{hint}: there is {', '.join(there)}")


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Vantage:
    """A column group: who dials, and for each bind, what.

    Attributes:
        name: a host's name, or `server` for the server's own host.
        targets: by the name of the bind, in the order of the columns.
    """

    name: str
    targets: dict[str, tuple[Target, ...]]

    def host(self, bind: Bind) -> str:
        """Return the host that dials."""
        return bind.host if self.name == SERVER else self.name

    def only(self, selection: Selection) -> Vantage:
        """Return the vantage with some of its columns."""
        targets = {
            bind: tuple(target for target in targets if selection.has_target(target.name))
            for bind, targets in self.targets.items()
        }
        return replace(self, targets=targets)


@dataclass(frozen=True, slots=True)
class Headline:
    """The part of the matrix that answers the question on one slide.

    Attributes:
        binds: the names of the rows.
        columns: title, vantage and target of each column.
    """

    binds: tuple[str, ...]
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Dial:
    """A question to the lab: what comes of it when `host` dials `target` while the service has `bind`?"""

    bind: Bind
    vantage: str
    host: str
    target: Target


@dataclass(frozen=True, slots=True)
class Experiment:
    """All that is needed to run it.

    Attributes:
        service: what is under test.
        patience_s: how long a dial waits for an answer, in seconds.
        own: the services of the binds that have one of their own, by the bind's name.
    """

    name: str
    title: str
    topology: Topology
    service: Service
    binds: tuple[Bind, ...]
    vantages: tuple[Vantage, ...]
    headline: Headline
    patience_s: float = 5.0
    own: Mapping[str, Service] = field(default_factory=dict)

    def service_of(self, bind: Bind) -> Service:
        """Return what is under test with a bind."""
        return self.own.get(bind.name, self.service)

    @property
    def protocols(self) -> frozenset[Protocol]:
        """The protocols of all services under test."""
        return frozenset(self.service_of(bind).transport.protocol for bind in self.binds)

    def dials(self) -> Iterator[Dial]:
        """Yield every cell's question, row by row."""
        for bind in self.binds:
            for vantage in self.vantages:
                for target in vantage.targets[bind.name]:
                    yield Dial(bind, vantage.name, vantage.host(bind), target)

    def rounds(self) -> Iterator[tuple[Bind, ...]]:
        """Yield the binds that are tried at the same time: a host runs one service after the other."""
        left = list(self.binds)
        while left:
            now = {bind.host: bind for bind in reversed(left)}
            yield tuple(bind for bind in left if now[bind.host] is bind)
            left = [bind for bind in left if now[bind.host] is not bind]

    def only(self, selection: Selection) -> Experiment:
        """Return the experiment with a part of its matrix.

        The lab stays whole: hosts that no dial of the rest concerns are part of it.
        """
        return replace(
            self,
            binds=tuple(bind for bind in self.binds if selection.has_bind(bind.name)),
            vantages=tuple(v.only(selection) for v in self.vantages if selection.has_vantage(v.name)),
        )
