"""What of a packet is kept: the headers of those that concern the lab.

That is TCP and UDP from or to its ports, ICMP, ARP and neighbour discovery. What applications say is never
kept: every packet is cut after its last header, also those that an ICMP error quotes.
"""

from __future__ import annotations

ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0003, 0x0800, 0x0806, 0x86DD  # linux/if_ether.h
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58  # IANA, protocol numbers
# ICMP errors, which quote the packet that they are about: RFC 792; in ICMPv6 all below 128: RFC 4443, 2.1.
ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})
ICMPV6_FIRST_QUERY = 128
NEIGHBOUR_DISCOVERY = range(133, 138)  # RFC 4861, 4
LISTENER_DISCOVERY = frozenset({130, 131, 132, 143})  # RFC 3810: multicast, of which there is none in labs
ICMP_BYTES, UDP_BYTES, IPV6_BYTES = 8, 8, 40
TCP_BYTES, IPV4_BYTES = 20, 20  # without options
# Hop-by-hop, routing, destination options: a next header, and a length in units of 8 bytes: RFC 8200, 4.
EXTENSIONS, FRAGMENT, MOST_EXTENSIONS = frozenset({0, 43, 60}), 44, 8
FRAGMENT_OFFSET = 0x1FFF  # RFC 791


def headers(protocol: int, packet: bytes, ports: frozenset[int]) -> int:
    """Return how many bytes of a packet are headers; 0 for one that is none of the lab's.

    Args:
        protocol: its Ethernet type.
        packet: from the network header on; maybe cut short.
        ports: those of the services.
    """
    if protocol == ETH_P_ARP:
        return len(packet)
    if protocol == ETH_P_IP:
        return ipv4_headers(packet, 0, ports)
    return ipv6_headers(packet, 0, ports) if protocol == ETH_P_IPV6 else 0


def ipv4_headers(packet: bytes, start: int, ports: frozenset[int] | None) -> int:
    """Return where the headers of an IPv4 packet that begins at `start` end; without `ports`, of any."""
    if len(packet) < start + IPV4_BYTES:
        return 0
    length = (packet[start] & 0x0F) * 4
    offset = int.from_bytes(packet[start + 6 : start + 8], "big") & FRAGMENT_OFFSET
    if offset:  # the ports are in the first fragment
        return start + length
    return transport_headers(packet, start + length, packet[start + 9], ports)


def ipv6_headers(packet: bytes, start: int, ports: frozenset[int] | None) -> int:
    """Return where the headers of an IPv6 packet that begins at `start` end; without `ports`, of any."""
    if len(packet) < start + IPV6_BYTES:
        return 0
    following, place = packet[start + 6], start + IPV6_BYTES
    for _ in range(MOST_EXTENSIONS):
        if len(packet) < place + 8:
            return 0
        if following == FRAGMENT:
            if int.from_bytes(packet[place + 2 : place + 4], "big") >> 3:
                return place + 8
            following, place = packet[place], place + 8
        elif following in EXTENSIONS:
            following, place = packet[place], place + (packet[place + 1] + 1) * 8
        else:
            break
    return transport_headers(packet, place, following, ports)


def transport_headers(packet: bytes, start: int, protocol: int, ports: frozenset[int] | None) -> int:
    """Return where the transport's header ends; without `ports` what is not known is cut before it."""
    none = start if ports is None else 0
    if protocol in (TCP, UDP):
        if len(packet) < start + 4:
            return none
        pair = {int.from_bytes(packet[at : at + 2], "big") for at in (start, start + 2)}
        if ports is not None and not pair & ports:
            return 0
        if protocol == UDP:
            return start + UDP_BYTES
        own = (packet[start + 12] >> 4) * 4 if len(packet) > start + 12 else 0
        return start + max(own, TCP_BYTES)
    if protocol in (ICMP, ICMPV6):
        return icmp_headers(packet, start, protocol, quoted=ports is None)
    return none


def icmp_headers(packet: bytes, start: int, protocol: int, *, quoted: bool) -> int:
    """Return where an ICMP message's own part ends, with the headers of the packet that an error quotes."""
    if len(packet) < start + ICMP_BYTES:
        return start
    kind = packet[start]
    end = start + ICMP_BYTES
    if quoted:
        return end
    if protocol == ICMP:
        return (ipv4_headers(packet, end, None) or end) if kind in ICMP_ERRORS else end
    if kind in LISTENER_DISCOVERY:
        return 0
    if kind < ICMPV6_FIRST_QUERY:
        return ipv6_headers(packet, end, None) or end
    return len(packet) if kind in NEIGHBOUR_DISCOVERY else end
