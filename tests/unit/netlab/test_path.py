"""The way of a packet through labs made by hand; tests/netns/test_predictor_* have it from a real kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from netlab.model import Outcome, Prediction, Verdict
from netlab.predict.output import source_with_another_route
from netlab.predict.path import lost, send
from netlab.predict.view import Delivered
from tests.unit.netlab.made import facts, interface, ip, route, rule, view

if TYPE_CHECKING:
    from netlab.facts import Facts
    from netlab.predict import View

NO_NETWORK = Outcome(Verdict.UNREACHABLE, "ENETUNREACH")
NO_HOST = Outcome(Verdict.UNREACHABLE, "EHOSTUNREACH")
TIMEOUT = Outcome(Verdict.TIMEOUT)

# peer -- lan -- router -- far -- server
PEER = facts(
    interface("eth0", "198.18.1.20/24", "2001:db8:1::20/64"),
    routes=(route("0.0.0.0/0", "198.18.1.1"), route("::/0", "2001:db8:1::1")),
)
ROUTER = facts(
    interface("eth0", "198.18.1.1/24", "2001:db8:1::1/64"),
    interface("eth1", "198.18.3.1/24", "2001:db8:3::1/64"),
    forwards=True,
)
SERVER = facts(
    interface("eth0", "198.18.3.11/24", "2001:db8:3::11/64"),
    interface("eth1", "198.18.4.11/24", "2001:db8:4::11/64"),
    routes=(route("0.0.0.0/0", "198.18.3.1"), route("::/0", "2001:db8:3::1")),
)


def lab(peer: Facts = PEER, router: Facts = ROUTER, server: Facts = SERVER) -> View:
    return view(
        peer=(peer, {"eth0": "lan"}),
        router=(router, {"eth0": "lan", "eth1": "far"}),
        server=(server, {"eth0": "far", "eth1": "back"}),
    )


def arrived(lab: View, to: str, by: str | None = None) -> Delivered:
    sent = send(lab, "peer", ip(to), by)
    assert isinstance(sent, Delivered), sent
    return sent


def ended(lab: View, to: str) -> Prediction:
    sent = send(lab, "peer", ip(to))
    assert isinstance(sent, Prediction), sent
    return sent


def with_routes(known: Facts, *routes: object) -> Facts:
    return replace(known, routes=(*known.routes, *routes))  # type: ignore[arg-type]


def with_sysctls(known: Facts, **sysctls: str) -> Facts:
    named = {f"net.ipv4.conf.{name.replace('__', '.')}": value for name, value in sysctls.items()}
    return replace(known, sysctls={**known.sysctls, **named})


@pytest.mark.parametrize(
    ("to", "host", "device", "source"),
    [
        ("198.18.3.11", "server", "eth0", "198.18.1.20"),
        ("2001:db8:3::11", "server", "eth0", "2001:db8:1::20"),
        ("198.18.1.1", "router", "eth0", "198.18.1.20"),
        ("198.18.3.1", "router", "eth0", "198.18.1.20"),  # weak host: in by lan, though the address is far's
        ("198.18.1.20", "peer", "eth0", "198.18.1.20"),
        ("127.0.0.2", "peer", "lo", "127.0.0.1"),
        ("::1", "peer", "lo", "::1"),
    ],
)
def test_a_packet_arrives(to: str, host: str, device: str, source: str) -> None:
    sent = arrived(lab(), to)
    assert (sent.host, sent.device, sent.source) == (host, device, ip(source))


def test_each_step_of_the_way_is_noted() -> None:
    assert [(s.kind, s.host, s.text) for s in arrived(lab(), "198.18.3.11").steps] == [
        ("route", "peer", "default via 198.18.1.1 dev eth0, source 198.18.1.20"),
        ("forward", "router", "passes it on: 198.18.3.0/24 dev eth1"),
        ("delivery", "server", "198.18.3.11 is local, on eth0"),
    ]


@pytest.mark.parametrize(
    ("to", "outcome", "last"),
    [
        ("198.18.9.9", NO_NETWORK, "ICMP network unreachable, to 198.18.1.20"),
        ("2001:db8:9::9", NO_NETWORK, "ICMPv6 no route to destination, to 2001:db8:1::20"),
        ("198.18.1.99", NO_HOST, "nobody on eth0 answers for 198.18.1.99"),
        ("198.18.3.99", NO_HOST, "ICMP host unreachable, to 198.18.1.20"),
        ("2001:db8:3::99", NO_HOST, "ICMPv6 address unreachable, to 2001:db8:1::20"),
        ("224.0.0.9", NO_NETWORK, "224.0.0.9 is not the address of one host: TCP is between two"),
    ],
)
def test_a_packet_ends(to: str, outcome: Outcome, last: str) -> None:
    prediction = ended(lab(), to)
    assert prediction.outcome == outcome
    assert prediction.reason[-1].text == last
    assert prediction.remedy


def test_a_host_that_does_not_forward_drops_in_silence() -> None:
    deaf = replace(ROUTER, sysctls=dict.fromkeys(ROUTER.sysctls, "0"))
    for to in ("198.18.3.11", "198.18.9.9", "2001:db8:3::11"):
        prediction = ended(lab(router=deaf), to)
        assert prediction.outcome == TIMEOUT
        assert "is no router" in prediction.reason[-1].text


def test_an_ipv6_host_without_a_route_says_so_even_if_it_is_no_router() -> None:
    deaf = replace(ROUTER, sysctls=dict.fromkeys(ROUTER.sysctls, "0"))
    assert ended(lab(router=deaf), "2001:db8:9::9").outcome == NO_NETWORK


@pytest.mark.parametrize(
    ("kind", "own", "of_router4", "of_router6"),
    [
        ("unreachable", "EHOSTUNREACH", NO_HOST, NO_NETWORK),
        ("prohibit", "EACCES", NO_HOST, Outcome(Verdict.UNREACHABLE, "EACCES")),
        ("blackhole", "EINVAL", TIMEOUT, TIMEOUT),
    ],
)
def test_each_kind_of_refusing_route_has_its_own_error(
    kind: str, own: str, of_router4: Outcome, of_router6: Outcome
) -> None:
    refusing = (
        route("198.18.3.11/32", kind=kind, dev=None),
        route("2001:db8:3::11/128", kind=kind, dev="lo"),
    )
    at_home = lab(peer=with_routes(PEER, *refusing))
    on_the_way = lab(router=with_routes(ROUTER, *refusing))
    assert ended(at_home, "198.18.3.11").outcome == Outcome(Verdict.UNREACHABLE, own)
    assert ended(at_home, "2001:db8:3::11").outcome == Outcome(Verdict.UNREACHABLE, own)
    assert ended(on_the_way, "198.18.3.11").outcome == of_router4
    assert ended(on_the_way, "2001:db8:3::11").outcome == of_router6


@pytest.mark.parametrize(
    ("to", "via", "message", "source"),
    [
        ("198.18.9.9", "198.18.3.11", "ICMP time exceeded, to 198.18.1.20", "RFC 1812, 5.2.7.3"),
        ("2001:db8:9::9", "2001:db8:3::11", "ICMPv6 hop limit exceeded, to 2001:db8:1::20", "RFC 4443, 3.3"),
    ],
    ids=["IPv4", "IPv6"],
)
def test_a_circle_is_told_of_once_and_ends_with_the_hops(
    to: str, via: str, message: str, source: str
) -> None:
    back = with_routes(ROUTER, route(to, via, "eth1"))
    forth = replace(SERVER, sysctls=dict.fromkeys(SERVER.sysctls, "1"))
    prediction = ended(lab(router=back, server=forth), to)
    assert prediction.outcome == NO_HOST
    forwards = [step.host for step in prediction.reason if step.kind == "forward"]
    assert forwards == ["router", "server", "router", "server"]
    assert "circle" in prediction.reason[-2].text
    assert len(prediction.reason) < 8
    assert (prediction.reason[-1].text, prediction.reason[-1].rests_on) == (message, source)


def test_a_routers_error_rests_on_the_rule_of_its_kind() -> None:
    assert ended(lab(), "198.18.9.9").reason[-1].rests_on == "RFC 1812, 5.2.7.1"
    assert ended(lab(), "2001:db8:9::9").reason[-1].rests_on == "RFC 4443, 3.1"


def test_an_error_that_finds_no_way_back_is_a_timeout_and_says_where_it_is_lost() -> None:
    lost_way = with_routes(ROUTER, route("198.18.1.20/32", kind="blackhole", dev=None))
    prediction = ended(lab(router=lost_way), "198.18.9.9")
    assert prediction.outcome == TIMEOUT
    assert prediction.reason[-1].text == (
        "ICMP network unreachable, which is lost on its way back to 198.18.1.20: "
        "the route to 198.18.1.20 is blackhole"
    )


@pytest.mark.parametrize(("value", "passes"), [("0", True), ("1", False), ("2", True)])
def test_a_strict_source_check_wants_the_answer_to_leave_where_the_packet_came_in(
    value: str, passes: bool
) -> None:
    another_way = replace(SERVER, routes=tuple(r for r in SERVER.routes if r.destination.prefixlen))
    another_way = with_routes(another_way, route("0.0.0.0/0", "198.18.4.1", "eth1"))
    sent = send(lab(server=with_sysctls(another_way, eth0__rp_filter=value)), "peer", ip("198.18.3.11"))
    assert isinstance(sent, Delivered) == passes


def test_the_stricter_of_the_two_source_checks_counts() -> None:
    no_way_back = replace(SERVER, routes=tuple(r for r in SERVER.routes if r.destination.prefixlen))
    loose = with_sysctls(no_way_back, all__rp_filter="2", eth0__rp_filter="0")
    prediction = ended(lab(server=loose), "198.18.3.11")
    assert prediction.outcome == TIMEOUT
    assert prediction.reason[-1].text == (
        "answers to 198.18.1.20 would leave nowhere, and it came in by eth0: dropped"
    )
    assert "rp_filter = 2" in prediction.reason[-1].rests_on


def test_a_source_whose_route_refuses_is_no_source_to_a_loose_check() -> None:
    refusing = with_routes(SERVER, route("198.18.1.20/32", kind="unreachable", dev=None))
    assert ended(lab(server=with_sysctls(refusing, eth0__rp_filter="2")), "198.18.3.11").outcome == TIMEOUT
    assert arrived(lab(server=refusing), "198.18.3.11").host == "server"


def test_on_an_interface_without_an_address_a_loose_check_is_a_strict_one() -> None:
    unnumbered = facts(
        interface("eth0"),
        interface("eth1", "198.18.4.11/24"),
        interface("lo", "127.0.0.1/8", "198.18.3.11/32"),
        routes=(route("0.0.0.0/0", "198.18.4.1", "eth1"),),
    )
    arp_free = with_routes(ROUTER, route("198.18.3.11/32", dev="eth1"))
    loose = with_sysctls(unnumbered, eth0__rp_filter="2")
    assert arrived(lab(router=arp_free, server=unnumbered), "198.18.3.11").host == "server"
    assert not isinstance(send(lab(router=arp_free, server=loose), "peer", ip("198.18.3.11")), Delivered)


def test_the_source_check_also_covers_who_asks_by_arp() -> None:
    from_afar = with_routes(PEER, route("198.18.1.1/32", src="198.18.8.20"))
    from_afar = replace(from_afar, interfaces=(*from_afar.interfaces, interface("eth1", "198.18.8.20/32")))
    from_afar = with_routes(from_afar, route("198.18.8.20/32", dev="eth1", kind="local", table=255))
    strict = with_sysctls(ROUTER, eth0__rp_filter="1")
    prediction = ended(lab(peer=from_afar, router=strict), "198.18.1.1")
    assert prediction.reason[-1].text == "nobody on eth0 answers for 198.18.1.1"
    assert prediction.outcome == NO_HOST


def test_ipv4_forwards_by_the_interface_and_ipv6_by_all_of_them() -> None:
    by_interface = {**dict.fromkeys(ROUTER.sysctls, "0"), "net.ipv4.conf.eth0.forwarding": "1"}
    by_interface["net.ipv6.conf.eth0.forwarding"] = "1"
    one = lab(router=replace(ROUTER, sysctls=by_interface))
    assert arrived(one, "198.18.3.11").host == "server"
    assert ended(one, "2001:db8:3::11").outcome == TIMEOUT


def test_a_missing_route_is_found_before_the_source_is_checked() -> None:
    # The answer to peer's other address would leave by eth1; peer asks by ARP from the first, which is fine.
    from_afar = with_routes(PEER, route("198.18.9.0/24", "198.18.1.1", src="198.18.8.20"))
    strict = with_sysctls(
        with_routes(ROUTER, route("198.18.8.20/32", "198.18.3.11", "eth1")), all__rp_filter="1"
    )
    prediction = ended(lab(peer=from_afar, router=strict), "198.18.9.9")
    assert prediction.reason[-1].text.startswith("ICMP network unreachable, which is lost")


def test_a_packet_whose_source_is_the_host_itself_is_dropped() -> None:
    back_to_peer = with_routes(ROUTER, route("198.18.9.0/24", "198.18.1.20"))
    forwarding_peer = replace(PEER, sysctls=dict.fromkeys(PEER.sysctls, "1"))
    prediction = ended(lab(peer=forwarding_peer, router=back_to_peer), "198.18.9.9")
    assert prediction.outcome == TIMEOUT
    assert prediction.reason[-1].text == "198.18.1.20 came in by eth0 and is peer itself: dropped"


def test_a_loopback_destination_from_outside_is_dropped_unless_allowed() -> None:
    leaky = replace(
        PEER,
        routes=(route("127.0.0.0/8", "198.18.1.1"), *(r for r in PEER.routes if r.device != "lo")),
    )
    prediction = ended(lab(peer=leaky), "127.0.0.1")
    assert prediction.reason[-1].kind == "filter"
    assert "loopback address from outside" in prediction.reason[-1].text
    allowed = with_sysctls(ROUTER, eth0__route_localnet="1")
    assert arrived(lab(peer=leaky, router=allowed), "127.0.0.1").host == "router"


def test_arp_is_answered_for_any_address_of_the_host_and_neighbour_discovery_is_not() -> None:
    on_link = with_routes(PEER, route("198.18.3.1/32"), route("2001:db8:3::1/128"))
    assert arrived(lab(peer=on_link), "198.18.3.1").host == "router"
    assert ended(lab(peer=on_link), "2001:db8:3::1").outcome == NO_HOST


@pytest.mark.parametrize(
    ("ignore", "answers"), [("0", True), ("1", False), ("2", False), ("3", True), ("8", False)]
)
def test_arp_ignore_narrows_what_is_answered_for(ignore: str, answers: bool) -> None:
    on_link = with_routes(PEER, route("198.18.3.1/32"))
    shy = with_sysctls(ROUTER, eth0__arp_ignore=ignore)
    sent = send(lab(peer=on_link, router=shy), "peer", ip("198.18.3.1"))
    assert isinstance(sent, Delivered) == answers


def test_arp_ignore_may_also_want_the_asker_on_the_same_subnet() -> None:
    foreign = facts(interface("eth0", "198.18.7.20/24"), routes=(route("198.18.1.1/32"),))
    for ignore, answers in (("1", True), ("2", False)):
        shy = with_sysctls(with_routes(ROUTER, route("198.18.7.0/24")), eth0__arp_ignore=ignore)
        sent = send(lab(peer=foreign, router=shy), "peer", ip("198.18.1.1"))
        assert isinstance(sent, Delivered) == answers


def test_of_what_is_not_for_it_a_host_that_is_no_router_checks_no_source() -> None:
    strict = with_sysctls(
        with_routes(ROUTER, route("198.18.8.20/32", "198.18.3.11", "eth1")),
        all__rp_filter="1",
        eth0__forwarding="0",
    )
    from_afar = with_routes(PEER, route("198.18.3.0/24", "198.18.1.1", src="198.18.8.20"))
    prediction = ended(lab(peer=from_afar, router=strict), "198.18.3.11")
    assert prediction.reason[-1].text == "198.18.3.11 is not local, and router is no router: dropped"


def test_a_route_that_refuses_comes_before_multicast_in_ipv4() -> None:
    refusing = with_routes(PEER, route("224.0.0.0/4", kind="blackhole", dev=None))
    assert ended(lab(peer=refusing), "224.0.0.9").outcome == Outcome(Verdict.UNREACHABLE, "EINVAL")


def test_an_icmpv6_error_has_the_source_of_the_way_in_unless_the_way_back_prefers_one() -> None:
    ruled = replace(
        ROUTER,
        rules=(rule(6, 0, 255), rule(6, 9, action="blackhole", src="2001:db8:1::1/128"), rule(6, 32766, 254)),
    )
    preferring = with_routes(ruled, route("2001:db8:1::20/128", src="2001:db8:3::1"))
    assert ended(lab(router=ruled), "2001:db8:9::9").outcome == TIMEOUT
    assert ended(lab(router=preferring), "2001:db8:9::9").outcome == NO_NETWORK


def test_an_icmp_error_does_not_look_twice() -> None:
    ruled = replace(
        ROUTER,
        rules=(rule(4, 0, 255), rule(4, 9, action="blackhole", src="198.18.1.1/32"), rule(4, 32766, 254)),
    )
    assert ended(lab(router=ruled), "198.18.9.9").outcome == NO_NETWORK


def test_an_interface_that_is_down_answers_nobody() -> None:
    down = replace(ROUTER, interfaces=(ROUTER.interfaces[0], replace(ROUTER.interfaces[1], up=False)))
    assert ended(lab(router=down), "198.18.1.1").outcome == NO_HOST


def test_whoever_was_asked_by_arp_needs_not_ask() -> None:
    shy = with_sysctls(PEER, eth0__arp_ignore="8")
    sent = arrived(lab(peer=shy), "198.18.1.1")
    assert (
        lost(lab(peer=shy), "router", ip("198.18.1.1"), ip("198.18.1.20"), "peer", learnt=sent.learnt) is None
    )
    unknown = lost(lab(peer=shy), "router", ip("198.18.1.1"), ip("198.18.1.20"), "peer")
    assert unknown is not None
    assert unknown.text == "nobody on eth0 answers for 198.18.1.20"


def test_an_answer_by_one_interface_alone_takes_an_ipv4_neighbour_for_granted() -> None:
    end = lost(lab(), "server", ip("198.18.4.11"), ip("198.18.1.20"), "peer", "eth1")
    assert end is not None
    assert end.text == "nobody on eth1 answers for 198.18.1.20"
    end = lost(lab(), "server", ip("2001:db8:4::11"), ip("2001:db8:1::20"), "peer", "eth1")
    assert end is not None
    assert end.text == "no route to 2001:db8:1::20"


def test_an_answer_that_arrives_elsewhere_is_lost_there() -> None:
    other = with_routes(ROUTER, route("198.18.1.20/32", dev="lo", kind="local", table=255))
    end = lost(lab(router=other), "server", ip("198.18.3.11"), ip("198.18.1.20"), "peer")
    assert end is not None
    assert (end.kind, end.host) == ("delivery", "router")


RULED = replace(
    with_routes(
        PEER,
        route("198.18.3.0/24", kind="prohibit", dev=None, table=100),
        route("2001:db8:3::/64", "2001:db8:1::7", table=100),
    ),
    rules=(
        rule(4, 0, 255),
        rule(6, 0, 255),
        rule(4, 100, 100, src="198.18.1.20/32"),
        rule(6, 100, 100, src="2001:db8:1::20/128"),
        rule(4, 32766, 254),
        rule(6, 32766, 254),
    ),
)


def test_an_ipv4_connection_looks_twice_and_obeys_a_rule_for_its_source() -> None:
    assert ended(lab(peer=RULED), "198.18.3.11").outcome == Outcome(Verdict.UNREACHABLE, "EACCES")


def test_an_ipv6_connection_looks_again_only_later() -> None:
    assert arrived(lab(peer=RULED), "2001:db8:3::11").host == "server"
    assert source_with_another_route(lab(peer=RULED), "peer", ip("2001:db8:3::11")) == ip("2001:db8:1::20")
    assert source_with_another_route(lab(), "peer", ip("2001:db8:3::11")) is None
    assert source_with_another_route(lab(peer=RULED), "peer", ip("198.18.3.11")) is None


def test_what_comes_from_a_link_local_address_is_not_passed_on() -> None:
    poor = facts(interface("eth0", "fe80::20/64"), routes=(route("::/0", "2001:db8:1::1"),))
    neighbourly = replace(
        ROUTER,
        interfaces=(
            *ROUTER.interfaces[:1],
            interface("eth0", "fe80::1/64", "2001:db8:1::1/64"),
            ROUTER.interfaces[2],
        ),
        routes=(*ROUTER.routes, route("fe80::/64")),
    )
    prediction = ended(lab(peer=poor, router=neighbourly), "2001:db8:3::11")
    assert prediction.outcome == NO_HOST
    assert prediction.reason[-1].text == "ICMPv6 beyond scope of source address, to fe80::20"


def test_a_routers_anycast_address_takes_no_connection() -> None:
    anycast = with_routes(ROUTER, route("2001:db8:1::/128", kind="anycast", table=255))
    assert ended(lab(router=anycast), "2001:db8:1::").outcome == TIMEOUT


def without_the_router(peer: Facts = PEER, server: Facts = SERVER) -> View:
    whole = view(peer=(peer, {"eth0": "lan"}), server=(server, {"eth0": "far", "eth1": "back"}))
    return replace(whole, complete=False)


@pytest.mark.parametrize("to", ["198.18.3.11", "2001:db8:3::11"])
def test_a_router_that_is_none_of_the_hosts_leads_to_a_network_that_it_is_the_gateway_of(to: str) -> None:
    sent = arrived(without_the_router(), to)
    assert (sent.host, sent.device) == ("server", "eth0")
    assert "is not among the machines: it is taken to pass the packet on" in sent.steps[1].text


@pytest.mark.parametrize("to", ["198.18.4.11", "2001:db8:4::11"])
def test_it_does_not_lead_to_a_network_on_which_nobody_has_a_router(to: str) -> None:
    lost_there = ended(without_the_router(), to)
    assert lost_there.outcome == NO_NETWORK
    assert "nobody on eth1 of server has a router there" in lost_there.reason[-1].text


def test_it_does_if_somebody_has_written_down_that_it_does() -> None:
    peer = with_routes(PEER, route("198.18.4.0/24", "198.18.1.1"))
    assert arrived(without_the_router(peer), "198.18.4.11").device == "eth1"


def test_it_may_lead_anywhere_where_nobody_has_a_router_at_all() -> None:
    server = replace(SERVER, routes=tuple(entry for entry in SERVER.routes if entry.gateway is None))
    assert arrived(without_the_router(server=server), "198.18.4.11").device == "eth1"
