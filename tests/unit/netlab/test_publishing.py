"""What an engine adds: who is kept apart, which published port is meant, what takes it, where it leads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.checks import AnyAnswer, Tcp
from netlab.expectations.columns import usual_vantages
from netlab.experiments.plan import Service
from netlab.facts import Engine, Publication
from netlab.model import Bind, Host, Outcome, Protocol, Target, Topology, Transport, Verdict
from netlab.predict import View, predict
from netlab.predict.publishing import inner_address, is_proxied, kept_apart, publication_of
from tests.unit.netlab.made import OPEN, REFUSED, facts, interface, ip, listener, route, view

PUBLISHED = (
    Publication(ip("127.0.0.1"), 8080, "web", 80),
    Publication(ip("0.0.0.0"), 8081, "web", 80),
    Publication(ip("::"), 8081, "web", 80),
    Publication(ip("198.18.1.1"), 8081, "admin", 9000),
)


def engine(version: str = "26.1.5", *, filters_ipv6: bool = True) -> Engine:
    return Engine("host", version, filters_ipv6, internal=("inner",), publications=PUBLISHED)


@pytest.mark.parametrize(
    ("version", "came_from", "leads_to", "why"),
    [
        (4, "front", "front", None),
        (4, "front", "back", "each network is kept to itself"),
        (6, "front", "back", "each network is kept to itself"),
        (4, "front", "inner", "inner is internal"),
        (4, "inner", "front", "inner is internal"),
        (4, None, "front", None),
        (4, "front", None, None),
    ],
)
def test_networks_are_kept_apart(
    version: int, came_from: str | None, leads_to: str | None, why: str | None
) -> None:
    drop = kept_apart(engine(), version, came_from, leads_to)
    if why is None:
        assert drop is None
    else:
        assert drop is not None
        assert drop.text == f"from {came_from} to {leads_to}: {why}: dropped"
        assert "Docker 26.1.5" in drop.rests_on


def test_an_engine_that_does_not_filter_ipv6_lets_it_pass_from_network_to_network() -> None:
    old = engine("20.10.24", filters_ipv6=False)
    assert kept_apart(old, 6, "front", "back") is None
    assert kept_apart(old, 4, "front", "back") is not None


@pytest.mark.parametrize(
    ("address", "port", "found"),
    [
        ("127.0.0.1", 8080, PUBLISHED[0]),
        ("127.0.0.2", 8080, None),
        ("198.18.9.1", 8080, None),
        ("127.0.0.1", 8081, PUBLISHED[1]),
        ("198.18.9.1", 8081, PUBLISHED[1]),
        ("2001:db8::1", 8081, PUBLISHED[2]),
        ("::1", 8080, None),
        ("198.18.1.1", 8081, PUBLISHED[3]),  # one address before any
        ("198.18.9.1", 80, None),
    ],
)
def test_the_published_port_that_is_dialled(address: str, port: int, found: Publication | None) -> None:
    assert publication_of(engine(), ip(address), port) == found


PROXIES = (listener("127.0.0.1", 8080), listener("0.0.0.0", 8081), listener("::", 8081, v6only=True))
MACHINE = facts(interface("eth0", "198.18.9.1/24", "2001:db8:9::1/64"), listeners=PROXIES)
WITHOUT_PROXIES = facts(interface("eth0", "198.18.9.1/24", "2001:db8:9::1/64"))


@pytest.mark.parametrize(
    ("address", "from_inside", "filters_ipv6", "proxied"),
    [
        ("127.0.0.1", False, True, True),
        ("::1", False, True, True),
        ("198.18.9.1", False, True, False),
        ("198.18.9.1", True, True, True),
        ("2001:db8:9::1", False, True, False),
        ("2001:db8:9::1", False, False, True),
    ],
)
def test_what_takes_a_dial_to_a_published_port(
    address: str, from_inside: bool, filters_ipv6: bool, proxied: bool
) -> None:
    it = engine(filters_ipv6=filters_ipv6)
    inner = ip("198.18.1.14" if ":" not in address else "2001:db8:1::14")
    taken = is_proxied(it, MACHINE, ip(address), 8081, "lo", inner, from_inside=from_inside)
    assert taken is proxied
    assert not is_proxied(it, WITHOUT_PROXIES, ip(address), 8081, "lo", inner, from_inside=from_inside)
    # Only a proxy can lead from one family to the other.
    other = ip("2001:db8:1::14" if ":" not in address else "198.18.1.14")
    assert is_proxied(it, MACHINE, ip(address), 8081, "lo", other, from_inside=from_inside)


def test_published_ports_lead_to_the_address_on_the_default_route() -> None:
    front, back = (
        interface("eth0", "198.18.2.2/24"),
        interface("eth1", "198.18.1.2/24", "2001:db8:1::2/64", index=3),
    )
    default4 = route("0.0.0.0/0", "198.18.1.1", "eth1")
    default6 = route("::/0", "2001:db8:1::1", "eth1")
    both = facts(front, back, routes=(default4, default6))
    assert inner_address(both, 4) == ip("198.18.1.2")
    assert inner_address(both, 6) == ip("2001:db8:1::2")
    assert inner_address(facts(front, back, routes=(default4,)), 6) == ip("198.18.1.2"), "by IPv4 then"
    assert inner_address(facts(front, back), 4) is None
    unreachable = route("0.0.0.0/0", dev=None, kind="unreachable")
    assert inner_address(facts(front, back, routes=(unreachable,)), 4) is None


def test_each_bind_dials_the_published_ports_that_lead_to_its_own_port() -> None:
    publications = (
        Publication(ip("0.0.0.0"), 8080, "web", 80),
        Publication(ip("127.0.0.1"), 8443, "web", 443),
        Publication(ip("0.0.0.0"), 8053, "web", 80, Protocol.UDP),
        Publication(ip("0.0.0.0"), 8081, "other", 80),
    )
    services = {
        Bind("plain", "web", ""): Service(80, Tcp()),
        Bind("secure", "web", ""): Service(443, Tcp()),
        Bind("quic", "web", ""): Service(80, AnyAnswer(b"?"), transport=Transport(Protocol.UDP)),
    }
    lab = Topology((), (Host("web", ()), Host("host", ())))
    at = replace(engine(), publications=publications)
    _, by_host = usual_vantages(lab, ["host"], services, at)
    assert {bind: [target.name for target in targets] for bind, targets in by_host.targets.items()} == {
        "plain": ["published-127.0.0.1:8080"],
        "secure": ["published-127.0.0.1:8443"],
        "quic": ["published-127.0.0.1:8053"],
    }


# --- Whole dials to published ports ----------------------------------------------------------------------


def project(*sockets: str, proxies: bool = True) -> View:
    """Return a lab: the machine, `web` on `front` with these sockets on port 80, `peer` elsewhere."""
    default = route("0.0.0.0/0", "198.18.1.1", "eth0")
    web = facts(
        interface("eth0", "198.18.1.2/24"),
        routes=(default,),
        listeners=tuple(listener(address, 80) for address in sockets),
    )
    peer = facts(interface("eth0", "198.18.2.2/24"), routes=(route("0.0.0.0/0", "198.18.2.1", "eth0"),))
    machine = facts(
        interface("br1", "198.18.1.1/24"),
        interface("br2", "198.18.2.1/24", index=3),
        listeners=PROXIES if proxies else (),
        forwards=True,
    )
    made = view(
        web=(web, {"eth0": "front"}),
        peer=(peer, {"eth0": "other"}),
        host=(machine, {"br1": "front", "br2": "other"}),
    )
    return View(made.facts, made.topology, engine())


@pytest.mark.parametrize(
    ("socket", "vantage", "address", "port", "outcome"),
    [
        ("0.0.0.0", "host", "127.0.0.1", 8080, OPEN),
        ("0.0.0.0", "host", "198.18.2.1", 8081, OPEN),
        ("0.0.0.0", "peer", "198.18.2.1", 8081, OPEN),
        ("127.0.0.1", "host", "127.0.0.1", 8080, Outcome(Verdict.ACCEPTED, "reset")),
        ("127.0.0.1", "host", "198.18.2.1", 8081, REFUSED),
        ("127.0.0.1", "peer", "198.18.2.1", 8081, Outcome(Verdict.ACCEPTED, "reset")),
        ("0.0.0.0", "peer", "198.18.2.1", 8080, REFUSED),  # published on 127.0.0.1 only
    ],
)
def test_what_comes_of_dialling_a_published_port(
    socket: str, vantage: str, address: str, port: int, outcome: Outcome
) -> None:
    prediction = predict(
        project(socket), Bind("web", "web", socket), 80, vantage, Target("it", address, port)
    )
    assert prediction.outcome == outcome


@pytest.mark.parametrize(
    ("socket", "vantage", "address", "outcome"),
    [
        ("0.0.0.0", "host", "127.0.0.1", OPEN),
        ("0.0.0.0", "host", "198.18.2.1", OPEN),
        ("0.0.0.0", "peer", "198.18.2.1", OPEN),
        # The proxy's socket is on a wildcard: it answers from where the way back begins.
        ("0.0.0.0", "host", "127.0.0.2", Outcome(Verdict.WRONG_SOURCE, "127.0.0.1")),
        ("0.0.0.0", "peer", "198.18.1.1", Outcome(Verdict.WRONG_SOURCE, "198.18.2.1")),
        # Translation carries ICMP errors back, too; the proxy keeps them to itself.
        ("127.0.0.1", "host", "198.18.2.1", REFUSED),
        ("127.0.0.1", "host", "127.0.0.1", Outcome(Verdict.NO_ANSWER)),
        ("127.0.0.1", "peer", "198.18.2.1", Outcome(Verdict.NO_ANSWER)),
    ],
)
def test_what_comes_of_asking_at_a_published_udp_port(
    socket: str, vantage: str, address: str, outcome: Outcome
) -> None:
    tcp = project(socket)
    publications = tuple(replace(p, protocol=Protocol.UDP) for p in PUBLISHED if p.host == "web")
    lab = View(
        {host: replace(its, listeners=(), datagram_sockets=its.listeners) for host, its in tcp.facts.items()},
        tcp.topology,
        replace(engine(), publications=publications),
    )
    bind, target = Bind("web", "web", socket), Target("it", address, 8081)
    assert predict(lab, bind, 80, vantage, target, Transport(Protocol.UDP)).outcome == outcome
    assert predict(tcp, bind, 80, vantage, target, Transport(Protocol.UDP)).outcome == REFUSED


def test_where_the_proxy_is_switched_off_it_is_refused_instead() -> None:
    bind = Bind("web", "web", "127.0.0.1")
    prediction = predict(
        project("127.0.0.1", proxies=False), bind, 80, "host", Target("it", "127.0.0.1", 8080)
    )
    assert prediction.outcome == REFUSED


def test_the_remedy_says_where_to_listen() -> None:
    bind = Bind("web", "web", "127.0.0.1")
    prediction = predict(project("127.0.0.1"), bind, 80, "host", Target("it", "127.0.0.1", 8080))
    assert prediction.remedy == (
        "the published port leads to 198.18.1.2:80: in web, listen there or on 0.0.0.0"
    )


def test_a_container_without_a_way_out_has_nothing_published() -> None:
    made = project("0.0.0.0")
    alone = facts(interface("eth0", "198.18.1.2/24"), listeners=(listener("0.0.0.0", 80),))
    lab = View(
        {**made.facts, "web": alone}, Topology(made.topology.networks, made.topology.hosts), made.engine
    )
    prediction = predict(lab, Bind("web", "web", "0.0.0.0"), 80, "host", Target("it", "127.0.0.1", 8080))
    assert prediction.outcome == REFUSED
    assert prediction.remedy == "give web a network that is not internal"
