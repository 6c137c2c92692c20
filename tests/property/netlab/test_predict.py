"""Whatever the facts are, there is a prediction, it gives its reasons, and the rules of lookup hold."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.facts import Facts, Interface, Listener, Resolution, RouteEntry, Rule
from netlab.model import (
    BY_TCP,
    AnswersFrom,
    Bind,
    Host,
    Link,
    Network,
    Protocol,
    Target,
    Topology,
    Transport,
    Verdict,
)
from netlab.predict import View, predict
from netlab.predict.listeners import candidates, find_listener
from netlab.predict.routing import lookup

PORT = 19500
HOSTS = ("a", "b", "c", "d")
NETWORKS = ("n1", "n2", "n3")

# Few addresses, so that they meet.
ADDRESSES4 = [f"198.18.{net}.{number}" for net in (1, 2, 3) for number in (1, 2, 3, 4, 255)]
ADDRESSES6 = [f"2001:db8:{net}::{number}" for net in (1, 2, 3) for number in (0, 1, 2, 3, 4)]
SPECIAL = [
    "127.0.0.1",
    "::1",
    "0.0.0.0",
    "::",
    "224.0.0.9",
    "ff02::9",
    "fe80::1",
    "fe80::2",
    "255.255.255.255",
]
SPECIAL += ["::ffff:198.18.1.1", "fe80::1%eth0", "198.19.0.1", "2001:db8:ff::1"]

ips = st.sampled_from([*ADDRESSES4, *ADDRESSES6, *SPECIAL])
plain4 = st.sampled_from(ADDRESSES4).map(IPv4Address)
plain6 = st.sampled_from(ADDRESSES6).map(IPv6Address)
devices = st.sampled_from(["lo", "eth0", "eth1"])


def prefixes(version: int) -> st.SearchStrategy[Any]:
    texts = ADDRESSES4 if version == 4 else ADDRESSES6
    lengths = (0, 16, 24, 32) if version == 4 else (0, 48, 64, 128)
    return st.tuples(st.sampled_from(texts), st.sampled_from(lengths)).map(
        lambda pair: ip_network(f"{pair[0]}/{pair[1]}", strict=False)
    )


@st.composite
def route_entries(draw: st.DrawFn) -> RouteEntry:
    version = draw(st.sampled_from([4, 6]))
    kind = draw(
        st.sampled_from(["unicast"] * 6 + ["local", "broadcast", "anycast", "unreachable", "prohibit"])
        | st.sampled_from(["blackhole", "throw"])
    )
    own: st.SearchStrategy[IPv4Address | IPv6Address] = plain4 if version == 4 else plain6
    return RouteEntry(
        table=draw(st.sampled_from([255, 254, 254, 100])),
        type=kind,
        destination=draw(prefixes(version)),
        gateway=draw(st.none() | own) if kind == "unicast" else None,
        device=draw(st.none() | devices),
        source=draw(st.none() | own),
        metric=draw(st.sampled_from([0, 5, 1024])),
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    version = draw(st.sampled_from([4, 6]))
    return Rule(
        family=6 if version == 6 else 4,
        priority=draw(st.integers(0, 40000)),
        action=draw(
            st.sampled_from(["lookup"] * 4 + ["prohibit", "blackhole", "unreachable", "goto", "nop"])
        ),
        table=draw(st.sampled_from([255, 254, 100])),
        source=draw(st.none() | prefixes(version)),
        destination=draw(st.none() | prefixes(version)),
        conditions=draw(st.sampled_from([(), (), ("fwmark",)])),
    )


listeners = st.builds(
    Listener,
    address=st.sampled_from(["0.0.0.0", "::", "127.0.0.1", "::1", "198.18.1.1", "2001:db8:1::1"]).map(
        lambda text: IPv6Address(text) if ":" in text else IPv4Address(text)
    ),
    port=st.sampled_from([PORT, PORT, 80]),
    v6only=st.booleans(),
    device=st.none() | devices,
)
interfaces = st.builds(
    lambda name, up, texts: Interface(
        1, name, up, name == "lo", tuple(ip_interface(f"{t}/{128 if ':' in t else 24}") for t in texts)
    ),
    devices,
    st.booleans(),
    st.lists(st.sampled_from([*ADDRESSES4, *ADDRESSES6, "fe80::1", "127.0.0.1", "::1"]), max_size=4),
)


def sysctls() -> st.SearchStrategy[dict[str, str]]:
    names = [
        f"net.ipv{version}.conf.{device}.{name}"
        for version in (4, 6)
        for device in ("all", "lo", "eth0", "eth1")
        for name in ("forwarding", "rp_filter", "arp_ignore", "accept_local", "route_localnet")
    ]
    return st.dictionaries(st.sampled_from(names), st.sampled_from(["0", "1", "2", "8"]))


facts = st.builds(
    Facts,
    hostname=st.just("host"),
    kernel=st.just("6.1"),
    interfaces=st.lists(interfaces, max_size=3).map(tuple),
    routes=st.lists(route_entries(), max_size=12).map(tuple),
    rules=st.lists(rules(), max_size=4).map(tuple),
    listeners=st.lists(listeners, max_size=4).map(tuple),
    names=st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.builds(Resolution, addresses=st.lists(plain4 | plain6, max_size=3).map(tuple), error=st.just("")),
    ),
    sysctls=sysctls(),
    datagram_sockets=st.lists(listeners, max_size=4).map(tuple),
)
topologies = st.builds(
    lambda joined: Topology(
        tuple(Network(name) for name in NETWORKS),
        tuple(
            Host(name, tuple(Link(f"eth{n}", net, ()) for n, net in enumerate(nets)))
            for name, nets in zip(HOSTS, joined, strict=True)
        ),
    ),
    st.tuples(*[st.lists(st.sampled_from(NETWORKS), max_size=2, unique=True) for _ in HOSTS]),
)
views = st.builds(
    lambda known, topology: View(dict(zip(HOSTS, known, strict=True)), topology),
    st.tuples(*[facts for _ in HOSTS]),
    topologies,
)
transports = st.one_of(
    st.just(BY_TCP), st.builds(Transport, st.just(Protocol.UDP), st.sampled_from(AnswersFrom))
)
TCP_ONLY = {Verdict.ACCEPTED, Verdict.TIMEOUT}
UDP_ONLY = {Verdict.NO_ANSWER, Verdict.WRONG_SOURCE}
binds = st.builds(
    Bind,
    name=st.just("it"),
    host=st.sampled_from(HOSTS),
    address=ips | st.sampled_from(["a", "b", "nobody"]),
    v6only=st.booleans(),
    device=st.none() | devices,
)


@given(views, binds, st.sampled_from(HOSTS), ips | st.sampled_from(["a", "b", "nobody"]), transports)
@settings(max_examples=160, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_there_is_always_a_prediction_with_its_reasons(
    view: View, bind: Bind, vantage: str, target: str, transport: Transport
) -> None:
    prediction = predict(view, bind, PORT, vantage, Target("it", target), transport)
    assert prediction.reason
    for step in prediction.reason:
        assert step.host in HOSTS
        assert step.text
        assert step.rests_on
        assert "\n" not in step.text
    assert bool(prediction.remedy) != (prediction.outcome.verdict is Verdict.OPEN)
    assert predict(view, bind, PORT, vantage, Target("it", target), transport) == prediction
    of_the_other = TCP_ONLY if transport.protocol is Protocol.UDP else UDP_ONLY
    assert prediction.outcome.verdict not in of_the_other


@given(facts, ips)
@settings(max_examples=100, deadline=None)
def test_a_route_has_the_destination_and_no_better_one_is_in_its_table(known: Facts, text: str) -> None:
    address = IPv6Address(text.partition("%")[0]) if ":" in text else IPv4Address(text)
    entry = lookup(known, address)
    if entry is None or entry not in known.routes:
        return
    assert address in entry.destination
    for other in known.routes:
        if other.table == entry.table and other.destination.version == address.version:
            better = (other.destination.prefixlen, -other.metric) > (
                entry.destination.prefixlen,
                -entry.metric,
            )
            assert not (better and address in other.destination)


@given(st.lists(listeners, max_size=6), ips, devices, st.sampled_from(Protocol))
def test_the_listener_hears_the_destination_and_wins_among_any_of_the_others(
    sockets: list[Listener], text: str, device: str, protocol: Protocol
) -> None:
    address = IPv6Address(text.partition("%")[0]) if ":" in text else IPv4Address(text)
    found = find_listener(sockets, address, PORT, device, protocol)
    able = candidates(sockets, address, PORT, device)
    assert (found is None) == (not able)
    if found is None:
        return
    assert found.port == PORT
    assert found.device in (None, device)
    assert found.address.is_unspecified or found.address in (address, getattr(address, "ipv4_mapped", None))
    assert find_listener([found], address, PORT, device, protocol) == found
