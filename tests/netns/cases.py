"""Small labs, one a case, all of them up at the same time: what is predicted, and what the kernel does."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netlab.agents import Agents
from netlab.model import BY_TCP, Host, Network, Topology
from netlab.predict import View
from tests.namespaces import bring_up
from tests.netns.measuring import Measured, link, measure, predicted, read, refused, socket_of, start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.model import Transport

OPEN, REFUSED, TIMEOUT = "open", "refused", "timeout"
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
Dials = dict[tuple[str, str], str]
Cases = dict[str, tuple[Hosts, Dials]]


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


def measured(
    cases: Cases, ways: Mapping[str, Transport] | None = None
) -> dict[tuple[str, str, str], Measured]:
    """Return what came of each dial, by the case's name, the host and the target.

    Args:
        cases: what to set up and to dial.
        ways: how each case's services are talked to, by its name; by TCP, if nothing is said.
    """
    by_name = ways or dict.fromkeys(cases, BY_TCP)
    everyone = [
        _host(number, name, on)
        for number, (hosts, _) in enumerate(cases.values())
        for name, on in hosts.items()
    ]
    networks = dict.fromkeys(link.network for host in everyone for link in host.links)
    topology = Topology(tuple(Network(name) for name in networks), tuple(everyone))
    found: dict[tuple[str, str, str], Measured] = {}
    with bring_up(topology) as lab, Agents(lab) as agents, ExitStack() as running:
        channels = {
            name_of(number, name): start(lab, name_of(number, name), _plan(on, [by_name[case]]), running)
            for number, (case, (hosts, _)) in enumerate(cases.items())
            for name, on in hosts.items()
        }
        for host, channel in channels.items():
            assert not refused(channel), host
        view = View(read(agents, lab.hosts), topology)
        for way in dict.fromkeys(by_name.values()):
            dials = {
                (name_of(number, host), target): (case, host, target)
                for number, (case, (_, said)) in enumerate(cases.items())
                for host, target in said
                if by_name[case] == way
            }
            predictions = {dial: predicted(view, *dial, way) for dial in dials}
            results = measure(agents, predictions, TIMEOUT_S, way)
            found.update({dials[dial]: result for dial, result in results.items()})
    return found


def check(name: str, cases: Cases, found: Mapping[tuple[str, str, str], Measured]) -> None:
    """Hold a case's dials against what is written down."""
    for (host, target), expected in cases[name][1].items():
        one = found[name, host, target]
        assert (one.predicted, one.observed) == (expected, expected), f"{host} dials {target}: {one}"
