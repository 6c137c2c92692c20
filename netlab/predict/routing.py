"""Route lookup on one host, as the kernel does it, from the tables that were read there.

Source: Linux `net/core/fib_rules.c` (fib_rules_lookup), `net/ipv4/fib_trie.c` (fib_table_lookup),
`net/ipv6/route.c` (ip6_pol_route); ip-rule(8), ip-route(8).

What is not seen: rules whose conditions were not read (`fwmark`, `iif`, ...) are passed over; of several next
hops of one route (multipath) the first is taken, where the kernel hashes the connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Literal, TypeGuard

from netlab.facts import Facts, RouteEntry, Rule
from netlab.model import IPAddress

# linux/rtnetlink.h, enum rt_class_t
TABLE_LOCAL, TABLE_MAIN, TABLE_DEFAULT = 255, 254, 253
# Types of a route, and actions of a rule, that end the lookup with an error.
REJECTS = frozenset({"unreachable", "blackhole", "prohibit"})
LIMITED_BROADCAST = ip_address("255.255.255.255")  # RFC 919, 7: in no table, and yet for everybody

_DEFAULT_TABLES = (TABLE_LOCAL, TABLE_MAIN, TABLE_DEFAULT)


def lookup(
    facts: Facts, destination: IPAddress, source: IPAddress | None = None, device: str | None = None
) -> RouteEntry | None:
    """Return the route to a destination: the longest prefix of the first table that has one.

    Args:
        facts: of the host that looks up.
        destination: where the packet goes.
        source: the packet's source address, where it has one already; rules may ask for it.
        device: only routes that leave by this interface: that of a link-local destination, or the one that
            the socket is bound to.

    Returns:
        The route, of any type (`unicast`, `local`, `unreachable`, ...); None where no table has one.
    """
    for rule in _rules(facts, destination, source):
        if rule.action == "unreachable":
            return None  # the very error of a lookup that finds nothing: fib4_rule_action, fib6_rule_action
        if rule.action != "lookup":
            return _rejected_by(rule, destination)
        best = _longest(facts, rule.table, destination, device)
        if best is not None and best.type != "throw":
            return best
    return None


def leads_on(entry: RouteEntry | None) -> TypeGuard[RouteEntry]:
    """Return whether a lookup succeeded, in the kernel's eyes: it found a route that does not refuse."""
    return entry is not None and entry.type not in REJECTS


def describe_route(entry: RouteEntry) -> str:
    """Say where a route leads, as ip-route(8) does: `default via 198.18.1.1 dev eth0`."""
    prefix = entry.destination if entry.destination.prefixlen else "default"
    via = f" via {entry.gateway}" if entry.gateway is not None else ""
    return f"{prefix}{via} dev {entry.device}"


def is_local(facts: Facts, address: IPAddress) -> bool:
    """Return whether packets for the address are delivered on the host itself, by whatever interface."""
    entry = lookup(facts, address)
    return entry is not None and entry.type == "local"


def interface_of(facts: Facts, address: IPAddress) -> str | None:
    """Return the interface that has the address, or that has a loopback prefix which covers it."""
    for interface in facts.interfaces:
        for own in interface.addresses:
            if own.ip == address or (interface.loopback and own.version == 4 and address in own.network):
                return interface.name
    return None


def next_hops(facts: Facts, route: RouteEntry) -> Iterator[RouteEntry]:
    """Yield the entries that are one route with several next hops: they were read as one entry each."""
    for entry in facts.routes:
        if (entry.table, entry.destination, entry.metric) == (route.table, route.destination, route.metric):
            yield entry


def _rules(facts: Facts, destination: IPAddress, source: IPAddress | None) -> Iterator[Rule]:
    """Yield the policy rules that such a packet meets, in order of priority."""
    rules = [rule for rule in facts.rules if rule.family == destination.version]
    if not rules:
        family: Literal[4, 6] = 6 if destination.version == 6 else 4
        rules = [Rule(family, number, "lookup", table) for number, table in enumerate(_DEFAULT_TABLES)]
    for rule in sorted(rules, key=lambda rule: rule.priority):
        from_it = rule.source is None or (source is not None and source in rule.source)
        to_it = rule.destination is None or destination in rule.destination
        known = rule.action == "lookup" or rule.action in REJECTS
        if known and not rule.conditions and from_it and to_it:
            yield rule


def _rejected_by(rule: Rule, destination: IPAddress) -> RouteEntry:
    return RouteEntry(
        rule.table, rule.action, ip_network("0.0.0.0/0" if destination.version == 4 else "::/0")
    )


def _longest(facts: Facts, table: int, destination: IPAddress, device: str | None) -> RouteEntry | None:
    fitting = [
        entry
        for entry in facts.routes
        if entry.table == table
        and entry.destination.version == destination.version
        and destination in entry.destination
        and (device is None or entry.device == device or _rejects_any_device(entry))
    ]
    return min(fitting, key=lambda entry: (-entry.destination.prefixlen, entry.metric), default=None)


def _rejects_any_device(entry: RouteEntry) -> bool:
    """IPv4 looks at a route's type before its device; in IPv6 such a route has a device, `lo`."""
    return entry.destination.version == 4 and entry.type in REJECTS
