"""What the kernel does with datagrams alone, and their answers: each case a small lab of its own, all in one.

Every expectation is written down here, and holds for the prediction and for the real kernel alike.
"""

from __future__ import annotations

import pytest

from tests.netns.cases import (
    ANY4,
    ANY6,
    NO_HOST,
    NO_NETWORK,
    OPEN,
    REFUSED,
    SILENCE,
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
from tests.netns.measuring import BY_UDP, BY_UDP_FROM_DIALLED


def on_lo(*prefixes: str) -> dict[str, list[dict[str, str]]]:
    return {"addresses": [{"device": "lo", "prefix": prefix} for prefix in prefixes]}


# A server with addresses that nobody's route back leads by, dialled through its lan.
AROUND = On(
    at(1, 1),
    plan=routes(
        ("198.18.2.0/24", "198.18.1.3"),
        ("2001:db8:2::/64", "2001:db8:1::3"),
        ("198.19.0.3/32", "198.18.1.3"),
        ("2001:db8:ff::3/128", "2001:db8:1::3"),
    ),
)
SERVER = On(at(3, 1, 2), plan=on_lo("198.19.0.3/32", "2001:db8:ff::3/128"))
# A rule that sends what has a certain source nowhere.
NOWHERE = {"rules": [{"family": 4, "priority": 100, "action": "blackhole", "source": "198.18.2.3/32"}]}

ROUTED: Cases = {
    "a wildcard socket answers from the address that goes with the route back": (
        {"a": AROUND, "s": SERVER},
        {
            ("a", "198.18.1.3"): OPEN,
            ("a", "198.18.2.3"): elsewhere("198.18.1.3"),
            ("a", "198.19.0.3"): elsewhere("198.18.1.3"),
            ("a", "2001:db8:1::3"): OPEN,
            ("a", "2001:db8:2::3"): elsewhere("2001:db8:1::3"),
            ("a", "2001:db8:ff::3"): elsewhere("2001:db8:1::3"),
        },
    ),
    "on its own host it answers from the address that asks: 127.0.0.1 for all of 127.0.0.0/8": (
        {"s": SERVER},
        {
            ("s", "127.0.0.1"): OPEN,
            ("s", "127.0.0.2"): elsewhere("127.0.0.1"),
            ("s", "::ffff:127.0.0.2"): elsewhere("127.0.0.1"),
            ("s", "0.0.0.0"): OPEN,
            ("s", "::1"): OPEN,
            ("s", "::"): OPEN,
            ("s", "198.18.2.3"): OPEN,
            ("s", "2001:db8:2::3"): OPEN,
            ("s", "198.19.0.3"): OPEN,
        },
    ),
    "a route may prefer a source, and then even the nearest address is answered from that one": (
        {
            "a": On(at(1, 1)),
            "s": On(
                at(3, 1, 2),
                plan=routes(
                    {"to": "198.18.1.1/32", "device": "eth0", "source": "198.18.2.3"},
                    {"to": "2001:db8:1::1/128", "device": "eth0", "source": "2001:db8:2::3"},
                ),
            ),
        },
        {("a", "198.18.1.3"): elsewhere("198.18.2.3"), ("a", "2001:db8:1::3"): elsewhere("2001:db8:2::3")},
    ),
    "a socket bound to an address answers from it, and nobody hears on the others": (
        {"a": AROUND, "s": On(SERVER.links, plan=SERVER.plan, address="198.18.2.3")},
        {("a", "198.18.2.3"): OPEN, ("a", "198.18.1.3"): REFUSED, ("a", "2001:db8:2::3"): REFUSED},
    ),
    "where nothing listens the kernel says so, from the address dialled, whatever it is": (
        {"a": AROUND, "s": On(SERVER.links, plan=SERVER.plan, silent=True)},
        {
            ("a", "198.18.1.3"): REFUSED,
            ("a", "198.18.2.3"): REFUSED,
            ("a", "198.19.0.3"): REFUSED,
            ("a", "2001:db8:2::3"): REFUSED,
            ("a", "2001:db8:ff::3"): REFUSED,
            ("s", "127.0.0.2"): REFUSED,
        },
    ),
    "a refusal that has no way back is silence": (
        {
            "a": On(at(1, 1)),
            "s": On(
                at(3, 1),
                silent=True,
                plan=routes(
                    {"to": "198.18.1.1/32", "kind": "blackhole"},
                    {"to": "2001:db8:1::1/128", "kind": "blackhole"},
                ),
            ),
        },
        {("a", "198.18.1.3"): SILENCE, ("a", "2001:db8:1::3"): SILENCE},
    ),
    "so is an answer": (
        {
            "a": On(at(1, 1)),
            "s": On(
                at(3, 1),
                plan=routes(
                    {"to": "198.18.1.1/32", "kind": "unreachable"},
                    {"to": "2001:db8:1::1/128", "kind": "unreachable"},
                ),
            ),
        },
        {("a", "198.18.1.3"): SILENCE, ("a", "2001:db8:1::3"): SILENCE},
    ),
    "strict rp_filter on the one who asks drops an answer from elsewhere that would not be sent back there": (
        {
            "a": On(at(1, 1), plan=routes(("198.18.2.0/24", "198.18.1.3")), sysctls=rp_filter("eth0", 1)),
            "s": On(
                at(3, 1, 2), plan=routes({"to": "198.18.1.1/32", "device": "eth0", "source": "198.18.2.3"})
            ),
            "t": On(
                {**at(4, 1), "n3": ("198.18.3.4/24",)},
                plan=routes({"to": "198.18.1.1/32", "device": "eth0", "source": "198.18.3.4"}),
            ),
        },
        {("a", "198.18.1.3"): elsewhere("198.18.2.3"), ("a", "198.18.1.4"): SILENCE},
    ),
    "of two addresses on one interface the first answers in IPv4, the one that fits best in IPv6": (
        {
            "a": On({"n1": ("198.18.1.1/24", "2001:db8:1::1/64", "fd00:1::1/64")}),
            "s": On(
                {"n1": ("198.18.1.3/24", "198.18.1.4/24", "2001:db8:1::3/64", "fd00:1::3/64")},
            ),
        },
        {
            ("a", "198.18.1.3"): OPEN,
            ("a", "198.18.1.4"): elsewhere("198.18.1.3"),
            ("a", "2001:db8:1::3"): OPEN,
            ("a", "fd00:1::3"): OPEN,
        },
    ),
    "a rule for its source does not hold for a wildcard socket's answer: its route is found before": (
        {"a": AROUND, "s": On(SERVER.links, plan={**SERVER.plan, **NOWHERE})},
        {("a", "198.18.2.3"): elsewhere("198.18.1.3")},
    ),
    "it holds for one that is bound to the address": (
        {"a": AROUND, "s": On(SERVER.links, plan={**SERVER.plan, **NOWHERE}, address="198.18.2.3")},
        {("a", "198.18.2.3"): SILENCE},
    ),
    "a router says what it can't pass on, and a host that nobody answers for says so itself": (
        {
            "a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"), (ANY6, "2001:db8:1::2"))),
            "r": On(at(2, 1, 2), router=True),
        },
        {
            ("a", "198.18.9.9"): NO_NETWORK,
            ("a", "2001:db8:9::9"): NO_NETWORK,
            ("a", "198.18.1.9"): NO_HOST,
            ("a", "2001:db8:1::9"): NO_HOST,
            ("a", "198.18.2.9"): NO_HOST,
        },
    ),
    "a router takes a broadcast of its other network itself, and answers from its own address": (
        {
            "a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"))),
            "r": On(at(2, 1, 2), router=True),
            "b": On(at(3, 1), plan=routes((ANY4, "198.18.1.4"))),
            "q": On(at(4, 1, 3), router=True, silent=True),
        },
        {("a", "198.18.2.255"): elsewhere("198.18.1.2"), ("b", "198.18.3.255"): SILENCE},
    ),
    "a link-local source for an address that is not": (
        {
            "a": On({"n1": ("fe80::1/64",)}, plan=routes({"to": "2001:db8:1::/64", "device": "eth0"})),
            "s": On({"n1": ("2001:db8:1::3/64", "fe80::3/64")}),
        },
        # The answer to a link-local address has a link-local source: RFC 6724, 5, rule 2.
        {("a", "2001:db8:1::3"): elsewhere("fe80::3"), ("a", "fe80::3%eth0"): OPEN},
    ),
}
FROM_DIALLED: Cases = {
    "a service that is told where a question was sent answers from there": (
        {"a": AROUND, "s": SERVER},
        {
            ("a", "198.18.2.3"): OPEN,
            ("a", "198.19.0.3"): OPEN,
            ("a", "2001:db8:2::3"): OPEN,
            ("a", "2001:db8:ff::3"): OPEN,
            ("s", "127.0.0.2"): OPEN,
            ("s", "::ffff:127.0.0.2"): OPEN,
        },
    ),
    "then a rule for its source holds": (
        {"a": AROUND, "s": On(SERVER.links, plan={**SERVER.plan, **NOWHERE})},
        {("a", "198.18.2.3"): SILENCE, ("a", "198.18.1.3"): OPEN},
    ),
    "of a broadcast it is told its own address": (
        {
            "a": On(at(1, 1), plan=routes((ANY4, "198.18.1.2"))),
            "r": On(at(2, 1, 2), router=True, address="0.0.0.0"),
        },
        {("a", "198.18.2.255"): elsewhere("198.18.1.2")},
    ),
}
CASES = ROUTED | FROM_DIALLED
WAYS = dict.fromkeys(ROUTED, BY_UDP) | dict.fromkeys(FROM_DIALLED, BY_UDP_FROM_DIALLED)


@pytest.fixture(scope="module")
def found() -> Found:
    return measured(CASES, {name: (by,) for name, by in WAYS.items()})


@pytest.mark.parametrize("name", CASES)
def test_the_prediction_and_the_kernel_agree_that(name: str, found: Found) -> None:
    check(name, WAYS[name], CASES, found)
