"""What the kernel does that a predictor gets wrong at first: each case a small lab of its own, all in one.

Every expectation is written down here, and holds for the prediction and for the real kernel alike; by TCP and
by UDP, for which a second one is named where it is another.
"""

from __future__ import annotations

import pytest

from netlab.model import BY_TCP, Transport
from tests.netns.cases import (
    ANY4,
    ANY6,
    FORBIDDEN,
    INVALID,
    NO_HOST,
    NO_NETWORK,
    OPEN,
    REFUSED,
    SILENCE,
    TIMEOUT,
    Cases,
    Found,
    On,
    at,
    check,
    elsewhere,
    measured,
    routes,
    rp_filter,
)
from tests.netns.measuring import BY_UDP

CASES: Cases = {
    "a circle of two routers uses the hops up, and the sender is told": (
        {
            "a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2"))),
            "r": On(at(2, 1, 2), router=True, plan=routes((ANY4, "198.18.2.3"), (ANY6, "2001:db8:2::3"))),
            "s": On(
                at(3, 2),
                router=True,
                plan=routes((ANY4, "198.18.2.2"), (ANY6, "2001:db8:2::2"), ("198.18.1.0/24", "198.18.2.2")),
            ),
        },
        {("a", "198.18.9.9"): NO_HOST, ("a", "2001:db8:9::9"): NO_HOST},
    ),
    "a circle through the sender ends there in IPv4: its own source comes in (fib_validate_source)": (
        {
            "a": On(at(1, 1), router=True, plan=routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2"))),
            "r": On(at(2, 1), router=True, plan=routes((ANY4, "198.18.1.1"), (ANY6, "2001:db8:1::1"))),
        },
        {("a", "198.18.9.9"): TIMEOUT, ("a", "2001:db8:9::9"): NO_HOST},
    ),
    "no route comes before the source check, so that strict rp_filter does not silence it": (
        {
            "a": On(at(1, 1, 2), plan=routes({"to": ANY4, "via": "198.18.1.2", "source": "198.18.2.1"})),
            "r": On(at(2, 1, 3), router=True, plan=routes(("198.18.2.0/24", "198.18.1.1"))),
            "s": On(
                at(3, 1, 2, 3),
                router=True,
                plan=routes(("198.18.9.0/24", "198.18.3.9")),
                sysctls=rp_filter("all", 1),
            ),
        },
        {("a", "198.18.9.9"): NO_NETWORK},
    ),
    "strict rp_filter drops what came another way than answers go; loose does not": (
        {
            "a": On(at(1, 1), plan=routes(("198.18.2.0/24", "198.18.1.2"), ("198.18.3.0/24", "198.18.1.2"))),
            "r": On(at(2, 1, 2, 3), router=True),
            "strict": On(at(3, 1, 2), sysctls=rp_filter("eth1", 1)),
            "loose": On(at(4, 1, 3), sysctls=rp_filter("eth1", 2)),
            "lost": On(at(5, 3), sysctls=rp_filter("eth0", 2)),
        },
        {
            ("a", "198.18.2.3"): TIMEOUT,
            ("a", "198.18.3.4"): (OPEN, elsewhere("198.18.1.4")),
            ("a", "198.18.3.5"): TIMEOUT,
            ("a", "198.18.1.3"): OPEN,
        },
    ),
    "strict rp_filter also covers ARP: who asks from a foreign address gets no answer (arp_process)": (
        {
            "a": On(
                at(1, 1, 2), plan=routes({"to": "198.18.1.3/32", "device": "eth0", "source": "198.18.2.1"})
            ),
            "s": On(at(3, 1, 2), sysctls=rp_filter("eth0", 1)),
        },
        {("a", "198.18.1.3"): NO_HOST},
    ),
    "whoever is asked by ARP learns who asks, even one that never answers itself": (
        {
            "a": On(at(1, 1), sysctls={"net/ipv4/conf/eth0/arp_ignore": "8"}),
            "s": On(at(3, 1)),
        },
        {("a", "198.18.1.3"): OPEN},
    ),
    "arp_ignore hides the addresses of other interfaces, neighbour discovery always does": (
        {
            "a": On(
                at(1, 1),
                plan=routes(
                    {"to": "198.18.2.0/24", "device": "eth0"}, {"to": "2001:db8:2::/64", "device": "eth0"}
                ),
            ),
            "weak": On(at(3, 1, 2)),
            "strong": On(at(4, 1, 2), sysctls={"net/ipv4/conf/all/arp_ignore": "1"}),
        },
        {
            ("a", "198.18.2.3"): (OPEN, elsewhere("198.18.1.3")),
            ("a", "198.18.2.4"): NO_HOST,
            ("a", "2001:db8:2::3"): NO_HOST,
            ("a", "198.18.1.4"): OPEN,
        },
    ),
    "an address on lo is answered for by ARP, not by neighbour discovery": (
        {
            "a": On(
                at(1, 1),
                plan=routes(
                    {"to": "198.19.0.3/32", "device": "eth0"},
                    {"to": "2001:db8:ff::3/128", "device": "eth0"},
                    ("2001:db8:ff::4/128", "2001:db8:1::3"),
                ),
            ),
            "s": On(
                at(3, 1),
                plan={
                    "addresses": [
                        {"device": "lo", "prefix": prefix}
                        for prefix in ("198.19.0.3/32", "2001:db8:ff::3/128", "2001:db8:ff::4/128")
                    ]
                },
            ),
        },
        {
            ("a", "198.19.0.3"): (OPEN, elsewhere("198.18.1.3")),
            ("a", "2001:db8:ff::3"): NO_HOST,
            ("a", "2001:db8:ff::4"): (OPEN, elsewhere("2001:db8:1::3")),
        },
    ),
    "a host that is no router says nothing in IPv4; in IPv6 it says that it has no route (ip6_pkt_drop)": (
        {
            "a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2"))),
            "b": On(at(2, 1, 2)),
        },
        {
            ("a", "198.18.9.9"): TIMEOUT,
            ("a", "2001:db8:9::9"): NO_NETWORK,
            ("a", "2001:db8:2::9"): TIMEOUT,
            ("a", "2001:db8:2::2"): (OPEN, elsewhere("2001:db8:1::2")),
        },
    ),
    "a socket bound to an interface answers by it alone, whatever the routes (inet_csk_route_req)": (
        {
            "a": On(
                at(1, 1), plan=routes(("198.18.2.0/24", "198.18.1.2"), ("2001:db8:2::/64", "2001:db8:1::2"))
            ),
            "r": On(at(2, 1, 2), router=True),
            # The answer to `a` has a route by eth1 on one host, and none on the other.
            "one": On(at(3, 2), device="eth0", plan=routes((ANY4, "198.18.2.2"), (ANY6, "2001:db8:2::2"))),
            "two": On(at(4, 3, 2), device="eth1", plan=routes((ANY4, "198.18.3.9"), (ANY6, "2001:db8:3::9"))),
            "other": On(
                at(5, 2, 3), device="eth1", plan=routes((ANY4, "198.18.2.2"), (ANY6, "2001:db8:2::2"))
            ),
        },
        {
            ("a", "198.18.2.3"): OPEN,
            ("a", "2001:db8:2::3"): OPEN,
            ("a", "198.18.2.4"): TIMEOUT,
            ("a", "2001:db8:2::4"): TIMEOUT,
            ("a", "198.18.2.5"): REFUSED,
            ("a", "2001:db8:2::5"): REFUSED,
            ("other", "198.18.3.5"): OPEN,
            ("other", "198.18.2.5"): REFUSED,
        },
    ),
    "without a route by its interface, such a socket takes an IPv4 address for a neighbour's": (
        {
            "a": On(
                at(1, 1, 2), plan=routes({"to": "198.18.2.3/32", "device": "eth1", "source": "198.18.1.1"})
            ),
            "s": On(at(3, 3, 2), device="eth1"),
        },
        {("a", "198.18.2.3"): OPEN},
    ),
    "IPv4 obeys a rule for its source at once; in IPv6 a connection does after two seconds, a datagram not": (
        {
            "a": On(
                at(1, 1),
                plan={
                    **routes(
                        ("198.18.2.0/24", "198.18.1.2"),
                        ("2001:db8:2::/64", "2001:db8:1::2"),
                        {"to": "198.18.2.0/24", "via": "198.18.1.3", "table": 100},
                        {"to": "2001:db8:2::/64", "via": "2001:db8:1::3", "table": 100},
                    ),
                    "rules": [
                        {"family": 4, "priority": 100, "table": 100, "source": "198.18.1.1/32"},
                        {"family": 6, "priority": 100, "table": 100, "source": "2001:db8:1::1/128"},
                    ],
                },
            ),
            "silent": On(at(2, 1), plan=routes(("2001:db8:2::/64", "2001:db8:1::9"))),
            "r": On(at(3, 1, 2), router=True),
            "s": On(at(4, 2), plan=routes((ANY4, "198.18.2.3"), (ANY6, "2001:db8:2::3"))),
        },
        {("a", "198.18.2.4"): OPEN, ("a", "2001:db8:2::4"): (OPEN, SILENCE)},
    ),
    "where only a rule for the source knows the way, IPv6 finds it and IPv4 does not": (
        {
            "a": On(
                at(1, 1),
                plan={
                    **routes(
                        {"to": ANY4, "via": "198.18.1.2", "table": 100},
                        {"to": ANY6, "via": "2001:db8:1::2", "table": 100},
                    ),
                    "rules": [
                        {"family": 4, "priority": 100, "table": 100, "source": "198.18.1.1/32"},
                        {"family": 6, "priority": 100, "table": 100, "source": "2001:db8:1::1/128"},
                    ],
                },
            ),
            "s": On(at(2, 1, 2)),
        },
        {("a", "198.18.2.2"): NO_NETWORK, ("a", "2001:db8:2::2"): (OPEN, elsewhere("2001:db8:1::2"))},
    ),
    "an ICMPv6 error has a source before it has a route, so that rules for it count (icmp6_send)": (
        {
            "a": On(at(1, 1), plan=routes((ANY6, "2001:db8:1::2"), (ANY4, "198.18.1.2"))),
            "r": On(
                at(2, 1, 2),
                router=True,
                plan={
                    "rules": [
                        {"family": 6, "priority": 100, "action": "blackhole", "source": "2001:db8:1::2/128"},
                        {"family": 4, "priority": 100, "action": "blackhole", "source": "198.18.1.2/32"},
                    ]
                },
            ),
        },
        {("a", "2001:db8:9::9"): TIMEOUT, ("a", "198.18.9.9"): NO_NETWORK},
    ),
    "unless the route back prefers a source (icmpv6_rt_has_prefsrc)": (
        {
            "a": On(at(1, 1), plan=routes((ANY6, "2001:db8:1::2"))),
            "r": On(
                at(2, 1, 2),
                router=True,
                plan={
                    **routes({"to": "2001:db8:1::1/128", "device": "eth0", "source": "2001:db8:2::2"}),
                    "rules": [
                        {"family": 6, "priority": 100, "action": "blackhole", "source": "2001:db8:1::2/128"}
                    ],
                },
            ),
        },
        {("a", "2001:db8:9::9"): NO_NETWORK},
    ),
    "a rule may refuse by itself": (
        {
            "a": On(
                at(1, 1),
                plan={
                    **routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2")),
                    "rules": [
                        {"family": family, "priority": 100 + n, "action": action, "destination": to}
                        for family, pattern in ((4, "198.18.{}.0/24"), (6, "2001:db8:{}::/64"))
                        for n, action in ((5, "prohibit"), (6, "blackhole"), (7, "unreachable"))
                        for to in (pattern.format(n),)
                    ],
                },
            ),
            "b": On(at(2, 1)),
        },
        {
            ("a", "198.18.5.5"): FORBIDDEN,
            ("a", "198.18.6.6"): INVALID,
            ("a", "198.18.7.7"): NO_NETWORK,
            ("a", "2001:db8:5::5"): FORBIDDEN,
            ("a", "2001:db8:6::6"): INVALID,
            ("a", "2001:db8:7::7"): NO_NETWORK,
        },
    ),
    "each kind of route says no in its own way, on the host itself": (
        {
            "a": On(
                at(1, 1),
                plan=routes(
                    *(
                        {"to": pattern.format(n), "kind": kind}
                        for pattern in ("198.18.{}.0/24", "2001:db8:{}::/64")
                        for n, kind in enumerate(("unreachable", "prohibit", "blackhole", "throw"), start=5)
                    )
                ),
            )
        },
        {
            ("a", "198.18.5.5"): NO_HOST,
            ("a", "198.18.6.6"): FORBIDDEN,
            ("a", "198.18.7.7"): INVALID,
            ("a", "198.18.8.8"): NO_NETWORK,
            ("a", "2001:db8:5::5"): NO_HOST,
            ("a", "2001:db8:6::6"): FORBIDDEN,
            ("a", "2001:db8:7::7"): INVALID,
            ("a", "2001:db8:8::8"): NO_NETWORK,
        },
    ),
    "and on a router, by the ICMP error that it sends": (
        {
            "a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2"))),
            "r": On(
                at(2, 1),
                router=True,
                plan=routes(
                    *(
                        {"to": pattern.format(n), "kind": kind}
                        for pattern in ("198.18.{}.0/24", "2001:db8:{}::/64")
                        for n, kind in enumerate(("unreachable", "prohibit", "blackhole"), start=5)
                    )
                ),
            ),
        },
        {
            ("a", "198.18.5.5"): NO_HOST,
            ("a", "198.18.6.6"): NO_HOST,
            ("a", "198.18.7.7"): TIMEOUT,
            ("a", "198.18.8.8"): NO_NETWORK,
            ("a", "2001:db8:5::5"): NO_NETWORK,
            ("a", "2001:db8:6::6"): FORBIDDEN,
            ("a", "2001:db8:7::7"): TIMEOUT,
            ("a", "2001:db8:8::8"): NO_NETWORK,
        },
    ),
    "a router whose next hop is dead says so after three seconds": (
        {
            "a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2"))),
            "r": On(
                at(2, 1, 2),
                router=True,
                plan=routes(("198.18.3.0/24", "198.18.2.9"), ("2001:db8:3::/64", "2001:db8:2::9")),
            ),
        },
        {
            ("a", "198.18.3.3"): NO_HOST,
            ("a", "198.18.2.8"): NO_HOST,
            ("a", "2001:db8:3::3"): NO_HOST,
            ("a", "2001:db8:2::8"): NO_HOST,
        },
    ),
    "the longest prefix wins, then the lowest metric": (
        {
            "a": On(
                at(1, 1),
                plan=routes(
                    {"to": "198.18.2.0/24", "via": "198.18.1.9", "metric": 50},
                    {"to": "198.18.2.0/24", "via": "198.18.1.2", "metric": 5},
                    {"to": "198.18.2.4/32", "via": "198.18.1.9", "metric": 2000},
                    {"to": "2001:db8:2::/64", "via": "2001:db8:1::2", "metric": 5},
                    {"to": "2001:db8:2::/64", "via": "2001:db8:1::9", "metric": 50},
                ),
            ),
            "r": On(at(2, 1, 2), router=True),
            "s": On(at(3, 2), plan=routes((ANY4, "198.18.2.2"), (ANY6, "2001:db8:2::2"))),
            "t": On(at(4, 2), plan=routes((ANY4, "198.18.2.2"))),
        },
        {("a", "198.18.2.3"): OPEN, ("a", "198.18.2.4"): NO_HOST, ("a", "2001:db8:2::3"): OPEN},
    ),
    "the answer goes to the source that the route prefers": (
        {
            "a": On(
                at(1, 1, 2), plan=routes({"to": "198.18.3.0/24", "via": "198.18.1.2", "source": "198.18.2.1"})
            ),
            "r": On(at(2, 1, 3), router=True),
            # It knows the way to 198.18.1.0/24, and not to 198.18.2.0/24.
            "s": On(at(3, 3), plan=routes(("198.18.1.0/24", "198.18.3.2"))),
        },
        {("a", "198.18.3.3"): TIMEOUT},
    ),
    "a router's networks have an anycast address: it takes no connection, and another answers datagrams": (
        {
            "a": On(at(1, 1)),
            "r": On(at(2, 1), router=True),
            "b": On(at(3, 2)),
            "q": On(at(4, 2), router=True, silent=True),
        },
        {
            ("a", "2001:db8:1::"): (TIMEOUT, elsewhere("2001:db8:1::2")),
            ("r", "2001:db8:1::"): (TIMEOUT, elsewhere("2001:db8:1::2")),
            ("b", "2001:db8:2::"): (TIMEOUT, REFUSED),
            ("a", "2001:db8:1::2"): OPEN,
        },
    ),
    "TCP is between two; a broadcast has to be asked for, multicast is sent to whoever is in the group": (
        {"a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2"))), "b": On(at(2, 1))},
        {
            ("a", "198.18.1.255"): (NO_NETWORK, FORBIDDEN),
            ("a", "224.0.0.9"): (NO_NETWORK, SILENCE),
            ("a", "ff05::9"): (NO_NETWORK, SILENCE),
            ("a", "ff02::9"): (NO_NETWORK, INVALID),
            ("a", "ff02::9%eth0"): (NO_NETWORK, SILENCE),
            ("a", "255.255.255.255"): (NO_NETWORK, FORBIDDEN),
        },
    ),
    "a route that refuses comes before multicast in IPv4": (
        {
            "a": On(
                at(1, 1),
                plan=routes({"to": ANY4, "kind": "blackhole"}, {"to": "ff00::/8", "kind": "blackhole"}),
            )
        },
        {("a", "224.0.0.9"): INVALID, ("a", "ff02::9"): (NO_NETWORK, INVALID)},
    ),
    "a link-local address needs its interface, and to TCP on it nobody says that nobody is there": (
        {"a": On({"n1": ("fe80::1/64",)}), "b": On({"n1": ("fe80::2/64",)}, device="eth0")},
        {
            ("a", "fe80::2%eth0"): OPEN,
            ("a", "fe80::9%eth0"): (TIMEOUT, NO_HOST),
            ("a", "fe80::1%eth0"): OPEN,
            ("a", "fe80::2"): INVALID,
        },
    ),
    "what comes from a link-local address is not passed on, and the sender is told": (
        {
            "a": On({"n1": ("fe80::1/64",)}, plan=routes({"to": ANY6, "via": "fe80::2", "device": "eth0"})),
            "r": On({"n1": ("2001:db8:1::2/64", "fe80::2/64"), "n2": ("2001:db8:2::2/64",)}, router=True),
            "s": On(at(3, 2), plan=routes((ANY6, "2001:db8:2::2"))),
        },
        {("a", "2001:db8:2::3"): NO_HOST, ("a", "2001:db8:2::2"): (OPEN, elsewhere("fe80::2"))},
    ),
    "IPv4 forwards interface by interface, by which the packet comes in": (
        {
            "a": On(at(1, 1), plan=routes(("198.18.2.0/24", "198.18.1.2"))),
            "b": On(at(3, 2), plan=routes(("198.18.1.0/24", "198.18.2.2"))),
            "r": On(at(2, 1, 2), router=True, sysctls={"net/ipv4/conf/eth1/forwarding": "0"}),
        },
        {("a", "198.18.2.3"): TIMEOUT, ("a", "198.18.2.2"): (OPEN, elsewhere("198.18.1.2"))},
    ),
    "an interface without an address borrows one": (
        {
            "a": On(
                {"n1": ()},
                plan={
                    "addresses": [{"device": "lo", "prefix": "198.19.0.1/32"}],
                    **routes({"to": "198.18.1.0/24", "device": "eth0"}),
                },
            ),
            "s": On(at(3, 1), plan=routes({"to": "198.19.0.1/32", "device": "eth0"})),
        },
        {("a", "198.18.1.3"): OPEN},
    ),
    "an IPv6 source fits its destination: label before length, interface before both (RFC 6724, 5)": (
        {
            "a": On(
                {"n1": ("2001:db8:1::1/64", "fd00:1::1/64")},
                plan=routes((ANY6, "2001:db8:1::2")),
            ),
            # It answers to fd00::/8 only: the source tells by which address `a` called.
            "s": On(
                {"n1": ("2001:db8:1::2/64",)},
                plan={
                    "addresses": [
                        {"device": "lo", "prefix": prefix}
                        for prefix in ("fd00:9::2/128", "2001:db8:9::2/128")
                    ],
                    **routes(
                        {"to": "fd00:1::/64", "device": "eth0"},
                        {"to": "2001:db8:1::1/128", "kind": "blackhole"},
                    ),
                },
            ),
        },
        {("a", "fd00:9::2"): (OPEN, elsewhere("2001:db8:1::2")), ("a", "2001:db8:9::2"): TIMEOUT},
    ),
    "a wildcard as a destination is the loopback address, an IPv4-mapped one is IPv4": (
        {"a": On(at(1, 1), device="lo"), "b": On(at(2, 1))},
        {
            ("a", "0.0.0.0"): OPEN,
            ("a", "::"): OPEN,
            ("a", "::ffff:127.0.0.1"): OPEN,
            ("a", "::ffff:0.0.0.0"): OPEN,
            ("a", "198.18.1.1"): REFUSED,
            ("b", "::ffff:198.18.1.1"): REFUSED,
            ("a", "::ffff:198.18.1.2"): OPEN,
        },
    ),
    "an interface that is down answers nobody": (
        {"a": On(at(1, 1)), "b": On(at(2, 1, 2), plan={"links": [{"device": "eth0", "up": False}]})},
        {("a", "198.18.1.2"): NO_HOST, ("a", "2001:db8:1::2"): NO_HOST},
    ),
}


@pytest.fixture(scope="module")
def found() -> Found:
    return measured(CASES, dict.fromkeys(CASES, (BY_TCP, BY_UDP)))


@pytest.mark.parametrize("by", [BY_TCP, BY_UDP], ids=lambda by: by.protocol)
@pytest.mark.parametrize("name", CASES)
def test_the_prediction_and_the_kernel_agree_that(name: str, by: Transport, found: Found) -> None:
    check(name, by, CASES, found)
