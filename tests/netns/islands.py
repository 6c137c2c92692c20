"""Random small topologies, many in one lab: each is an island, and all are dialled at the same time."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, Any

from netlab.model import BY_TCP, Host, Network, Topology
from tests.netns.measuring import BY_UDP, BY_UDP_FROM_DIALLED, link, socket_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Island:
    """A random topology: its parts, and what the program on each host has to set up."""

    networks: list[Network]
    hosts: list[Host]
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)


def islands(seeds: range) -> tuple[Topology, dict[str, dict[str, Any]], dict[str, int]]:
    """Return a topology of several islands, the plans by host, and the seed of each host's island."""
    made = {seed: _island(seed) for seed in seeds}
    topology = Topology(
        tuple(network for island in made.values() for network in island.networks),
        tuple(host for island in made.values() for host in island.hosts),
    )
    plans = {host: plan for island in made.values() for host, plan in island.plans.items()}
    return topology, plans, {host.name: seed for seed, island in made.items() for host in island.hosts}


def _island(seed: int) -> Island:
    rng = Random(seed)
    count = rng.randint(3, 6)
    networks = [Network(f"s{seed}n{number}") for number in range(1, count + 1)]
    hosts = []
    for number in range(1, rng.randint(4, 8) + 1):
        joined = rng.sample(range(1, count + 1), rng.choice((1, 2, 2, 3)))
        links = tuple(
            link(f"eth{index}", f"s{seed}n{net}", *_addresses(rng, net, number))
            for index, net in enumerate(joined)
        )
        hosts.append(Host(f"s{seed}h{number}", links, forwards=rng.random() < 0.6))
    island = Island(networks, hosts)
    for number, host in enumerate(hosts, start=1):
        island.plans[host.name] = _plan(rng, island, host, number)
    return island


def _addresses(rng: Random, net: int, number: int) -> list[str]:
    both = [f"198.18.{net}.{number}/24", f"2001:db8:{net}::{number}/64"]
    return both if rng.random() < 0.85 else [rng.choice(both)]


def _plan(rng: Random, island: Island, host: Host, number: int) -> dict[str, Any]:
    addresses = []
    if rng.random() < 0.3:
        addresses.append({"device": "lo", "prefix": f"198.19.0.{number}/32"})
        addresses.append({"device": "lo", "prefix": f"2001:db8:ff::{number}/128"})
    if rng.random() < 0.2:
        net = host.links[0].network.partition("n")[2]
        addresses.append({"device": "eth0", "prefix": f"198.18.{net}.{100 + number}/24"})
        addresses.append({"device": "eth0", "prefix": f"2001:db8:{net}::{100 + number}/64"})
    return {
        "sysctls": _sysctls(rng, host),
        "addresses": addresses,
        "routes": _routes(rng, island, host),
        "rules": _rules(rng, island, host),
        "sockets": list(_sockets(rng, host)),
    }


def _sockets(rng: Random, host: Host) -> Iterator[dict[str, Any]]:
    device = rng.choice([near.device for near in host.links]) if rng.random() < 0.25 else None
    for transport in (BY_TCP, BY_UDP, BY_UDP_FROM_DIALLED):
        yield socket_of(transport, device)


def _sysctls(rng: Random, host: Host) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for device in ("all", *(near.device for near in host.links)):
        where = f"net/ipv4/conf/{device}/"
        if rng.random() < 0.2:
            chosen[where + "rp_filter"] = rng.choice("12")
        if rng.random() < 0.05:
            chosen[where + "accept_local"] = "1"
        if rng.random() < 0.03:
            chosen[where + "route_localnet"] = "1"
        if device != "all" and rng.random() < 0.1:
            chosen[where + "forwarding"] = rng.choice("01")
    return chosen


def _neighbours(island: Island, host: Host, version: int) -> list[tuple[str, str]]:
    """Return the addresses of the other hosts on the host's networks, and the device that leads there."""
    return [
        (near.device, str(iface.ip))
        for near in host.links
        for other in island.hosts
        if other is not host
        for far in other.links
        if far.network == near.network
        for iface in far.addresses
        if iface.version == version
    ]


def _own(host: Host, version: int) -> list[str]:
    return [str(iface.ip) for near in host.links for iface in near.addresses if iface.version == version]


def _all(island: Island, version: int) -> list[str]:
    return [address for host in island.hosts for address in _own(host, version)]


def _prefix(rng: Random, island: Island, version: int) -> str:
    net = rng.randint(1, len(island.networks))
    if rng.random() < 0.3 and (known := _all(island, version)):
        return f"{rng.choice(known)}/{32 if version == 4 else 128}"
    if rng.random() < 0.15:
        return "198.19.0.0/24" if version == 4 else "2001:db8:ff::/64"
    return f"198.18.{net}.0/24" if version == 4 else f"2001:db8:{net}::/64"


def _hop(rng: Random, island: Island, host: Host, version: int) -> dict[str, Any]:
    """Return how a route leads on: by a neighbour, by nobody, or without a hop."""
    near = _neighbours(island, host, version)
    chance = rng.random()
    if chance < 0.08 or not near:
        return {"kind": rng.choice(("unreachable", "blackhole", "prohibit", "throw"))}
    device, via = rng.choice(near)
    if chance < 0.16:
        return {"device": device}
    # An IPv6 host that knows a router to be dead takes a shorter prefix next time (find_rr_leaf); a router
    # that reports a dead neighbour by a way over that very neighbour forgets the other packets that wait for
    # it (neigh_invalidate). What comes of a dial then depends on the ones beside it.
    if chance < 0.22 and version == 4 and not host.forwards:
        return {"via": str(ip_address(via) + 60)}
    hop: dict[str, Any] = {"via": via}
    if rng.random() < 0.15:
        hop["source"] = rng.choice(_own(host, version) or [None])
    return hop


def _routes(rng: Random, island: Island, host: Host) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = []
    for version in (4, 6):
        anywhere = "0.0.0.0/0" if version == 4 else "::/0"
        if rng.random() < 0.5:
            routes.append({"to": anywhere, **_hop(rng, island, host, version)})
        for _ in range(rng.randint(1, 4)):
            route = {"to": _prefix(rng, island, version), **_hop(rng, island, host, version)}
            if rng.random() < 0.25:
                route["metric"] = rng.choice((5, 50, 2000))
            routes.append(route)
        for table in (100, 101):
            for _ in range(rng.randint(0, 2)):
                to = anywhere if rng.random() < 0.5 else _prefix(rng, island, version)
                routes.append({"to": to, "table": table, **_hop(rng, island, host, version)})
    return routes


def _rules(rng: Random, island: Island, host: Host) -> list[dict[str, Any]]:
    if rng.random() > 0.3:
        return []
    rules: list[dict[str, Any]] = []
    for version in (4, 6):
        for _ in range(rng.randint(1, 2)):
            rule: dict[str, Any] = {"family": version, "priority": rng.choice((100, 200, 40000))}
            if rng.random() < 0.85:
                rule |= {"action": "lookup", "table": rng.choice((100, 101))}
            else:
                rule |= {"action": rng.choice(("blackhole", "unreachable", "prohibit"))}
            own = _own(host, version)
            if rng.random() < 0.6 and own:
                rule["source"] = f"{rng.choice(own)}/{32 if version == 4 else 128}"
            else:
                rule["destination" if rng.random() < 0.5 else "source"] = _prefix(rng, island, version)
            rules.append(rule)
    return rules


def destinations(topology: Topology, seeds: dict[str, int], host: str, rng: Random, count: int) -> list[str]:
    """Return what a host dials: addresses of its island, used or not."""
    known = [
        str(iface.ip)
        for other in topology.hosts
        if seeds[other.name] == seeds[host]
        for near in other.links
        for iface in near.addresses
    ]
    number = [other.name for other in topology.hosts if seeds[other.name] == seeds[host]]
    for index in range(1, len(number) + 1):
        known += [f"198.19.0.{index}", f"2001:db8:ff::{index}"]
    strange = ["198.18.1.99", "2001:db8:2::99", "198.18.1.255", "2001:db8:1::", "198.18.9.9", "2001:db8:9::9"]
    strange += ["127.0.0.1", "224.0.0.9", "ff02::9", "198.18.2.0"]
    return rng.sample(known, min(count, len(known))) + rng.sample(strange, 2)
