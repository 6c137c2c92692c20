"""Which machines share a network, worked out from their addresses: nobody tells it of real machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set

from netlab.facts import Facts, Interface
from netlab.model import Host, IPAddress, IPInterface, IPNetwork, Link, Network, Topology


def infer_topology(facts: Mapping[str, Facts]) -> Topology:
    """Return the hosts, each with its links, and the networks that join them.

    Interfaces with a prefix in common are on one network; an IPv4 and an IPv6 prefix of one interface are of
    one network, too. An address that several hosts have (a container engine's bridge, for one) joins nothing:
    such an interface is on a network of its own.

    Args:
        facts: by host.
    """
    addresses = Counter(own.ip for host in facts.values() for i in host.interfaces for own in _useful(i))
    private = {ip for ip, hosts in addresses.items() if hosts > 1}
    names = _Names()
    for host, its in facts.items():
        for interface in its.interfaces:
            names.join(_prefixes(host, interface, private))
    hosts = tuple(Host(name, tuple(_links(name, its, private, names))) for name, its in facts.items())
    return Topology(tuple(names.networks()), hosts)


# A prefix, with the host and interface that it is confined to, if any.
_Prefix = tuple[IPNetwork, str]


class _Names:
    """Sets of prefixes, each a network, named by its first IPv4 prefix, or its first."""

    def __init__(self) -> None:
        self._sets: list[list[_Prefix]] = []

    def join(self, prefixes: list[_Prefix]) -> None:
        if not prefixes:
            return
        touched = [members for members in self._sets if any(prefix in members for prefix in prefixes)]
        joined = list(dict.fromkeys([p for members in touched for p in members] + prefixes))
        self._sets = [members for members in self._sets if members not in touched] + [joined]

    def of(self, prefix: _Prefix) -> str:
        return _title(next(members for members in self._sets if prefix in members))

    def networks(self) -> Iterator[Network]:
        for members in self._sets:
            plain = [network for network, _ in members]
            ipv4 = next((n for n in plain if n.version == 4), None)
            ipv6 = next((n for n in plain if n.version == 6), None)
            yield Network(_title(members), ipv4, ipv6)


def _title(members: list[_Prefix]) -> str:
    network, place = min(members, key=lambda member: (member[0].version, str(member[0]), member[1]))
    return f"{network} of {place}" if place else str(network)


def _links(name: str, facts: Facts, private: Set[IPAddress], names: _Names) -> Iterator[Link]:
    for interface in facts.interfaces:
        prefixes = _prefixes(name, interface, private)
        if prefixes:
            yield Link(interface.name, names.of(prefixes[0]), tuple(_useful(interface)))


def _prefixes(host: str, interface: Interface, private: Set[IPAddress]) -> list[_Prefix]:
    own = list(_useful(interface))
    place = f"{host} {interface.name}" if any(address.ip in private for address in own) else ""
    return [(address.network, place) for address in own]


def _useful(interface: Interface) -> Iterator[IPInterface]:
    if interface.up and not interface.loopback:
        yield from (own for own in interface.addresses if not own.ip.is_link_local)
