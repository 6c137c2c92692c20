"""On a host where a packet comes in: is it for this host, and if not, is it passed on?

Source: Linux `net/ipv4/route.c` (ip_route_input_slow, ip_mkroute_input, ip_error), `net/ipv4/ip_forward.c`,
`net/ipv6/route.c` (ip6_pkt_drop), `net/ipv6/ip6_output.c` (ip6_forward).
"""

from __future__ import annotations

from netlab.facts import RouteEntry
from netlab.model import Prediction, Protocol
from netlab.predict.arrival import Drop, forwards, loopback_from_outside, unwelcome_source
from netlab.predict.icmp import BEYOND_SCOPE, NO_ROUTE, TIME_EXCEEDED, IcmpError
from netlab.predict.packet import TTL, Packet
from netlab.predict.publishing import kept_apart
from netlab.predict.routing import describe_route, leads_on, lookup
from netlab.predict.to_many import among_many, to_many
from netlab.predict.view import Delivered


def arrive(
    packet: Packet, host: str, arrival: str, ttl: int
) -> RouteEntry | Delivered | Prediction | IcmpError:
    """Return the route by which a host passes a packet on, or how its way ends there.

    Args:
        packet: the packet.
        host: where it came in.
        arrival: the interface that it came in by.
        ttl: how many hosts it may still come to, this one included; at least 1.
    """
    facts = packet.view.facts[host]
    for address in (packet.destination, packet.source):
        if address is not None and (drop := loopback_from_outside(facts, host, arrival, address)):
            return _dropped(packet, host, drop)
    entry = lookup(facts, packet.destination, packet.source)
    if not leads_on(entry):
        return _rejected(packet, host, arrival, entry)
    if (drop := _unwelcome(packet, host, arrival, entry)) is not None:
        return _dropped(packet, host, drop)
    if entry.type == "local":
        return _delivered(packet, host, arrival, entry.device or "?")
    if entry.type != "unicast":
        if packet.protocol is Protocol.UDP and entry.type in ("anycast", "broadcast"):
            return among_many(packet, host, arrival, entry)
        return to_many(packet, host, entry)
    if not forwards(facts, packet.version, arrival):
        return _not_forwarding(packet, host)
    if (drop := _kept_apart(packet, host, arrival, entry)) is not None:
        return _dropped(packet, host, drop)
    return _passed_on(packet, host, arrival, entry, ttl)


def _rejected(packet: Packet, host: str, arrival: str, entry: RouteEntry | None) -> Prediction | IcmpError:
    """A lookup that fails comes first: no source is checked, and IPv6 tells the sender, router or not."""
    if packet.version == 4 and not forwards(packet.view.facts[host], 4, arrival):
        return _not_forwarding(packet, host)
    kind = entry.type if entry is not None else None
    remedy = packet.note_no_route(host, kind)
    if kind == "blackhole":
        return packet.lost(remedy)
    return IcmpError(NO_ROUTE[packet.version, kind], host, arrival, remedy)


def _unwelcome(packet: Packet, host: str, arrival: str, entry: RouteEntry) -> Drop | None:
    """IPv4 checks the source of what is for the host, and of what it would pass on."""
    facts = packet.view.facts[host]
    if packet.version == 6 or packet.source is None:
        return None
    if entry.type not in ("local", "broadcast") and not forwards(facts, 4, arrival):
        return None
    return unwelcome_source(facts, host, arrival, packet.source, packet.destination)


def _delivered(packet: Packet, host: str, arrival: str, on: str) -> Delivered:
    """Deliver it, whatever interface has the address: the weak host model."""
    if arrival == on:
        text, rests_on = f"{packet.destination} is local, on {on}", f"addresses of {host}"
    else:
        text = f"{packet.destination} is local, on {on}, and taken though it came in by {arrival}"
        rests_on = f"addresses of {host}; weak host model, RFC 1122, 3.3.4.2"
    packet.note("delivery", host, text, rests_on)
    return packet.delivered(host, arrival)


def _not_forwarding(packet: Packet, host: str) -> Prediction:
    sysctl = "net.ipv4.ip_forward" if packet.version == 4 else "net.ipv6.conf.all.forwarding"
    text = f"{packet.destination} is not local, and {host} is no router: dropped"
    packet.note("forward", host, text, f"{sysctl} = 0 on {host}")
    return packet.lost(f"set {sysctl} to 1 on {host}, or route around it")


def _kept_apart(packet: Packet, host: str, arrival: str, entry: RouteEntry) -> Drop | None:
    """An engine's machine filters what its networks send to one another."""
    engine = packet.view.engine
    if engine is None or host != engine.host:
        return None
    came_from, leads_to = (packet.view.network(host, device) for device in (arrival, entry.device))
    return kept_apart(engine, packet.version, came_from, leads_to)


def _dropped(packet: Packet, host: str, drop: Drop) -> Prediction:
    packet.note("filter", host, drop.text, drop.rests_on)
    return packet.lost(drop.remedy)


def _passed_on(
    packet: Packet, host: str, arrival: str, entry: RouteEntry, ttl: int
) -> RouteEntry | IcmpError:
    """Pass it on, unless its hops are used up or its source is of one link; a circle is noted once."""
    circle = (host, arrival) in packet.passed
    if ttl > 1 and not circle:
        packet.note(
            "forward", host, f"passes it on: {describe_route(entry)}", f"routes of {host}; forwarding is on"
        )
    packet.passed.add((host, arrival))
    if ttl == 1:
        text = f"it came round in a circle until its {TTL} hops were used up"
        packet.note("forward", host, text, "RFC 1812, 5.3.1; the routes of all hosts named here")
        remedy = "mend the routes: they send the packet in a circle"
        return IcmpError(TIME_EXCEEDED[packet.version], host, arrival, remedy)
    source, leaves = packet.source, entry.device != arrival
    if packet.version == 6 and source is not None and source.is_link_local and leaves:
        remedy = f"give {packet.origin} an address that is not link-local"
        return IcmpError(BEYOND_SCOPE, host, arrival, remedy)
    return entry
