"""From one host to the next: who has the next hop's address.

What is not seen: ARP entries that a host has learnt from other traffic.

Source: RFC 826, RFC 4861; Linux `net/ipv4/arp.c` (arp_solicit, arp_process).
"""

from __future__ import annotations

from netlab.facts import RouteEntry
from netlab.model import IPAddress, Prediction, Protocol
from netlab.predict.icmp import NO_NEIGHBOUR, IcmpError
from netlab.predict.packet import Packet
from netlab.predict.routing import interface_of, is_local
from netlab.predict.sources import ipv4_on


def next_host(packet: Packet, host: str, way: RouteEntry) -> tuple[str, str] | None:
    """Return the host that a packet comes to by a route, and its interface there; None: nobody answers.

    Args:
        packet: the packet.
        host: where it is.
        way: the route by which it leaves, of the type `unicast`.
    """
    return _neighbour(packet, host, way) or _beyond(packet, host, way)


def nobody_answers(packet: Packet, host: str, arrival: str, way: RouteEntry) -> Prediction | IcmpError:
    """Return what the sender is told where nobody has the next hop's address.

    Args:
        packet: the packet.
        host: where it is.
        arrival: the interface that it came in by; any on the host that sends it.
        way: the route by which it would leave.
    """
    behind = _behind_a_stranger(packet, host, way)
    if behind is not None:
        return _not_led(packet, host, way, *behind)
    hop = way.gateway or packet.destination
    protocol, source = ("ARP", "RFC 826") if hop.version == 4 else ("neighbour discovery", "RFC 4861")
    packet.note("neighbour", host, f"nobody on {way.device} answers for {hop}", f"{protocol}, {source}")
    remedy = f"check that {hop} is up and on the network behind {way.device} of {host}"
    if host != packet.origin:
        return IcmpError(NO_NEIGHBOUR[packet.version], host, arrival, remedy)
    if packet.version == 6 and packet.device is not None and packet.protocol is Protocol.TCP:
        # The host tells its own sockets by ICMP, which crosses the loopback device. TCP looks for one by that
        # device, and does not find one bound to another, as a link-local destination has it; UDP looks by the
        # interface that has the address (`net/ipv6/tcp_ipv6.c`, tcp_v6_err; `udp.c`, __udp6_lib_err).
        return packet.lost(remedy)
    return packet.unreachable("EHOSTUNREACH", remedy)


def _neighbour(packet: Packet, host: str, way: RouteEntry) -> tuple[str, str] | None:
    """Ask who has the next hop's address, unless it is known; whoever is asked by ARP learns who asks."""
    device, hop = way.device or "", way.gateway or packet.destination
    if (host, device, hop) in packet.learnt:
        return packet.learnt[host, device, hop]
    sender = _sender(packet, host, device, hop) if hop.version == 4 else None
    found = packet.view.neighbour(host, device, hop, sender)
    if found is not None and sender is not None:
        packet.learnt[*found, sender] = host, device
    return found


def _sender(packet: Packet, host: str, device: str, hop: IPAddress) -> IPAddress | None:
    """Return the address that a host gives as its own in ARP: the packet's source, if that is its own."""
    facts, source = packet.view.facts[host], packet.source
    if source is not None and source.version == 4 and is_local(facts, source):
        return source
    return ipv4_on(facts, device, hop)


def _beyond(packet: Packet, host: str, way: RouteEntry) -> tuple[str, str] | None:
    """Return where a router that is none of the hosts is taken to lead to: the host with the address.

    A route of last resort says nothing of what the router knows; the routes of those who are there do.
    """
    behind = _behind_a_stranger(packet, host, way)
    if behind is None or not (way.destination.prefixlen or packet.view.is_routed(*behind, packet.version)):
        return None
    text = f"{way.gateway} is not among the machines: it is taken to pass the packet on"
    packet.note("forward", host, text, f"routes of {host}")
    return behind


def _behind_a_stranger(packet: Packet, host: str, way: RouteEntry) -> tuple[str, str] | None:
    """Return who has the address, and on which interface, where the next hop is none of the hosts."""
    if packet.view.complete or way.gateway is None or packet.destination.is_loopback:
        return None
    for other, facts in packet.view.facts.items():
        device = interface_of(facts, packet.destination)
        if other != host and device is not None:
            return other, device
    return None


def _not_led(packet: Packet, host: str, way: RouteEntry, other: str, device: str) -> Prediction:
    """Return what a router that is none of the hosts says of a network that it knows no way to."""
    text = f"{way.gateway} is not among the machines, and nobody on {device} of {other} has a router there"
    packet.note("forward", host, f"{text}: it knows no way", f"routes of {other}; RFC 1812, 5.2.7.1")
    return packet.unreachable("ENETUNREACH", f"give {way.gateway} a route to {packet.destination}")
