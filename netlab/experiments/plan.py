"""An experiment, worked out: every host, every address, every dial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from netlab.errors import NetlabError
from netlab.model import Bind, Target, Topology

_Named = TypeVar("_Named", Bind, Target, "Vantage")

# The vantage that stands for the server's own host.
SERVER = "server"


@dataclass(frozen=True, slots=True)
class Service:
    """The server under test.

    Attributes:
        command: the argument vector, with `{python}`, `{address}`, `{port}`, `{data}` to be filled in.
        v6only: arguments added for a bind that is IPv6 only.
        device: arguments added for a bind to a device, with `{device}` to be filled in.
        port: the TCP port.
        check: how an answer is recognised.
    """

    command: tuple[str, ...]
    v6only: tuple[str, ...]
    device: tuple[str, ...]
    port: int
    check: Literal["hftp", "tcp"]

    def argv(self, bind: Bind, python: str) -> list[str]:
        """Return the command for a bind; `{data}` stays, for the agent to fill in on the host."""
        known = {
            "python": python,
            "address": bind.address,
            "port": str(self.port),
            "device": bind.device or "",
        }
        template = [
            *self.command,
            *(self.v6only if bind.v6only else ()),
            *(self.device if bind.device else ()),
        ]
        return [_fill(argument, known) for argument in template]


def _fill(argument: str, known: dict[str, str]) -> str:
    for key, value in known.items():
        argument = argument.replace(f"{{{key}}}", value)
    return argument


@dataclass(frozen=True, slots=True)
class Vantage:
    """A column group: who dials, and for each bind's host, what.

    Attributes:
        name: a host's name, or `server` for the server's own host.
        targets: by the name of the bind's host, in the order of the columns.
    """

    name: str
    targets: dict[str, tuple[Target, ...]]

    def host(self, bind: Bind) -> str:
        """Return the host that dials."""
        return bind.host if self.name == SERVER else self.name

    def only(self, names: tuple[str, ...]) -> Vantage:
        """Return the vantage with some of its columns.

        Raises:
            NetlabError: it does not dial such a target.
        """
        kind = f"target of {self.name}"
        return replace(self, targets={host: _chosen(kind, ts, names) for host, ts in self.targets.items()})


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
    """All that is needed to run it."""

    name: str
    title: str
    topology: Topology
    service: Service
    binds: tuple[Bind, ...]
    vantages: tuple[Vantage, ...]
    headline: Headline

    def dials(self) -> Iterator[Dial]:
        """Yield every cell's question, row by row."""
        for bind in self.binds:
            for vantage in self.vantages:
                for target in vantage.targets[bind.host]:
                    yield Dial(bind, vantage.name, vantage.host(bind), target)

    def only(
        self, binds: Iterable[str] = (), vantages: Iterable[str] = (), targets: Iterable[str] = ()
    ) -> Experiment:
        """Return the experiment with some of its rows and columns; all of them where none are named.

        The lab stays whole: hosts that no dial of the rest concerns are part of it.

        Raises:
            NetlabError: a name that the experiment does not have; the message lists those that it has.
        """
        chosen = _chosen("vantage", self.vantages, tuple(vantages))
        if wanted := tuple(targets):
            chosen = tuple(vantage.only(wanted) for vantage in chosen)
        return replace(self, binds=_chosen("bind", self.binds, tuple(binds)), vantages=chosen)


def _chosen(kind: str, there: tuple[_Named, ...], names: tuple[str, ...]) -> tuple[_Named, ...]:
    known = [item.name for item in there]
    for name in names:
        if name not in known:
            raise NetlabError(f"no {kind} is called {name!r}: there is {', '.join(known)}")
    return tuple(item for item in there if not names or item.name in names)
