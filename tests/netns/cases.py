"""Small labs, one a case, all of them up at the same time: what is predicted, and what the kernel does."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netlab.agents import Agents
from netlab.model import Host, Network, Protocol, Topology, Transport
from netlab.predict import View
from tests.namespaces import bring_up
from tests.netns.measuring import Measured, link, measure, predicted, read, refused, socket_of, start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPEN, REFUSED, TIMEOUT, SILENCE = "open", "refused", "timeout", "no-answer"
NO_NETWORK, NO_HOST = "unreachable (ENETUNREACH)", "unreachable (EHOSTUNREACH)"
INVALID, FORBIDDEN = "unreachable (EINVAL)", "unreachable (EACCES)"
TIMEOUT_S = 5.0  # as netlab.run has it: a neighbour that does not answer costs three, a second route two

ANY4, ANY6 = "0.0.0.0/0", "::/0"


@dataclass(frozen=True)
class On:
    """A host: its networks in the order of eth0, eth1, ..., each with its addresses there."""

    links: dict[str, tuple[str, ...]]
    router: bool = False
    plan: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    device: str | None = None  # that the listening socket is bound to
    address: str = "::"  # likewise
    silent: bool = False  # nothing listens


def at(number: int, *networks: int) -> dict[str, tuple[str, ...]]:
    """Return links with an IPv4 and an IPv6 address each, both ending in the number."""
    return {f"n{net}": (f"198.18.{net}.{number}/24", f"2001:db8:{net}::{number}/64") for net in networks}


def routes(*said: tuple[str, str] | dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return a plan with routes: a destination and a gateway, or more."""
    return {"routes": [{"to": r[0], "via": r[1]} if isinstance(r, tuple) else r for r in said]}


def rp_filter(device: str, value: int) -> dict[str, str]:
    return {f"net/ipv4/conf/{device}/rp_filter": str(value)}


Hosts = dict[str, On]
# A host, and what it dials: what comes of it, by TCP and by UDP; if one is named, a timeout is UDP's silence.
Dials = dict[tuple[str, str], str | tuple[str, str]]
Cases = dict[str, tuple[Hosts, Dials]]
# By the case's name, the way in which its service is talked to, the host that dials and the target.
Found = dict[tuple[str, Transport, str, str], Measured]


def elsewhere(address: str) -> str:
    """Return what comes of a datagram that another address answers."""
    return f"wrong-source ({address})"


def name_of(number: int, host: str) -> str:
    """Return what a case's host is called in the lab that all cases share."""
    return f"c{number}{host}"


def _host(number: int, name: str, on: On) -> Host:
    links = tuple(
        link(f"eth{index}", f"c{number}{network}", *addresses)
        for index, (network, addresses) in enumerate(on.links.items())
    )
    return Host(name_of(number, name), links, forwards=on.router)


def _plan(on: On, transports: Sequence[Transport]) -> dict[str, Any]:
    sockets = [{**socket_of(by, on.device), "address": on.address} for by in transports if not on.silent]
    for socket in sockets:
        socket["v6only"] = False if ":" in on.address else None
    return {**on.plan, "sysctls": on.sysctls, "sockets": sockets}


def measured(cases: Cases, ways: Mapping[str, tuple[Transport, ...]]) -> Found:
    """Return what came of each dial.

    Args:
        cases: what to set up and to dial.
        ways: how each case's services are talked to, by its name.
    """
    everyone = [
        _host(number, name, on)
        for number, (hosts, _) in enumerate(cases.values())
        for name, on in hosts.items()
    ]
    networks = dict.fromkeys(link.network for host in everyone for link in host.links)
    topology = Topology(tuple(Network(name) for name in networks), tuple(everyone))
    found: Found = {}
    with bring_up(topology) as lab, Agents(lab) as agents, ExitStack() as running:
        channels = {
            name_of(number, name): start(lab, name_of(number, name), _plan(on, ways[case]), running)
            for number, (case, (hosts, _)) in enumerate(cases.items())
            for name, on in hosts.items()
        }
        for host, channel in channels.items():
            assert not refused(channel), host
        view = View(read(agents, lab.hosts), topology)
        # One after the other: in the five seconds between, ICMP errors are granted anew.
        for way in dict.fromkeys(way for each in ways.values() for way in each):
            dials = {
                (name_of(number, host), target): (case, way, host, target)
                for number, (case, (_, said)) in enumerate(cases.items())
                for host, target in said
                if way in ways[case]
            }
            predictions = {dial: predicted(view, *dial, way) for dial in dials}
            results = measure(agents, predictions, TIMEOUT_S, way)
            found.update({dials[dial]: result for dial, result in results.items()})
    return found


def check(name: str, way: Transport, cases: Cases, found: Found) -> None:
    """Hold a case's dials against what is written down."""
    for (host, target), said in cases[name][1].items():
        expected, one = _expected(said, way), found[name, way, host, target]
        assert (one.predicted, one.observed) == (expected, expected), f"{host} dials {target}: {one}"


def _expected(said: str | tuple[str, str], way: Transport) -> str:
    by_tcp, by_udp = said if isinstance(said, tuple) else (said, SILENCE if said == TIMEOUT else said)
    return by_tcp if way.protocol is Protocol.TCP else by_udp
