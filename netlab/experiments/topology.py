"""From what an experiment's file says of its lab to hosts, addresses and routes.

The file names things; here each name is looked up, and one that leads nowhere is an error at its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_network

from netlab.errors import FileError
from netlab.experiments.schema import HostSection, LabSection, RouteSection, check_known
from netlab.model import Host, IPAddress, IPInterface, IPNetwork, Link, NameEntry, Network, Route, Topology
from netlab.yamlfile import Path, YamlFile

_ANYWHERE = "anywhere"
_SERVERS = "servers"
# What a Debian host says of itself in /etc/hosts (Debian Reference, 5.1.1: the hostname is 127.0.1.1).
_LOOPBACK4, _OWN_NAME, _LOOPBACK6 = (ip_address(text) for text in ("127.0.0.1", "127.0.1.1", "::1"))


def describe(file: YamlFile, said: LabSection, servers: Mapping[str, FileError]) -> Topology:
    """Work out the lab that a file describes.

    Args:
        file: the file, to point into.
        said: its values.
        servers: the hosts that run the service, by name; with each, what to raise if a host is called so.

    Raises:
        FileError: a name leads nowhere, or two things are given the same one.
    """
    return _Description(file, said, servers).topology()


@dataclass(frozen=True)
class _Place:
    """A host before its routes and names are known: where its section stands, and its links."""

    path: Path
    section: HostSection
    links: tuple[Link, ...]

    def on(self, network: str) -> tuple[IPAddress, ...]:
        return tuple(iface.ip for link in self.links if link.network == network for iface in link.addresses)


class _Description:
    def __init__(self, file: YamlFile, said: LabSection, servers: Mapping[str, FileError]) -> None:
        self.file, self.said = file, said
        self.networks = {name: Network(name, n.ipv4, n.ipv6) for name, n in self.said.networks.items()}
        self.servers = self._places_of_servers(servers)
        self.places = {**self._places_of_others(), **self.servers}
        self._check_prefixes()
        self._check_numbers()
        self._known(("names",), "network", self.said.names, self.networks)

    def topology(self) -> Topology:
        return Topology(tuple(self.networks.values()), tuple(map(self._host, self.places)))

    def _places_of_servers(self, servers: Mapping[str, FileError]) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        for number, (name, taken) in enumerate(servers.items(), self.said.servers.number):
            if name in self.said.hosts:
                raise taken
            if number > 254:
                raise self.file.error(("servers", "number"), f"{name} would be numbered {number}")
            places[name] = self._place(("servers",), self.said.servers, number)
        return places

    def _places_of_others(self) -> dict[str, _Place]:
        return {
            name: self._place(("hosts", name), section, section.number)
            for name, section in self.said.hosts.items()
        }

    def _place(self, path: Path, section: HostSection, number: int) -> _Place:
        for index, network in enumerate(section.networks):
            here = (*path, "networks", index)
            self._known(here, "network", network, self.networks)
            if network in section.networks[:index]:
                raise self.file.error(here, f"{network} is named twice: one interface is all there is")
            self._check_fits(path, network, number)
        links = tuple(
            Link(f"eth{index}", network, _addresses(self.networks[network], number))
            for index, network in enumerate(section.networks)
        )
        return _Place(path, section, links)

    def _check_fits(self, path: Path, network: str, number: int) -> None:
        """Refuse a number that makes no host's address of a network, as 11 does not of a /29."""
        said = self.networks[network]
        for prefix, own in zip((said.ipv4, said.ipv6), _numbered(said, number), strict=True):
            if prefix is None or own is None:
                continue
            ends = (prefix.network_address, prefix.broadcast_address if prefix.version == 4 else None)
            if own not in prefix or own in ends:
                problem = f"{number} would be {own}, which is no host's address in {prefix} ({network})"
                raise self.file.error((*path, "number"), problem)

    def _check_prefixes(self) -> None:
        """Refuse networks that overlap: a host on both could not tell which one an address is on."""
        seen: list[tuple[str, IPNetwork]] = []
        for name, network in self.networks.items():
            for prefix in self._prefixes(network):
                for other, taken in seen:
                    if prefix.version == taken.version and prefix.overlaps(taken):
                        path: Path = ("networks", name, f"ipv{prefix.version}")
                        raise self.file.error(path, f"{prefix} overlaps {taken} of {other}")
                seen.append((name, prefix))

    def _check_numbers(self) -> None:
        taken: dict[IPAddress, str] = {}
        for name, place in self.places.items():
            for link in place.links:
                for iface in link.addresses:
                    other = taken.setdefault(iface.ip, name)
                    if other != name:
                        problem = f"{name} and {other} would both be {iface.ip} on {link.network}"
                        raise self.file.error((*place.path, "number"), problem)

    def _host(self, name: str) -> Host:
        place = self.places[name]
        section = place.section
        return Host(
            name=name,
            links=place.links,
            routes=tuple(
                route
                for index, said in enumerate(section.routes)
                for route in self._routes(name, index, said)
            ),
            forwards=section.forwards,
            names=tuple(self._names(name, directory=section.names)),
        )

    def _routes(self, name: str, index: int, said: RouteSection) -> Iterable[Route]:
        place = self.places[name]
        path = (*place.path, "routes", index)
        self._known((*path, "to"), "network", said.to, {_ANYWHERE, *self.networks})
        self._known((*path, "via"), "host", said.via, {_SERVERS, *self.places})
        if said.via == _SERVERS:
            return self._routes_by_servers(place, path, said.to)
        hops = _neighbours(place, self.places[said.via])
        if not hops:
            raise self.file.error((*path, "via"), f"{said.via} is on no network of {name}")
        return [
            Route(d, hop) for d in self._destinations(said.to) for hop in hops if hop.version == d.version
        ]

    def _routes_by_servers(self, place: _Place, path: Path, network: str) -> Iterable[Route]:
        """Yield a route to each server's own address on the network, by the server itself."""
        for server in self.servers.values():
            hops = _neighbours(place, server)
            if not hops or not server.on(network):
                raise self.file.error(path, "the servers are not on both networks")
            for address in server.on(network):
                yield from (Route(ip_network(address), hop) for hop in hops if hop.version == address.version)

    def _destinations(self, to: str) -> Sequence[IPNetwork]:
        if to == _ANYWHERE:
            return [ip_network("0.0.0.0/0"), ip_network("::/0")]
        return self._prefixes(self.networks[to])

    @staticmethod
    def _prefixes(network: Network) -> list[IPNetwork]:
        return [prefix for prefix in (network.ipv4, network.ipv6) if prefix is not None]

    def _names(self, own: str, *, directory: bool) -> Iterable[NameEntry]:
        """Yield a host's /etc/hosts: what Debian writes there, then the lab's directory."""
        yield NameEntry(_LOOPBACK4, ("localhost",))
        yield NameEntry(_OWN_NAME, (own,))
        yield NameEntry(_LOOPBACK6, ("localhost", "ip6-localhost", "ip6-loopback"))
        if directory:
            for name, place in self.places.items():
                if name != own:
                    yield from (NameEntry(address, (name,)) for address in place.on(self.said.names))

    def _known(self, path: Path, kind: str, name: str, known: Iterable[str]) -> None:
        check_known(self.file, path, kind, name, known)


def _numbered(network: Network, number: int) -> tuple[IPv4Address | None, IPv6Address | None]:
    """Return a host's addresses on a network: number 11 ends in .11 and in ::11, decimal digits in both."""
    ipv4, ipv6 = network.ipv4, network.ipv6
    return (
        ipv4.network_address + number if ipv4 is not None else None,
        ipv6.network_address + int(str(number), 16) if ipv6 is not None else None,
    )


def _addresses(network: Network, number: int) -> tuple[IPInterface, ...]:
    addresses: list[IPInterface] = []
    ipv4, ipv6 = _numbered(network, number)
    if network.ipv4 is not None and ipv4 is not None:
        addresses.append(IPv4Interface((ipv4, network.ipv4.prefixlen)))
    if network.ipv6 is not None and ipv6 is not None:
        addresses.append(IPv6Interface((ipv6, network.ipv6.prefixlen)))
    return tuple(addresses)


def _neighbours(place: _Place, other: _Place) -> tuple[IPAddress, ...]:
    """Return the other host's addresses on the first network that both are on."""
    for link in place.links:
        if found := other.on(link.network):
            return found
    return ()
