"""A lab that is up, for tests: its hosts, programs run on them, servers, and who reaches these."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netlab.agents import Agents, agents_of
from netlab.errors import NetlabError
from netlab.experiments.plan import Dial, Service
from netlab.experiments.said import read_check, read_transport
from netlab.measure import Question, measure, read_all_facts
from netlab.model import Bind, Target, endpoint
from netlab.predict import View
from netlab.pytest_plugin import programs
from netlab.pytest_plugin.labs import SERVER, make_lab
from netlab.pytest_plugin.reach import Reach
from netlab.pytest_plugin.servers import HFTP, HFTP_PORT, Server, serve
from netlab.run import SERVICE_TIMEOUT_S
from netlab.why import address_to_dial

if TYPE_CHECKING:
    from netlab.backends import Lab
    from netlab.facts import Facts
    from netlab.model import Topology, Transport
    from netlab.pytest_plugin.programs import Completed
    from netlab.pytest_plugin.wanted import Wanted

# How long a dial waits for an answer: longer than the kernel needs to find that no neighbour answers: arp(7).
PATIENCE_S = 5.0

_SAID_BY = "netlab_server"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class RunningHost:
    """A host of a lab that is up."""

    name: str
    lab: RunningLab = field(repr=False)

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 10.0) -> Completed:
        """Run a program on the host, and wait for its end.

        Args:
            argv: the program and its arguments; no shell comes between. In a container's network it is a
                program of netlab's own image, not of the container's.
            stdin: what it reads.
            timeout_s: how long it may take, in seconds.

        Raises:
            ProgramTimeoutError: it took longer, and was ended.
            LabError: it can't be started.
        """
        return programs.run(self.lab.lab, self.name, argv, stdin.encode(), timeout_s)

    def can_reach(
        self,
        server: Server,
        target: str | None = None,
        *,
        port: int | None = None,
        timeout_s: float = PATIENCE_S,
    ) -> Reach:
        """Dial a server, and say whether it answers, and why.

        Args:
            server: the one that should answer.
            target: the name or the address that is dialled, in which `{lan.ipv4}` stands for the server's
                address on `lan`, and `{hostname}` for its name. By default an address of the server's host.
            port: the port that is dialled, if it is not the server's own.
            timeout_s: how long a dial waits for an answer, in seconds.

        Returns:
            True if the server answered: see `Reach`.

        Raises:
            NotMeasuredError: the dial could not be made.
            LabError: the hosts' facts can't be read.
        """
        return self.lab.dial(self.name, server, target, port, timeout_s)


class RunningLab:
    """A lab that is up, for tests.

    Args:
        lab: as its backend knows it.
        agents: on its hosts.
        wanted: what was asked for.
    """

    def __init__(self, lab: Lab, agents: Agents, wanted: Wanted) -> None:
        self.lab, self._agents, self._wanted = lab, agents, wanted

    def __repr__(self) -> str:
        return f"<lab {self._wanted}>"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of its hosts."""
        return self.lab.hosts

    @property
    def topology(self) -> Topology:
        """Its hosts and networks."""
        return self.lab.topology

    def host(self, name: str) -> RunningHost:
        """Return a host.

        Raises:
            NetlabError: no host has that name; the message lists those that there are.
        """
        if name not in self.hosts:
            raise NetlabError(f"no host is called {name!r}: there is {', '.join(self.hosts)}")
        return RunningHost(name, self)

    def server(
        self,
        command: Sequence[str],
        bind: str = "0.0.0.0",
        *,
        port: int = 8080,
        check: str | Mapping[str, Any] = "tcp",
        protocol: str = "tcp",
        answers_from: str | None = None,
        host: str = SERVER,
        files: Mapping[str, str] | None = None,
        timeout_s: float = SERVICE_TIMEOUT_S,
    ) -> AbstractContextManager[Server]:
        """Run a server for as long as a `with` block runs; in it, the server listens.

        Args:
            command: the program and its arguments, in which `{address}`, `{port}`, `{endpoint}`, `{python}`,
                `{hftp}` and `{data}` are filled in as in `netlab.yaml`.
            bind: the name or the address that it is to listen on, with `{lan.ipv4}` and `{hostname}` as in
                `can_reach`.
            port: the port.
            check: how its answer is recognised, as in `netlab.yaml`: `tcp`, `{"http": {"status": 200}}`.
            protocol: what carries its messages: `tcp` or `udp`.
            answers_from: of a UDP server on a wildcard, which source address it gives to its answers, as in
                `netlab.yaml`: `routed`, if nothing is said, or `dialled`.
            host: where it runs.
            files: what is put into `{data}`: content by name.
            timeout_s: how long it may take until it listens, in seconds.

        Raises:
            NetlabError: there is no such host, address or check, or it can't be made over that protocol.
            LabError: it does not come to listen; the message says why.
        """
        there = self.host(host).name
        address = self._filled(bind, there)
        told = Bind(f"{there}, {endpoint(address, port)}", there, address)
        transport = read_transport(_SAID_BY, protocol, answers_from)
        read = read_check(_SAID_BY, check, self._wanted.source.parent, transport.protocol)
        service = Service(port, read, tuple(command), files=dict(files or {}), transport=transport)
        names = {there: {address}}
        return serve(self.lab, told, service, timeout_s, lambda: self._facts(names, transport)[there])

    def hftp_server(
        self, bind: str = "0.0.0.0", *, port: int = HFTP_PORT, host: str = SERVER
    ) -> AbstractContextManager[Server]:
        """Run an HFTP server for as long as a `with` block runs: see `server`."""
        return self.server(HFTP, bind, port=port, check="hftp", host=host)

    def dial(
        self, vantage: str, server: Server, target: str | None, port: int | None, timeout_s: float
    ) -> Reach:
        """Dial a server from a host: see `RunningHost.can_reach`."""
        if target is None:
            address = address_to_dial(self.lab, vantage, server.host)
        else:
            address = self._filled(target, server.host)
        names: dict[str, set[str]] = {host: set() for host in self.hosts}
        names[vantage].add(address)
        names[server.host].add(server.bind.address)
        facts = self._facts(names, server.transport)
        dial = Dial(server.bind, vantage, vantage, Target(target or server.host, address, port))
        view = View(facts, self.lab.topology, self.lab.engine, self.lab.complete)
        question = Question(dial, server.port, server.check, server.transport)
        (cell,) = measure(self._agents, view, [question], timeout_s, _nobody)
        return Reach(cell)

    def _facts(self, names: Mapping[str, set[str]], transport: Transport) -> dict[str, Facts]:
        return read_all_facts(self._agents, names, _nobody, (transport.protocol,))

    def _filled(self, template: str, host: str) -> str:
        """Return a name or an address with those of a host filled in.

        Raises:
            NetlabError: nothing is called so; the message lists what is.
        """
        links = self.topology.host(host).links
        known = {"hostname": host}
        known |= {f"{link.network}.ipv{own.version}": str(own.ip) for link in links for own in link.addresses}

        def value(found: re.Match[str]) -> str:
            if found[1] not in known:
                there = ", ".join(f"{{{key}}}" for key in known)
                raise NetlabError(f"{template}: {host} has no {found[0]}: there is {there}")
            return known[found[1]]

        return _PLACEHOLDER.sub(value, template)


@contextmanager
def start_lab(wanted: Wanted) -> Iterator[RunningLab]:
    """Bring up a lab for as long as the block runs.

    Raises:
        BackendUnavailableError: this machine can't bring up such a lab.
        NetlabError: there is no such lab, or its file is wrong.
    """
    with make_lab(wanted) as lab, agents_of(lab) as agents:
        yield RunningLab(lab, agents, wanted)


def _nobody(phase: str, done: int, total: int) -> None:
    """Nobody watches the progress."""
