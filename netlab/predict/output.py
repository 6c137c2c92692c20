"""On the host that sends a packet: its route, and with it its source address.

Source: Linux `net/ipv4/route.c` (ip_route_output_key_hash_rcu), `net/ipv6/route.c` (ip6_route_output_flags).
"""

from __future__ import annotations

from ipaddress import ip_network

from netlab.facts import RouteEntry
from netlab.model import IPAddress, Prediction, Protocol
from netlab.predict.packet import Packet
from netlab.predict.routing import LIMITED_BROADCAST, describe_route, leads_on, lookup
from netlab.predict.sources import ipv4_on, source_address
from netlab.predict.to_many import TO_MANY, to_many
from netlab.predict.view import Delivered, View

# What connect(2) says of such a route in the host's own tables (Linux `net/ipv4/fib_semantics.c`, fib_props;
# `net/ipv6/route.c`, fib6_prop).
_ERRNO = {
    "unreachable": "EHOSTUNREACH",
    "prohibit": "EACCES",
    "blackhole": "EINVAL",
}


def leave(packet: Packet) -> RouteEntry | Delivered | Prediction:
    """Return the route by which a packet leaves the host that sends it, or what becomes of it there.

    Multicast and the limited broadcast are told by the address, before a source is chosen.
    """
    first = _looked_up(packet)
    if packet.destination.is_multicast or packet.destination == LIMITED_BROADCAST:
        if leads_on(first) or (packet.version == 6 and packet.protocol is Protocol.TCP):
            return to_many(packet, packet.origin, first)
        if packet.version == 6:
            return _not_sent(packet, first)
    way = _own_route(packet, first)
    if way is None or way.type != "unicast":
        return _not_sent(packet, way)
    source = f", source {packet.source}" if packet.source is not None else ""
    packet.note("route", packet.origin, f"{describe_route(way)}{source}", f"routes of {packet.origin}")
    return way


def source_with_another_route(view: View, origin: str, destination: IPAddress) -> IPAddress | None:
    """Return the source that an IPv6 connection has chosen, if with it, looked up again, it goes another way.

    A policy rule may ask for a source, and the first lookup has none. After two seconds without an answer the
    socket's route is dropped, and the next lookup has one.

    Args:
        view: the lab.
        origin: the host that connects.
        destination: where to.

    Source: Linux `net/ipv4/tcp_timer.c` (tcp_write_timeout), `net/ipv6/route.c` (ip6_negative_advice),
    `net/ipv6/inet6_connection_sock.c` (inet6_csk_route_socket).
    """
    facts = view.facts[origin]
    first = lookup(facts, destination)
    if destination.version == 4 or not leads_on(first):
        return None
    source = source_address(facts, first, destination)
    second = lookup(facts, destination, source)
    return source if second != first and leads_on(second) else None


def _looked_up(packet: Packet) -> RouteEntry | None:
    return lookup(packet.view.facts[packet.origin], packet.destination, packet.source, packet.device)


def _own_route(packet: Packet, first: RouteEntry | None) -> RouteEntry | None:
    """Look the route up, and with it the source address, as connect(2) and a listening socket do.

    IPv4 chooses the source, and looks again for a route that may depend on it; IPv6 looks again only if
    the first look found nothing. An ICMP error is content with the first.

    Source: Linux `include/net/route.h` (ip_route_connect), `net/ipv4/icmp.c` (icmp_route_lookup),
    `net/ipv6/ip6_output.c` (ip6_dst_lookup_tail).
    """
    facts, entry = packet.view.facts[packet.origin], first
    if packet.source is None and (packet.version == 6 or leads_on(entry)):
        usable = entry if leads_on(entry) else None
        packet.source = source_address(facts, usable, packet.destination)
        if (packet.version == 4 and packet.connects) or usable is None:
            entry = _looked_up(packet)
    if packet.version == 4 and packet.device is not None and not leads_on(entry):
        # "Apparently, routing tables are wrong. Assume, that the destination is on link":
        # `net/ipv4/route.c`, ip_route_output_key_hash_rcu.
        packet.source = packet.source or ipv4_on(facts, packet.device, None)
        return RouteEntry(0, "unicast", ip_network(packet.destination), device=packet.device)
    return entry


def _not_sent(packet: Packet, entry: RouteEntry | None) -> Delivered | Prediction:
    """Return what becomes of a packet that no route leads out of the host that sends it."""
    if entry is not None and entry.type == "local":
        # It crosses the loopback device, and yet counts as come in by the one that the route names:
        # `net/ipv4/route.c` (ip_route_output_key_hash_rcu, orig_oif), `net/ipv6/ip6_input.c`
        # (ip6_rcv_core, ip6_dst_idev).
        on = entry.device or "?"
        text = f"{packet.destination} is this host itself, on {on}"
        packet.note("delivery", packet.origin, text, f"local routes of {packet.origin}")
        return packet.delivered(packet.origin, on)
    if entry is not None and entry.type in TO_MANY:
        return to_many(packet, packet.origin, entry)
    kind = entry.type if entry is not None else None
    remedy = packet.note_no_route(packet.origin, kind)
    return packet.unreachable(_ERRNO.get(kind or "", "ENETUNREACH"), remedy)
