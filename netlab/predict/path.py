"""The way of a packet through the lab: from host to host, until one takes it as its own or nobody can.

In the order of the kernel: the host that sends it looks its route up (`output`); somebody has the next hop's
address (`neighbours`); a host where it comes in checks it (`arrival`), takes it, or passes it on
(`forwarding`); what is for many is a case of its own (`to_many`). A router's error has to come back (`icmp`).

Every step names the fact or the rule that it rests on. What is not seen: packet filters, and which of a
route's several next hops a connection is hashed to.
"""

from __future__ import annotations

from netlab.facts import RouteEntry
from netlab.model import IPAddress, Prediction, Protocol, Step
from netlab.predict.forwarding import arrive
from netlab.predict.icmp import IcmpError, sent_from
from netlab.predict.neighbours import next_host, nobody_answers
from netlab.predict.output import leave
from netlab.predict.packet import TTL, Packet
from netlab.predict.view import Delivered, Neighbours, View


def send(
    view: View,
    origin: str,
    destination: IPAddress,
    device: str | None = None,
    source: IPAddress | None = None,
    protocol: Protocol = Protocol.TCP,
) -> Delivered | Prediction:
    """Follow a SYN, or a datagram from a connected socket, through the lab.

    Args:
        view: the lab.
        origin: the sending host.
        destination: where to.
        device: the interface that the socket is bound to, or that a link-local destination names.
        source: the packet's source; None: it is chosen with the route.
        protocol: of the packet; a datagram may be for many.

    Returns:
        Where it arrives, or what the sender is told of its end.
    """
    return _follow(Packet(view, origin, destination, source, device, connects=True, protocol=protocol))


def answered(
    view: View,
    origin: str,
    source: IPAddress | None,
    destination: IPAddress,
    host: str,
    device: str | None = None,
    learnt: Neighbours | None = None,
) -> Delivered | Step:
    """Follow what one host sends to another as an answer: no ICMP error is sent about it that would matter.

    Args:
        view: the lab.
        origin: the sending host.
        source: the packet's source; None: it is chosen with the route, as for a datagram from a wildcard
            socket (Linux `net/ipv4/udp.c`, udp_sendmsg; `net/ipv6/udp.c`, udpv6_sendmsg).
        destination: where to.
        host: where it has to arrive.
        device: the interface that the sending socket is bound to, if any.
        learnt: neighbours that are known from what this answers.

    Returns:
        Where it arrives, or the step that ends its way.
    """
    packet = Packet(view, origin, destination, source, device, connects=False, learnt=dict(learnt or {}))
    sent = _follow(packet)
    if isinstance(sent, Prediction):
        return sent.reason[-1]
    return sent if sent.host == host else sent.steps[-1]


def lost(
    view: View,
    origin: str,
    source: IPAddress | None,
    destination: IPAddress,
    host: str,
    device: str | None = None,
    learnt: Neighbours | None = None,
) -> Step | None:
    """Return where what one host sends to an address ends, if it does not arrive at the other one.

    For answers and for ICMP errors, about which no ICMP error is sent that would matter (RFC 1122, 3.2.2).
    An ICMP error without a source is given one on its way out. The arguments are those of `answered`.

    Returns:
        The step that ends its way; None if it arrives.
    """
    sent = answered(view, origin, source, destination, host, device, learnt)
    return sent if isinstance(sent, Step) else None


def _follow(packet: Packet) -> Delivered | Prediction:
    """Return where a packet ends up."""
    host, arrival, ttl = packet.origin, "", TTL
    came: RouteEntry | Delivered | Prediction | IcmpError = leave(packet)
    while isinstance(came, RouteEntry):
        there = next_host(packet, host, came)
        if there is None:
            came = nobody_answers(packet, host, arrival, came)
        else:
            host, arrival = there
            came = arrive(packet, host, arrival, ttl)
            ttl -= 1
    return _told(packet, came) if isinstance(came, IcmpError) else came


def _told(packet: Packet, error: IcmpError) -> Prediction:
    """Send a router's error back: it counts only if it arrives, and where somebody waits for it."""
    if packet.source is None or not packet.connects:
        return packet.lost(error.remedy)
    message, router = error.message, error.router
    source, device = sent_from(packet.view.facts[router], error.arrival, packet.source)
    end = lost(packet.view, router, source, packet.source, packet.origin, device, packet.learnt)
    if end is not None:
        text = f"{message.text}, which is lost on its way back to {packet.source}: {end.text}"
        packet.note("answer", router, text, end.rests_on)
        return packet.lost(error.remedy)
    packet.note("answer", router, f"{message.text}, to {packet.source}", message.source)
    return packet.unreachable(message.errno, error.remedy)
