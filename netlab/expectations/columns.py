"""Who dials what, where a file leaves it open: everybody, every name and address of the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from netlab.experiments.plan import SERVER, Service, Vantage
from netlab.facts import Engine
from netlab.model import Bind, Host, Target, Topology

# What is dialled on the server's own host before its addresses.
_OWN = ("localhost", "127.0.0.1", "::1")


def usual_vantages(
    topology: Topology,
    dialling: Iterable[str],
    services: Mapping[Bind, Service],
    engine: Engine | None = None,
    *,
    by_name: bool = True,
) -> tuple[Vantage, ...]:
    """Return the server's own host and other ones, each with all that it can dial.

    Args:
        topology: the lab's.
        dialling: the names of the others.
        services: those under test, by the bind that they have.
        engine: what a container engine adds to the lab: its machine dials the published ports, too.
        by_name: whether the hosts know each other by name; an inventory's names are for its reader only.
    """
    hosts = {bind: topology.host(bind.host) for bind in services}
    vantages = [Vantage(SERVER, {bind.name: tuple(_from_itself(host)) for bind, host in hosts.items()})]
    for vantage in dialling:
        targets = {}
        for bind, host in hosts.items():
            # The engine's resolver knows its containers; its machine does not ask it.
            knows = by_name and (engine is None or engine.host not in (vantage, host.name))
            named = (Target("name", host.name),) if knows else ()
            outside = (*named, *_addresses(host), *_published(host, services[bind], vantage, engine))
            targets[bind.name] = outside if vantage != host.name else ()
        if any(targets.values()):
            vantages.append(Vantage(vantage, targets))
    return tuple(vantages)


def _from_itself(server: Host) -> Iterator[Target]:
    yield from (Target(address, address) for address in _OWN)
    yield Target("hostname", server.name)
    yield from _addresses(server)


def _published(server: Host, service: Service, vantage: str, engine: Engine | None) -> Iterator[Target]:
    if engine is not None and vantage == engine.host:
        for publication in engine.publications:
            if publication.leads_to(server.name, service.port, service.transport.protocol):
                wildcard = publication.address.is_unspecified
                loopback = ip_address("127.0.0.1" if publication.address.version == 4 else "::1")
                address = loopback if wildcard else publication.address
                yield Target(f"published-{address}:{publication.port}", str(address), publication.port)


def _addresses(server: Host) -> Iterator[Target]:
    """Yield a target for each address, called by its network; a second one of a network, by itself, too."""
    seen = set()
    for link in server.links:
        for own in link.addresses:
            name = f"{link.network}-ipv{own.version}"
            yield Target(name if name not in seen else f"{name}-{own.ip}", str(own.ip))
            seen.add(name)
