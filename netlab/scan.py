"""A scan of a lab that runs already: every listening TCP socket, predicted and dialled from everywhere.

UDP sockets are named only: a datagram that nobody answers says nothing, and no question is one that all
answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from itertools import islice

from netlab.agents import agents_of
from netlab.backends import Lab
from netlab.checks import Tcp
from netlab.experiments.plan import Dial
from netlab.facts import Engine, Facts, Listener, Publication
from netlab.measure import Progress, Question, measure, read_all_facts
from netlab.model import Bind, Cell, IPAddress, Protocol, Target, Topology
from netlab.predict import View
from netlab.predict.publishing import ENGINE_RESOLVER

# Long enough for an answer from the same machine; what drops a packet drops the next one, too.
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """A TCP port that is listened on.

    Attributes:
        host: on which host.
        port: the port.
        listeners: the sockets; several where a program listens on several addresses.
    """

    host: str
    port: int
    listeners: tuple[Listener, ...]

    @property
    def name(self) -> str:
        """What it is called in reports: `web:80`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Scan:
    """What came of a scan.

    Attributes:
        topology: the hosts and networks.
        engine: what a container engine adds, where there is one.
        facts: by host.
        services: every one that was found.
        cells: each service from each other host, by every name and address that lead to it.
        not_asked: the UDP sockets, by host; hosts without one are left out.
    """

    topology: Topology
    engine: Engine | None
    facts: Mapping[str, Facts]
    services: tuple[Service, ...]
    cells: tuple[Cell, ...]
    not_asked: Mapping[str, tuple[Listener, ...]] = field(default_factory=dict)

    @property
    def vantages(self) -> tuple[str, ...]:
        """Who dialled."""
        return tuple(host.name for host in self.topology.hosts)

    def between(self, service: Service, vantage: str) -> tuple[Cell, ...]:
        """Return the dials of one host to one service."""
        return self._by_pair.get((service.name, vantage), ())

    @cached_property
    def _by_pair(self) -> Mapping[tuple[str, str], tuple[Cell, ...]]:
        cells: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            cells.setdefault((cell.bind.name, cell.vantage), []).append(cell)
        return {pair: tuple(its) for pair, its in cells.items()}

    def publications_of(self, service: Service) -> tuple[Publication, ...]:
        """Return the published ports that lead to a service."""
        published = self.engine.publications if self.engine is not None else ()
        return tuple(p for p in published if p.leads_to(service.host, service.port))


def scan(lab: Lab, progress: Progress, port: int | None = None) -> Scan:
    """Find every listening socket of a lab, and dial those of TCP from every other host.

    Args:
        lab: attached to when it is entered; nothing in it is changed.
        progress: told of each phase.
        port: only what listens on this port.

    Raises:
        LabError: a host's facts can't be read.
    """
    with lab, agents_of(lab) as agents:
        dialled = set(lab.hosts) if lab.engine is not None else set()
        names = {host: dialled - {host} for host in lab.hosts}
        facts = read_all_facts(agents, names, progress, tuple(Protocol))
        services = tuple(service for service in _services(lab, facts) if port in (None, service.port))
        questions = [q for service in services for q in _questions(lab, facts, service)]
        view = View(facts, lab.topology, lab.engine, lab.complete)
        cells = measure(agents, view, questions, PATIENCE_S, progress)
    return Scan(lab.topology, lab.engine, facts, services, cells, dict(_not_asked(lab, facts, port)))


def _services(lab: Lab, facts: Mapping[str, Facts]) -> Iterator[Service]:
    """Yield what is listened on, but by those who only dial."""
    for host in lab.hosts:
        if host in lab.observers:
            continue
        by_port: dict[int, list[Listener]] = {}
        for listener in _listeners(lab.engine, host, facts[host]):
            by_port.setdefault(listener.port, []).append(listener)
        for port, listeners in sorted(by_port.items()):
            yield Service(host, port, tuple(listeners))


def _not_asked(
    lab: Lab, facts: Mapping[str, Facts], port: int | None
) -> Iterator[tuple[str, tuple[Listener, ...]]]:
    """Yield the UDP sockets of each host that has some, but for an engine's machine: nobody knows whose."""
    for host in lab.hosts:
        if host in lab.observers or (lab.engine is not None and host == lab.engine.host):
            continue
        sockets = tuple(
            socket
            for socket in sorted(facts[host].datagram_sockets, key=lambda socket: socket.port)
            if socket.address != ENGINE_RESOLVER and port in (None, socket.port)
        )
        if sockets:
            yield host, sockets


def _listeners(engine: Engine | None, host: str, facts: Facts) -> Iterator[Listener]:
    """Yield the sockets of a host that belong to what is scanned.

    Where a container shares the network of the engine's own machine, nobody can say which sockets there are
    the container's; those of published ports are not.
    """
    if engine is None or host != engine.host:
        yield from (listener for listener in facts.listeners if listener.address != ENGINE_RESOLVER)
    else:
        published = {(p.address, p.port) for p in engine.publications if p.protocol is Protocol.TCP}
        published.update(engine.published_elsewhere)
        yield from (own for own in facts.listeners if (own.address, own.port) not in published)


def _questions(lab: Lab, facts: Mapping[str, Facts], service: Service) -> Iterator[Question]:
    bind = Bind(service.name, service.host, str(service.listeners[0].address))
    for vantage in lab.hosts:
        if vantage == service.host:
            continue
        for target in _targets(lab, facts, service, vantage):
            yield Question(Dial(bind, vantage, vantage, target), service.port, Tcp())


def _targets(lab: Lab, facts: Mapping[str, Facts], service: Service, vantage: str) -> Iterable[Target]:
    engine = lab.engine
    # The engine's resolver knows its containers; what other hosts call each other is not known here.
    if engine is not None and engine.host not in (vantage, service.host):
        yield Target(service.host, service.host)
    for link in lab.topology.host(service.host).links:
        for own in link.addresses:
            yield Target(f"{link.network}, {own.ip}", str(own.ip))
    if engine is not None and vantage == engine.host:
        for publication in engine.publications:
            if publication.leads_to(service.host, service.port):
                for address in dialled(publication, facts[engine.host]):
                    yield Target(f"published, {address}", str(address), publication.port)


def dialled(publication: Publication, facts: Facts) -> Sequence[IPAddress]:
    """Return the addresses at which a published port is dialled: loopback, and one that others would dial."""
    if not publication.address.is_unspecified:
        return [publication.address]
    version = publication.address.version
    others = (
        own.ip
        for interface in facts.interfaces
        if not interface.loopback
        for own in interface.addresses
        if own.version == version and not own.ip.is_link_local
    )
    return [ip_address("127.0.0.1" if version == 4 else "::1"), *islice(others, 1)]
