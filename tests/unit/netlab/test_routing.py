"""Route lookup and source addresses, on tables made by hand."""

from __future__ import annotations

import pytest

from netlab.predict.routing import interface_of, is_local, lookup, next_hops
from netlab.predict.sources import ipv4_on, ipv6_for, source_address
from tests.unit.netlab.made import facts, interface, ip, route, rule

HOST = facts(
    interface("eth0", "198.18.1.11/24", "2001:db8:1::11/64", "fe80::1/64"),
    interface("eth1", "198.18.2.11/24", "2001:db8:2::11/64", "fe80::2/64"),
    routes=(
        route("0.0.0.0/0", "198.18.1.1"),
        route("198.18.0.0/16", "198.18.2.1", "eth1"),
        route("198.18.7.0/24", "198.18.1.7", metric=50),
        route("198.18.7.0/24", "198.18.2.7", "eth1", metric=5),
        route("198.18.8.0/24", kind="unreachable", dev=None),
        route("198.18.8.8/32", "198.18.1.8"),
        route("198.18.9.0/24", kind="throw", dev=None),
        route("::/0", "2001:db8:1::1"),
    ),
)


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("198.18.1.11", "local eth0"),
        ("198.18.2.11", "local eth1"),
        ("127.0.0.2", "local lo"),
        ("198.18.1.20", "unicast eth0"),
        ("198.18.1.255", "broadcast eth0"),
        ("198.18.5.5", "unicast 198.18.2.1"),
        ("203.0.113.5", "unicast 198.18.1.1"),
        ("198.18.7.7", "unicast 198.18.2.7"),
        ("198.18.8.9", "unreachable None"),
        ("198.18.8.8", "unicast 198.18.1.8"),
        ("2001:db8:2::11", "local eth1"),
        ("2001:db8:2::12", "unicast eth1"),
        ("2001:db8:3::1", "unicast 2001:db8:1::1"),
        ("::1", "local lo"),
    ],
)
def test_the_longest_prefix_of_the_first_table_that_has_one_wins(destination: str, expected: str) -> None:
    entry = lookup(HOST, ip(destination))
    assert entry is not None
    assert f"{entry.type} {entry.gateway or entry.device}" == expected


def test_a_throw_route_ends_the_search_of_its_table() -> None:
    assert lookup(HOST, ip("198.18.9.9")) is None


def test_where_no_table_has_a_route_there_is_none() -> None:
    assert lookup(facts(interface("eth0", "198.18.1.11/24")), ip("198.18.2.1")) is None


def test_an_interface_narrows_the_search_to_its_routes() -> None:
    entry = lookup(HOST, ip("198.18.7.7"), device="eth0")
    assert entry is not None
    assert entry.gateway == ip("198.18.1.7")
    assert lookup(HOST, ip("198.18.2.12"), device="lo") is None


def test_an_ipv4_route_that_refuses_does_so_whatever_the_interface() -> None:
    entry = lookup(HOST, ip("198.18.8.9"), device="eth1")
    assert entry is not None
    assert entry.type == "unreachable"


RULED = facts(
    interface("eth0", "198.18.1.11/24"),
    routes=(
        route("0.0.0.0/0", "198.18.1.1"),
        route("0.0.0.0/0", "198.18.1.2", table=100),
        route("198.18.66.0/24", kind="throw", dev=None, table=100),
    ),
    rules=(
        rule(4, 32766, 254),
        rule(4, 0, 255),
        rule(4, 100, 100, src="198.18.1.11/32"),
        rule(4, 110, 100, dst="198.18.5.0/24"),
        rule(4, 120, action="prohibit", dst="198.18.6.0/24"),
        rule(4, 130, action="blackhole", dst="198.18.7.0/24"),
        rule(4, 140, action="unreachable", dst="198.18.8.0/24"),
        rule(4, 150, action="goto", dst="198.18.9.0/24"),
    ),
)


@pytest.mark.parametrize(
    ("destination", "source", "expected"),
    [
        ("203.0.113.5", None, "198.18.1.1"),
        ("203.0.113.5", "198.18.1.11", "198.18.1.2"),
        ("203.0.113.5", "198.18.1.12", "198.18.1.1"),
        ("198.18.5.5", None, "198.18.1.2"),
        ("198.18.66.1", "198.18.1.11", "198.18.1.1"),
        ("198.18.6.6", None, "prohibit"),
        ("198.18.7.7", None, "blackhole"),
        ("198.18.8.8", None, "nothing"),
        ("198.18.9.9", None, "198.18.1.1"),
        ("198.18.1.11", "198.18.1.11", "local"),
    ],
)
def test_rules_are_asked_in_order_of_priority(destination: str, source: str | None, expected: str) -> None:
    entry = lookup(RULED, ip(destination), ip(source) if source else None)
    found = "nothing" if entry is None else str(entry.gateway or entry.type)
    assert found == expected


def test_a_rule_whose_conditions_were_not_read_is_passed_over() -> None:
    from dataclasses import replace

    marked = replace(rule(4, 10, action="prohibit"), conditions=("fwmark",))
    entry = lookup(replace(RULED, rules=(marked, *RULED.rules)), ip("203.0.113.5"))
    assert entry is not None
    assert entry.type == "unicast"


def test_rules_of_the_other_family_do_not_count() -> None:
    only_ipv6 = facts(interface("eth0", "198.18.1.11/24"), rules=(rule(6, 0, action="prohibit"),))
    assert is_local(only_ipv6, ip("198.18.1.11"))
    refused = lookup(only_ipv6, ip("2001:db8::1"))
    assert refused is not None
    assert refused.type == "prohibit"


def test_local_means_whatever_the_local_table_says() -> None:
    anyip = facts(routes=(route("198.18.50.0/24", dev="lo", kind="local", table=255),))
    assert is_local(anyip, ip("198.18.50.7"))
    assert is_local(HOST, ip("127.5.6.7"))
    assert not is_local(HOST, ip("198.18.1.12"))


def test_an_address_belongs_to_the_interface_that_has_it() -> None:
    assert interface_of(HOST, ip("198.18.2.11")) == "eth1"
    assert interface_of(HOST, ip("127.0.0.53")) == "lo"
    assert interface_of(HOST, ip("198.18.2.12")) is None


def test_the_next_hops_of_one_route_are_found_together() -> None:
    several = facts(
        routes=(
            route("0.0.0.0/0", "198.18.1.1"),
            route("0.0.0.0/0", "198.18.2.1", "eth1"),
            route("0.0.0.0/0", "198.18.3.1", "eth2", metric=9),
        )
    )
    first = lookup(several, ip("203.0.113.5"))
    assert first is not None
    assert [entry.device for entry in next_hops(several, first)] == ["eth0", "eth1"]


# --- Source addresses ---------------------------------------------------------------------------------------

NUMBERED = facts(
    interface("eth0", "198.18.1.11/24", "198.18.9.11/24", "2001:db8:1::11/64", "fd00:1::11/64", "fe80::1/64"),
    interface("eth1", "198.18.2.11/24", "2001:db8:2::11/64", "fe80::2/64"),
    interface("eth2"),
)


@pytest.mark.parametrize(
    ("device", "near", "expected"),
    [
        ("eth0", None, "198.18.1.11"),
        ("eth0", "198.18.9.1", "198.18.9.11"),
        ("eth0", "198.18.7.1", "198.18.1.11"),
        ("eth1", "198.18.9.1", "198.18.2.11"),
        ("eth2", "198.18.2.1", "198.18.1.11"),  # borrowed: the first that the host has
    ],
)
def test_an_ipv4_source_is_the_first_on_the_interface_near_the_gateway(
    device: str, near: str | None, expected: str
) -> None:
    assert ipv4_on(NUMBERED, device, ip(near) if near else None) == ip(expected)


def test_a_loopback_address_is_never_a_source_outside() -> None:
    assert ipv4_on(facts(interface("eth0")), "eth0", None) is None


@pytest.mark.parametrize(
    ("device", "destination", "expected"),
    [
        ("eth0", "2001:db8:9::9", "2001:db8:1::11"),
        ("eth1", "2001:db8:1::9", "2001:db8:2::11"),  # rule 5 before rule 8
        ("eth0", "fd00:9::9", "fd00:1::11"),  # rule 6
        ("eth0", "fe00::9", "2001:db8:1::11"),  # rule 6 before rule 8: fd00 shares more bits
        ("eth0", "2001:db8:2::11", "2001:db8:2::11"),  # rule 1 before rule 5
        ("eth1", "fd00:9::9", "2001:db8:2::11"),  # rule 5 before rule 6
        ("eth0", "fe80::9", "fe80::1"),  # rule 2
        ("eth1", "fe80::9", "fe80::2"),
        (None, "2001:db8:2::9", "2001:db8:2::11"),  # rule 8
        (None, "2001:db8:1::11", "2001:db8:1::11"),  # rule 1
        ("lo", "::1", "::1"),
    ],
)
def test_an_ipv6_source_is_chosen_by_rfc_6724(device: str | None, destination: str, expected: str) -> None:
    assert ipv6_for(NUMBERED, device, ip(destination)) == ip(expected)


def test_a_global_destination_is_called_from_a_link_local_address_where_there_is_no_other() -> None:
    poor = facts(interface("eth0", "fe80::1/64"))
    assert ipv6_for(poor, "eth0", ip("2001:db8::1")) == ip("fe80::1")


@pytest.mark.parametrize(
    ("entry", "destination", "expected"),
    [
        (route("0.0.0.0/0", "198.18.1.1", src="198.18.2.11"), "203.0.113.5", "198.18.2.11"),
        (route("0.0.0.0/0", "198.18.9.1"), "203.0.113.5", "198.18.9.11"),
        (route("198.18.2.11/32", dev="eth1", kind="local", table=255), "198.18.2.11", "198.18.2.11"),
        (route("127.0.0.0/8", dev="lo", kind="local", table=255, src="127.0.0.1"), "127.0.0.2", "127.0.0.1"),
        (route("::/0", "2001:db8:2::1", "eth1"), "2001:db8:9::9", "2001:db8:2::11"),
    ],
)
def test_a_connection_is_given_the_source_that_its_route_has(
    entry: object, destination: str, expected: str
) -> None:
    assert source_address(NUMBERED, entry, ip(destination)) == ip(expected)  # type: ignore[arg-type]
