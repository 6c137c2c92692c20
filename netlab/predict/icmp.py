"""The ICMP errors that a router sends, and what connect(2) makes of them.

Source: Linux `net/ipv4/icmp.c` (icmp_err_convert), `net/ipv6/icmp.c` (tab_unreach, icmpv6_err_convert).
"""

from __future__ import annotations

from dataclasses import dataclass

from netlab.facts import Facts
from netlab.model import IPAddress
from netlab.predict.routing import lookup
from netlab.predict.sources import ipv6_for


@dataclass(frozen=True, slots=True)
class Message:
    """A kind of ICMP error.

    Attributes:
        text: what it is called.
        errno: what connect(2) says of it.
        source: the rule by which it is sent.
    """

    text: str
    errno: str
    source: str


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An error that a router sends about a packet: it counts only if it arrives.

    Attributes:
        message: which.
        router: the host that sends it.
        arrival: the interface by which the packet came in there.
        remedy: what would let the packet pass.
    """

    message: Message
    router: str
    arrival: str
    remedy: str


_UNREACHABLE_4, _UNREACHABLE_6 = "RFC 1812, 5.2.7.1", "RFC 4443, 3.1"

# By version of IP, and by the type of the route that refuses (None: there is none); a blackhole sends none.
NO_ROUTE = {
    (4, None): Message("ICMP network unreachable", "ENETUNREACH", _UNREACHABLE_4),
    (4, "unreachable"): Message("ICMP host unreachable", "EHOSTUNREACH", _UNREACHABLE_4),
    (4, "prohibit"): Message("ICMP packet filtered", "EHOSTUNREACH", _UNREACHABLE_4),
    (6, None): Message("ICMPv6 no route to destination", "ENETUNREACH", _UNREACHABLE_6),
    (6, "unreachable"): Message("ICMPv6 no route to destination", "ENETUNREACH", _UNREACHABLE_6),
    (6, "prohibit"): Message("ICMPv6 administratively prohibited", "EACCES", _UNREACHABLE_6),
}
NO_NEIGHBOUR = {
    4: Message("ICMP host unreachable", "EHOSTUNREACH", _UNREACHABLE_4),
    6: Message("ICMPv6 address unreachable", "EHOSTUNREACH", _UNREACHABLE_6),
}
TIME_EXCEEDED = {
    4: Message("ICMP time exceeded", "EHOSTUNREACH", "RFC 1812, 5.2.7.3"),
    6: Message("ICMPv6 hop limit exceeded", "EHOSTUNREACH", "RFC 4443, 3.3"),
}
BEYOND_SCOPE = Message("ICMPv6 beyond scope of source address", "EHOSTUNREACH", _UNREACHABLE_6)


def sent_from(facts: Facts, arrival: str, to: IPAddress) -> tuple[IPAddress | None, str | None]:
    """Return the source of a router's error, and the interface that it has to leave by, where it has to.

    The source follows from the route in IPv4 (None); in IPv6 it is an address of the interface by which the
    packet came in, unless the route back prefers one.

    Args:
        facts: of the router.
        arrival: the interface by which the packet came in.
        to: the packet's source.

    Source: Linux `net/ipv4/icmp.c` (__icmp_send), `net/ipv6/icmp.c` (icmp6_send, icmpv6_rt_has_prefsrc).
    """
    if to.version == 4:
        return None, None
    back = lookup(facts, to)
    preferred = back is not None and back.source is not None
    return None if preferred else ipv6_for(facts, arrival, to), arrival if to.is_link_local else None
