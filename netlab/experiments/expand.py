"""From what an experiment's file says to hosts, addresses, routes and dials.

The file names things; here each name is looked up, and one that leads nowhere is an error at its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_network,
)

from netlab.experiments.plan import SERVER, Experiment, Headline, Service, Vantage
from netlab.experiments.schema import (
    Document,
    ExperimentSection,
    HostSection,
    Path,
    RouteSection,
)
from netlab.model import (
    Bind,
    Host,
    IPAddress,
    IPInterface,
    IPNetwork,
    Link,
    NameEntry,
    Network,
    Route,
    Target,
    Topology,
)

_ANYWHERE = "anywhere"
_SERVERS = "servers"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# What a Debian host says of itself in /etc/hosts (Debian Reference, 5.1.1: the hostname is 127.0.1.1).
_LOOPBACK4, _OWN_NAME, _LOOPBACK6 = (ip_address(text) for text in ("127.0.0.1", "127.0.1.1", "::1"))


def expand(name: str, document: Document) -> Experiment:
    """Work out an experiment.

    Args:
        name: the experiment's.
        document: its validated file.

    Raises:
        ExperimentError: a name leads nowhere, or two things are given the same one.
    """
    return _Expansion(document).experiment(name)


@dataclass(frozen=True)
class _Place:
    """A host before its routes and names are known: where its section stands, and its links."""

    path: Path
    section: HostSection
    links: tuple[Link, ...]

    def on(self, network: str) -> tuple[IPAddress, ...]:
        return tuple(iface.ip for link in self.links if link.network == network for iface in link.addresses)


class _Expansion:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.said: ExperimentSection = document.experiment
        self.networks = {name: Network(name, n.ipv4, n.ipv6) for name, n in self.said.networks.items()}
        self.servers = self._places_of_servers()
        self.places = {**self._places_of_others(), **self.servers}
        self._check_numbers()
        self._known(("names",), "network", self.said.names, self.networks)

    def experiment(self, name: str) -> Experiment:
        binds = tuple(self._bind(bind) for bind in self.said.binds)
        vantages = tuple(self._vantage(vantage) for vantage in self.said.vantages)
        service = self.said.service
        return Experiment(
            name=name,
            title=self.said.title,
            topology=Topology(tuple(self.networks.values()), tuple(map(self._host, self.places))),
            service=Service(
                command=tuple(service.command),
                v6only=tuple(service.options.v6only),
                device=tuple(service.options.device),
                port=service.port,
                check=service.check,
            ),
            binds=binds,
            vantages=vantages,
            headline=self._headline(),
        )

    # --- Hosts -------------------------------------------------------------------------------------------

    def _places_of_servers(self) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        for index, (bind, section) in enumerate(self.said.binds.items()):
            if section.host in places or section.host in self.said.hosts:
                raise self.document.error(("binds", bind, "host"), f"a second host called {section.host!r}")
            number = self.said.servers.number + index
            if number > 254:
                raise self.document.error(
                    ("servers", "number"), f"the host of {bind} would be numbered {number}"
                )
            places[section.host] = self._place(("servers",), self.said.servers, number)
        return places

    def _places_of_others(self) -> dict[str, _Place]:
        return {
            name: self._place(("hosts", name), section, section.number)
            for name, section in self.said.hosts.items()
        }

    def _place(self, path: Path, section: HostSection, number: int) -> _Place:
        for index, network in enumerate(section.networks):
            self._known((*path, "networks", index), "network", network, self.networks)
        links = tuple(
            Link(f"eth{index}", network, _addresses(self.networks[network], number))
            for index, network in enumerate(section.networks)
        )
        return _Place(path, section, links)

    def _check_numbers(self) -> None:
        taken: dict[IPAddress, str] = {}
        for name, place in self.places.items():
            for link in place.links:
                for iface in link.addresses:
                    other = taken.setdefault(iface.ip, name)
                    if other != name:
                        problem = f"{name} and {other} would both be {iface.ip} on {link.network}"
                        raise self.document.error((*place.path, "number"), problem)

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
            raise self.document.error((*path, "via"), f"{said.via} is on no network of {name}")
        return [
            Route(d, hop) for d in self._destinations(said.to) for hop in hops if hop.version == d.version
        ]

    def _routes_by_servers(self, place: _Place, path: Path, network: str) -> Iterable[Route]:
        """Yield a route to each server's own address on the network, by the server itself."""
        for server in self.servers.values():
            hops = _neighbours(place, server)
            if not hops or not server.on(network):
                raise self.document.error(path, "the servers are not on both networks")
            for address in server.on(network):
                yield from (Route(ip_network(address), hop) for hop in hops if hop.version == address.version)

    def _destinations(self, to: str) -> Sequence[IPNetwork]:
        if to == _ANYWHERE:
            return [ip_network("0.0.0.0/0"), ip_network("::/0")]
        network = self.networks[to]
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

    # --- Binds, vantages, headline -------------------------------------------------------------------------

    def _bind(self, name: str) -> Bind:
        said = self.said.binds[name]
        path: Path = ("binds", name)
        return Bind(
            name=name,
            host=said.host,
            address=self._filled((*path, "address"), said.address, said.host),
            v6only=said.v6only,
            device=self._device((*path, "device"), said.host, said.device) if said.device else None,
        )

    def _device(self, path: Path, host: str, network: str) -> str:
        devices = {link.network: link.device for link in self.places[host].links}
        self._known(path, "network of the servers", network, devices)
        return devices[network]

    def _vantage(self, name: str) -> Vantage:
        self._known(("vantages", name), "vantage", name, {SERVER, *self.said.hosts})
        said = self.said.vantages[name]
        targets = {
            host: tuple(
                Target(title, self._filled(("vantages", name, title), address, host))
                for title, address in said.items()
            )
            for host in self.servers
        }
        return Vantage(name, targets)

    def _filled(self, path: Path, template: str, host: str) -> str:
        """Return the template with the server's own name and addresses filled in."""
        known = {"hostname": host}
        for link in self.places[host].links:
            for iface in link.addresses:
                known[f"{link.network}.ipv{iface.version}"] = str(iface.ip)

        def value(found: re.Match[str]) -> str:
            if found[1] not in known:
                allowed = ", ".join(f"{{{key}}}" for key in known)
                raise self.document.error(path, f"nothing is called {found[0]}: there is {allowed}")
            return known[found[1]]

        return _PLACEHOLDER.sub(value, template)

    def _headline(self) -> Headline:
        said = self.said.headline
        for index, bind in enumerate(said.binds):
            self._known(("headline", "binds", index), "bind", bind, self.said.binds)
        for title, column in said.columns.items():
            path: Path = ("headline", "columns", title)
            self._known((*path, "vantage"), "vantage", column.vantage, self.said.vantages)
            self._known((*path, "target"), "target", column.target, self.said.vantages[column.vantage])
        columns = tuple((title, column.vantage, column.target) for title, column in said.columns.items())
        return Headline(tuple(said.binds), columns)

    def _known(self, path: Path, kind: str, name: str, known: Mapping[str, object] | set[str]) -> None:
        if name not in known:
            raise self.document.error(
                path, f"no {kind} is called {name!r}: there is {', '.join(sorted(known))}"
            )


def _addresses(network: Network, number: int) -> tuple[IPInterface, ...]:
    """Return a host's addresses on a network: number 11 ends in .11 and in ::11, decimal digits in both."""
    addresses: list[IPInterface] = []
    if network.ipv4 is not None:
        addresses.append(IPv4Interface((network.ipv4.network_address + number, network.ipv4.prefixlen)))
    if network.ipv6 is not None:
        digits = int(str(number), 16)
        addresses.append(IPv6Interface((network.ipv6.network_address + digits, network.ipv6.prefixlen)))
    return tuple(addresses)


def _neighbours(place: _Place, other: _Place) -> tuple[IPv4Address | IPv6Address, ...]:
    """Return the other host's addresses on the first network that both are on."""
    for link in place.links:
        if found := other.on(link.network):
            return found
    return ()
