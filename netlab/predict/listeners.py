"""Which socket gets a connection or a datagram: the kernel's rule, on the sockets that were read.

Source: Linux `net/ipv4/inet_hashtables.c` (__inet_lookup_listener, compute_score) and
`net/ipv6/inet6_hashtables.c` (inet6_lookup_listener); for datagrams `net/ipv4/udp.c` (__udp4_lib_lookup,
compute_score) and `net/ipv6/udp.c` (__udp6_lib_lookup): first those bound to the very address, then those
bound to the wildcard; among these the highest score.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address

from netlab.facts import Listener
from netlab.model import IPAddress, Protocol


def find_listener(
    listeners: Iterable[Listener],
    destination: IPAddress,
    port: int,
    device: str,
    protocol: Protocol = Protocol.TCP,
) -> Listener | None:
    """Return the socket that a packet finds, or None: then the answer is an RST, or an ICMP error.

    Among sockets that share their port (SO_REUSEPORT), which facts don't tell, the newest comes first in the
    kernel's eyes whatever its score (inet_lhash2_lookup, inet_lookup_reuseport).

    Args:
        listeners: the host's sockets of that protocol.
        destination: the packet's destination address.
        port: its destination port.
        device: the interface it came in by; for what a host sends to itself, the one that has the address.
        protocol: each has a score of its own.
    """
    score = _score if protocol is Protocol.TCP else _datagram_score
    return max(candidates(listeners, destination, port, device), key=score, default=None)


def candidates(
    listeners: Iterable[Listener], destination: IPAddress, port: int, device: str
) -> list[Listener]:
    """Return the listeners among which the score decides: see `find_listener`."""
    able = [
        listener
        for listener in listeners
        if listener.port == port and listener.device in (None, device) and _hears(listener, destination)
    ]
    exact = [listener for listener in able if not bound_to(listener).is_unspecified]
    return exact or able


def bound_to(listener: Listener) -> IPAddress:
    """Return the address that a socket is bound to: IPv4 for an IPv4-mapped one (RFC 4291, 2.5.5.2)."""
    if isinstance(listener.address, IPv6Address) and listener.address.ipv4_mapped is not None:
        return listener.address.ipv4_mapped
    return listener.address


def _hears(listener: Listener, destination: IPAddress) -> bool:
    bound = bound_to(listener)
    if not bound.is_unspecified:
        return bound == destination
    same_family = bound.version == destination.version
    takes_ipv4_too = bound.version == 6 and not listener.v6only
    return same_family or takes_ipv4_too


def _score(listener: Listener) -> int:
    """Score as compute_score does: a bound device counts, and so does being an IPv4 socket."""
    return (listener.device is not None) + (listener.address.version == 4)


def _datagram_score(listener: Listener) -> int:
    """Score as the compute_score of UDP does: there, a bound device outweighs the family."""
    return 4 * (listener.device is not None) + (listener.address.version == 4)
