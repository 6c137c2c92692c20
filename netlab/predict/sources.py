"""Which source address a packet gets that has none yet.

Source: RFC 6724, 5; Linux `net/ipv4/fib_semantics.c` (fib_result_prefsrc), `net/ipv4/devinet.c`
(inet_select_addr), `net/ipv6/addrconf.c` (ipv6_dev_get_saddr, ipv6_get_saddr_eval).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network

from netlab.facts import Facts, RouteEntry
from netlab.model import IPAddress

# RFC 6724, 2.1, as Linux has it: `net/ipv6/addrlabel.c`, ip6addrlbl_init_table.
_LABELS = tuple(
    (IPv6Network(prefix), label)
    for prefix, label in (
        ("::1/128", 0),
        ("2001:10::/28", 7),
        ("::ffff:0:0/96", 4),
        ("::/96", 3),
        ("2001::/32", 6),
        ("2002::/16", 2),
        ("fc00::/7", 5),
        ("::/0", 1),
    )
)
# RFC 4291, 2.7; the loopback address counts as link-local: `net/ipv6/addrconf_core.c`, __ipv6_addr_type.
_LINK_LOCAL, _SITE_LOCAL, _GLOBAL = 2, 5, 14


def source_address(facts: Facts, route: RouteEntry | None, destination: IPAddress) -> IPAddress | None:
    """Return the source address of a connection that takes the route.

    Args:
        facts: of the sending host.
        route: the one that the destination has; None where none was found and IPv6 looks again.
        destination: where the connection goes.

    Returns:
        The route's preferred one; else the one that fits best; None where the host has none at all.
    """
    if route is not None and route.source is not None:
        return route.source
    if isinstance(destination, IPv6Address):
        return ipv6_for(facts, route.device if route is not None else None, destination)
    if route is None or route.type == "local":
        return destination
    return ipv4_on(facts, route.device, route.gateway)


def ipv4_on(facts: Facts, device: str | None, near: IPAddress | None) -> IPv4Address | None:
    """Return the host's address on an interface: the first whose prefix has `near` in it, else the first.

    An interface without one borrows another's. Addresses of the loopback network never leave the host.
    """
    candidates = [
        (interface.name, own)
        for interface in facts.interfaces
        for own in interface.addresses
        if own.version == 4 and not own.ip.is_loopback
    ]
    there = [own for name, own in candidates if name == device]
    for own in there:
        if near is not None and near in own.network:
            return IPv4Address(own.ip)
    found = there or [own for _, own in candidates]
    return IPv4Address(found[0].ip) if found else None


def ipv6_for(facts: Facts, device: str | None, destination: IPAddress) -> IPv6Address | None:
    """Return the host's address that fits a destination best: RFC 6724, 5, rules 1, 2, 5, 6 and 8.

    Args:
        facts: of the host.
        device: the interface whose addresses come before others'; None where it is not known yet.
        destination: an IPv6 address.
    """
    if not isinstance(destination, IPv6Address):
        return None
    candidates = [
        (interface.name, own)
        for interface in facts.interfaces
        for own in interface.addresses
        if isinstance(own, IPv6Interface)
        and (interface.name == device or device is None or _scope(destination) > _LINK_LOCAL)
    ]

    def fitness(candidate: tuple[str, IPv6Interface]) -> tuple[bool, int, bool, bool, int]:
        name, own = candidate
        return (
            own.ip == destination,  # rule 1
            _nearness(_scope(own.ip), _scope(destination)),  # rule 2
            device is None or name == device,  # rule 5
            _label(own.ip) == _label(destination),  # rule 6
            min(_common_bits(own.ip, destination), own.network.prefixlen),  # rule 8
        )

    best = max(candidates, key=fitness, default=None)
    return IPv6Address(int(best[1].ip)) if best is not None else None


def is_of_one_link(address: IPAddress) -> bool:
    """Return whether an IPv6 address says nothing without an interface (RFC 4007, 4; RFC 4291, 2.7)."""
    if not isinstance(address, IPv6Address):
        return False
    return address.is_link_local or (address.is_multicast and address.packed[1] & 0xF in (1, 2))


def _scope(address: IPv6Address) -> int:
    if address.is_link_local or address.is_loopback:
        return _LINK_LOCAL
    return _SITE_LOCAL if address.is_site_local else _GLOBAL


def _nearness(scope: int, wanted: int) -> int:
    """Rule 2: the smallest scope that is large enough, else the largest that there is."""
    return -scope if scope >= wanted else scope - 128


def _label(address: IPv6Address) -> int:
    return max((prefix.prefixlen, label) for prefix, label in _LABELS if address in prefix)[1]


def _common_bits(one: IPv6Address, other: IPv6Address) -> int:
    return 128 - (int(one) ^ int(other)).bit_length()
