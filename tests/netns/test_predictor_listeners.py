"""Which socket takes a connection, or a datagram: the predictor's rule against the kernel's."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from ipaddress import IPv6Address, ip_address, ip_network
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from netlab.agents import Agents
from netlab.facts import Listener
from netlab.model import Bind, Host, Network, Protocol, Route, Topology
from netlab.predict import View
from netlab.predict.binding import cannot_bind
from netlab.predict.listeners import candidates, find_listener
from netlab.predict.path import send
from netlab.predict.view import Delivered
from tests.netns.measuring import dial, link, read, refused, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab
    from netlab.facts import Facts
    from netlab.model import IPAddress
    from netlab.probes import ProbeResult

SETS = 400
FIRST_PORT = 20000
OTHER_PORT = 10000  # no connection, and none in TIME_WAIT, has a port near it


def route(destination: str, via: str) -> Route:
    return Route(ip_network(destination), ip_address(via))


# `peer` and `behind` each reach both of the server's addresses, one of them by the wrong interface.
TOPOLOGY = Topology(
    networks=(Network("lan"), Network("back")),
    hosts=(
        Host(
            "server",
            (
                link("eth0", "lan", "198.18.1.11/24", "2001:db8:1::11/64"),
                link("eth1", "back", "198.18.2.11/24", "2001:db8:2::11/64"),
            ),
        ),
        Host(
            "peer",
            (link("eth0", "lan", "198.18.1.20/24", "2001:db8:1::20/64"),),
            (route("198.18.2.0/24", "198.18.1.11"), route("2001:db8:2::/64", "2001:db8:1::11")),
        ),
        Host(
            "behind",
            (link("eth0", "back", "198.18.2.20/24", "2001:db8:2::20/64"),),
            (route("198.18.1.0/24", "198.18.2.11"), route("2001:db8:1::/64", "2001:db8:2::11")),
        ),
    ),
)
BOUND = (
    *("0.0.0.0", "::", "0.0.0.0", "::", "::ffff:0.0.0.0", "127.0.0.1", "127.0.0.9", "::1"),
    *("198.18.1.11", "198.18.2.11", "2001:db8:1::11", "2001:db8:2::11"),
    *("::ffff:198.18.1.11", "::ffff:127.0.0.1"),
)
DIALLED = ("198.18.1.11", "198.18.2.11", "2001:db8:1::11", "2001:db8:2::11")


@pytest.fixture(scope="module")
def agents(lab: Lab) -> Iterator[Agents]:
    with Agents(lab) as agents:
        yield agents


def link_local(facts: Facts) -> dict[str, str]:
    """Return the link-local address of each interface, with the interface as the scope."""
    return {
        interface.name: f"{own.ip}%{interface.name}"
        for interface in facts.interfaces
        for own in interface.addresses
        if own.version == 6 and own.ip.is_link_local
    }


def random_sockets(rng: Random, protocol: Protocol, addresses: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield sockets, in sets that share a port of their own."""
    for port in range(FIRST_PORT, FIRST_PORT + SETS):
        reuse = rng.choice(([], [], ["SO_REUSEADDR"], ["SO_REUSEPORT"]))
        seen = set()
        for _ in range(rng.randint(1, 5)):
            address = rng.choice(addresses)
            device = rng.choice((None, None, None, "eth0", "eth1", "lo"))
            plain = ":" in address and not address.startswith("::ffff")
            v6only = rng.choice((None, True, False)) if plain else None
            if (address, device, bool(v6only)) not in seen:
                seen.add((address, device, bool(v6only)))
                yield {
                    "address": address,
                    "port": port,
                    "device": device,
                    "v6only": v6only,
                    "reuse": reuse,
                    "protocol": protocol,
                }


def as_listener(said: dict[str, Any]) -> Listener:
    """Return a socket as the facts tell of it."""
    text, _, scope = said["address"].partition("%")
    address = ip_address(text)
    # The kernel sets v6only itself on every IPv6 socket that has an address: __inet6_bind.
    exact = isinstance(address, IPv6Address) and not address.is_unspecified and not address.ipv4_mapped
    return Listener(address, said["port"], exact or bool(said["v6only"]), scope or said["device"])


def destination(text: str) -> tuple[IPAddress, str | None]:
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address)), address.scope_id
    return address, None


def taken_by(result: ProbeResult) -> int | str:
    """Return the number of the socket that took a connection or a datagram, or the errno."""
    last = result.attempts[-1]
    answer = result.check or last.elsewhere
    if answer is None:
        return last.errno or "?"
    return int(answer.text.partition("socket ")[2].rstrip("'").replace("\\n", ""))


@pytest.mark.parametrize("protocol", Protocol)
def test_every_dial_goes_to_the_socket_that_the_rule_names(
    lab: Lab, agents: Agents, protocol: Protocol
) -> None:
    rng = Random(20)
    scoped = link_local(read(agents, lab.hosts)["server"])
    sockets = list(random_sockets(rng, protocol, (*BOUND, *scoped.values())))
    with ExitStack() as running:
        failed = {number for _, number, _ in refused(start(lab, "server", {"sockets": sockets}, running))}
        facts = read(agents, lab.hosts)
        listeners: dict[int, list[Listener]] = {}
        for listener in facts["server"].sockets(protocol):
            listeners.setdefault(listener.port, []).append(listener)
        opened = {number: as_listener(said) for number, said in enumerate(sockets) if number not in failed}
        assert Counter(opened.values()) == Counter(facts["server"].sockets(protocol))

        addresses = {
            "server": (*DIALLED, *scoped.values(), "127.0.0.1", "127.0.0.9", "::1", "::ffff:198.18.1.11"),
            "peer": (*DIALLED, scoped["eth0"]),
            "behind": (*DIALLED, scoped["eth1"].replace("eth1", "eth0")),
        }
        ports = range(FIRST_PORT, FIRST_PORT + SETS)
        dials = {host: [(text, port) for text in addresses[host] for port in ports] for host in addresses}
        results = dial(agents, dials, "banner" if protocol is Protocol.TCP else "any-answer", 3)

    view = View(facts, TOPOLOGY)
    reuse = {said["port"]: said["reuse"] for said in sockets}
    compared: Counter[str] = Counter()
    wrong = []
    for host, texts in addresses.items():
        for text in texts:
            to, scope = destination(text)
            sent = send(view, host, to, scope)
            assert isinstance(sent, Delivered), (host, text, sent)
            for port in ports:
                able = candidates(listeners.get(port, ()), to, port, sent.device)
                if "SO_REUSEPORT" in reuse[port] and len(able) > 1:
                    compared["not seen"] += 1  # facts don't tell that a socket shares its port
                    continue
                found = find_listener(listeners.get(port, ()), to, port, sent.device, protocol)
                got = taken_by(results[host][text, port])
                expected = "ECONNREFUSED" if found is None else found
                observed = got if isinstance(got, str) else opened[got]
                compared["accepted" if found else "refused"] += 1
                if observed != expected:
                    wrong.append((host, text, port, expected, observed, listeners[port]))
    assert not wrong, wrong[:5]
    assert compared["accepted"] > 1000
    assert compared["refused"] > 1000
    assert compared["not seen"] < 0.03 * sum(compared.values())


ADDRESSES = (
    *(*BOUND, "198.18.1.250", "2001:db8:1::250", "198.18.1.255", "224.0.0.9", "255.255.255.255"),
    *(
        "127.255.255.254",
        "::ffff:198.18.1.250",
        "fe80::1",
        "fe80::1%eth0",
        "198.18.1.20",
        "::2",
        "ff02::9",
        "ff05::9",
    ),
)


@pytest.mark.parametrize("protocol", Protocol)
def test_bind_fails_exactly_where_it_is_predicted_to(lab: Lab, agents: Agents, protocol: Protocol) -> None:
    scoped = link_local(read(agents, lab.hosts)["server"])
    wrong_scope = scoped["eth0"].replace("eth0", "eth1")
    sockets = [
        {"address": address, "port": OTHER_PORT + number, "device": device, "protocol": protocol}
        for number, (address, device) in enumerate(
            (address, device)
            for address in (*ADDRESSES, *scoped.values(), wrong_scope)
            for device in (None, "eth0", "eth1", "lo", "eth9")
        )
    ]
    with ExitStack() as running:
        errors = {n: errno for _, n, errno in refused(start(lab, "server", {"sockets": sockets}, running))}
        facts = read(agents, ["server"])["server"]
    wrong = []
    for number, said in enumerate(sockets):
        bind = Bind("it", "server", str(said["address"]), device=said["device"])  # type: ignore[arg-type]
        predicted = cannot_bind(facts, bind, FIRST_PORT, protocol)
        detail = predicted.outcome.detail if predicted is not None else None
        if detail != errors.get(number):
            wrong.append((said, detail, errors.get(number)))
    assert not wrong
    assert set(errors.values()) == {"EADDRNOTAVAIL", "EINVAL", "ENODEV"}
