"""Route lookup on one host, as the kernel does it, from the tables that were read there.

Source: Linux `net/core/fib_rules.c` (fib_rules_lookup), `net/ipv4/fib_trie.c` (fib_table_lookup),
`net/ipv6/route.c` (ip6_pol_route); ip-rule(8), ip-route(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.facts import Facts, RouteEntry
from netlab.model import IPAddress, IPInterface

# linux/rtnetlink.h, enum rt_class_t
TABLE_LOCAL, TABLE_MAIN, TABLE_DEFAULT = 255, 254, 253


def lookup(
    facts: Facts, destination: IPAddress, source: IPAddress | None = None, device: str | None = None
) -> RouteEntry | None:
    """Return the route to a destination: the longest prefix of the first table that has one.

    Args:
        facts: of the host that looks up.
        destination: where the packet goes.
        source: the packet's source address, where it has one already; rules may ask for it.
        device: only routes that leave by this interface (for link-local destinations).

    Returns:
        The route, of any type (`unicast`, `local`, `unreachable`, ...); None where no table has one.
    """
    for table in _tables(facts, destination, source):
        best = _longest(facts, table, destination, device)
        if best is not None and best.type != "throw":
            return best
    return None


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


def source_address(facts: Facts, entry: RouteEntry, destination: IPAddress) -> IPAddress | None:
    """Return the source address of a connection that takes the route.

    The one that the route prefers; else the first of the outgoing interface whose prefix has the next hop in
    it, else its first. RFC 6724's finer rules for IPv6 need several candidate addresses on one interface.

    Source: ip-route(8), `src`; Linux `net/ipv4/devinet.c`, inet_select_addr.
    """
    if entry.type == "local":
        return destination
    if entry.source is not None:
        return entry.source
    candidates = list(_addresses_on(facts, entry.device, destination))
    hop = entry.gateway or destination
    for own in candidates:
        if hop in own.network:
            return own.ip
    return candidates[0].ip if candidates else None


def _addresses_on(facts: Facts, device: str | None, like: IPAddress) -> Iterator[IPInterface]:
    for interface in facts.interfaces:
        if interface.name == device:
            for own in interface.addresses:
                if own.version == like.version and own.ip.is_link_local == like.is_link_local:
                    yield own


def _tables(facts: Facts, destination: IPAddress, source: IPAddress | None) -> Iterator[int]:
    """Yield the tables that the policy rules name for such a packet, in order of priority.

    A rule with conditions that were not read (a mark, an interface) is passed over.
    """
    rules = [rule for rule in facts.rules if rule.family == destination.version]
    for rule in sorted(rules, key=lambda rule: rule.priority):
        from_it = rule.source is None or (source is not None and source in rule.source)
        to_it = rule.destination is None or destination in rule.destination
        if rule.action == "lookup" and not rule.conditions and from_it and to_it:
            yield rule.table
    if not rules:
        yield from (TABLE_LOCAL, TABLE_MAIN, TABLE_DEFAULT)


def _longest(facts: Facts, table: int, destination: IPAddress, device: str | None) -> RouteEntry | None:
    fitting = [
        entry
        for entry in facts.routes
        if entry.table == table
        and entry.destination.version == destination.version
        and destination in entry.destination
        and (device is None or entry.device == device)
    ]
    return min(fitting, key=lambda entry: (-entry.destination.prefixlen, entry.metric), default=None)
