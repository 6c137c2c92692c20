"""What is for many: multicast, broadcast and anycast.

Source: Linux `net/ipv4/route.c` (ip_route_input_slow), `net/ipv6/route.c`.
"""

from __future__ import annotations

from netlab.facts import RouteEntry
from netlab.model import Prediction, Protocol
from netlab.predict.packet import Packet
from netlab.predict.view import Delivered

# Types of a route to more than one host.
TO_MANY = ("anycast", "broadcast", "multicast")
_REMEDY = "dial the address of a host"


def to_many(packet: Packet, host: str, entry: RouteEntry | None) -> Delivered | Prediction:
    """Say what comes of a packet for many: TCP is between two, and a datagram may have to ask.

    Args:
        packet: the packet.
        host: where it is.
        entry: the route that it has there, if any.
    """
    if packet.protocol is Protocol.UDP:
        return _datagram_to_many(packet, host, entry)
    return _connection_to_many(packet, host, entry)


def among_many(packet: Packet, host: str, arrival: str, entry: RouteEntry) -> Delivered:
    """Deliver what is for a host among others.

    Args:
        packet: the packet.
        host: the host.
        arrival: the interface that it came in by.
        entry: its route there, of the type `broadcast` or `anycast`.
    """
    broadcast = entry.type == "broadcast"
    text = f"{packet.destination} is {'a broadcast' if broadcast else 'an anycast'} address on {arrival}"
    packet.note("delivery", host, text, f"local routes of {host}")
    return packet.delivered(host, arrival, broadcast=broadcast)


def _connection_to_many(packet: Packet, host: str, entry: RouteEntry | None) -> Prediction:
    """Refuse it: connect(2) takes neither multicast nor broadcast, and no host answers such a SYN.

    Source: Linux `net/ipv4/tcp_ipv4.c` (tcp_v4_connect, tcp_v4_conn_request, tcp_v4_send_reset),
    `net/ipv6/tcp_ipv6.c`; RFC 1122, 4.2.3.10.
    """
    text = f"{packet.destination} is not the address of one host: TCP is between two"
    packet.note("delivery", host, text, "RFC 1122, 4.2.3.10")
    anycast = entry is not None and entry.type == "anycast"
    if host == packet.origin and not anycast:
        return packet.unreachable("ENETUNREACH", _REMEDY)
    return packet.lost(_REMEDY)


def _datagram_to_many(packet: Packet, host: str, entry: RouteEntry | None) -> Delivered | Prediction:
    """Follow it: an anycast address is a host's own, a broadcast one has to be asked for.

    Which sockets are in a multicast group is not read; without any, nobody answers.

    Source: Linux `net/ipv4/datagram.c` (__ip4_datagram_connect), `net/ipv6/datagram.c`
    (__ip6_datagram_connect).
    """
    if entry is not None and entry.type == "anycast":
        return among_many(packet, host, entry.device or "?", entry)
    if not packet.destination.is_multicast:
        text = f"{packet.destination} is a broadcast address, which a socket has to ask for (SO_BROADCAST)"
        packet.note("delivery", host, text, "__ip4_datagram_connect")
        return packet.unreachable("EACCES", _REMEDY)
    text = f"{packet.destination} is multicast: who is in the group is not read"
    packet.note("delivery", host, text, "RFC 1112, 7.1")
    return packet.lost(_REMEDY)
