"""The way of a packet through the lab: from host to host, until one takes it as its own or nobody can.

Every step names the fact or the rule that it rests on. What is not seen: ARP entries that a host has learnt
from other traffic, packet filters, and which of a route's several next hops a connection is hashed to.
"""

from __future__ import annotations

from ipaddress import ip_network

from netlab.facts import RouteEntry
from netlab.model import IPAddress, Outcome, Prediction, Protocol, Step, Verdict
from netlab.predict.arrival import Drop, forwards, loopback_from_outside, unwelcome_source
from netlab.predict.publishing import kept_apart
from netlab.predict.routing import LIMITED_BROADCAST, REJECTS, interface_of, is_local, lookup
from netlab.predict.sources import ipv4_on, ipv6_for, source_address
from netlab.predict.view import Delivered, Neighbours, View

# RFC 9293 asks for no limit; RFC 1700's default TTL, which Linux uses (IPDEFTTL).
_TTL = 64

# What connect(2) says of such a route in the host's own tables (Linux `net/ipv4/fib_semantics.c`, fib_props;
# `net/ipv6/route.c`, fib6_prop).
_OWN_ROUTE_ERRNO = {
    "unreachable": "EHOSTUNREACH",
    "prohibit": "EACCES",
    "blackhole": "EINVAL",
}
# What connect(2) says of the ICMP error that a router with such a route sends; a blackhole sends none
# (Linux `net/ipv4/icmp.c`, icmp_err_convert; `net/ipv6/icmp.c`, tab_unreach and icmpv6_err_convert).
_ROUTER_ERRNO = {
    (4, None): ("ICMP network unreachable", "ENETUNREACH"),
    (4, "unreachable"): ("ICMP host unreachable", "EHOSTUNREACH"),
    (4, "prohibit"): ("ICMP packet filtered", "EHOSTUNREACH"),
    (6, None): ("ICMPv6 no route to destination", "ENETUNREACH"),
    (6, "unreachable"): ("ICMPv6 no route to destination", "ENETUNREACH"),
    (6, "prohibit"): ("ICMPv6 administratively prohibited", "EACCES"),
}


# Types of a route to more than one host.
_TO_MANY = ("anycast", "broadcast", "multicast")
_DIAL_ONE = "dial the address of a host"


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
    return _Packet(view, origin, destination, source, device, connects=True, protocol=protocol).go()


def source_with_another_route(view: View, origin: str, destination: IPAddress) -> IPAddress | None:
    """Return the source that an IPv6 connection has chosen, if with it, looked up again, it goes another way.

    A policy rule may ask for a source, and the first lookup has none. After two seconds without an answer the
    socket's route is dropped, and the next lookup has one.

    Source: Linux `net/ipv4/tcp_timer.c` (tcp_write_timeout), `net/ipv6/route.c` (ip6_negative_advice),
    `net/ipv6/inet6_connection_sock.c` (inet6_csk_route_socket).
    """
    facts = view.facts[origin]
    first = lookup(facts, destination)
    if destination.version == 4 or not _leads_on(first):
        return None
    source = source_address(facts, first, destination)
    second = lookup(facts, destination, source)
    return source if second != first and _leads_on(second) else None


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
    sent = _Packet(view, origin, destination, source, device, connects=False, learnt=learnt).go()
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


class _Packet:
    """One packet on its way: the steps so far, and where it is."""

    def __init__(
        self,
        view: View,
        origin: str,
        destination: IPAddress,
        source: IPAddress | None,
        device: str | None,
        *,
        connects: bool,
        learnt: Neighbours | None = None,
        protocol: Protocol = Protocol.TCP,
    ) -> None:
        self.view, self.origin, self.destination = view, origin, destination
        self.source, self.device, self.connects = source, device, connects
        self.by_datagram = protocol is Protocol.UDP
        self.version = destination.version
        self.steps: list[Step] = []
        self._learnt = dict(learnt or {})
        self._passed: set[tuple[str, str]] = set()

    def go(self) -> Delivered | Prediction:
        """Return where it ends up."""
        to_many = self.destination.is_multicast or self.destination == LIMITED_BROADCAST
        if to_many and (self.version == 6 or _leads_on(self._first_look())):
            return self._to_many(self.origin, self._first_look())
        host, way = self.origin, self._own_route()
        if way is None or way.type != "unicast":
            return self._not_sent(way)
        self._note_own_route(way)
        arrival = ""
        for ttl in range(_TTL, 0, -1):
            neighbour = self._neighbour(host, way)
            if neighbour is None:
                neighbour = self._beyond(host, way)
            if neighbour is None:
                return self._nobody_answers(host, arrival, way)
            host, arrival = neighbour
            met = self._arrive(host, arrival, ttl)
            if not isinstance(met, RouteEntry):
                return met
            way = met
        raise AssertionError("a packet whose TTL is 1 is not passed on")

    # --- On the host that sends it ---------------------------------------------------------------------

    def _own_route(self) -> RouteEntry | None:
        """Look the route up, and with it the source address, as connect(2) and a listening socket do.

        IPv4 chooses the source, and looks again for a route that may depend on it; IPv6 looks again only if
        the first look found nothing. An ICMP error is content with the first.

        Source: Linux `include/net/route.h` (ip_route_connect), `net/ipv4/icmp.c` (icmp_route_lookup),
        `net/ipv6/ip6_output.c` (ip6_dst_lookup_tail).
        """
        facts, entry = self.view.facts[self.origin], self._first_look()
        if self.source is None and (self.version == 6 or _leads_on(entry)):
            usable = entry if _leads_on(entry) else None
            self.source = source_address(facts, usable, self.destination)
            if (self.version == 4 and self.connects) or usable is None:
                entry = lookup(facts, self.destination, self.source, self.device)
        if self.version == 4 and self.device is not None and not _leads_on(entry):
            # "Apparently, routing tables are wrong. Assume, that the destination is on link":
            # `net/ipv4/route.c`, ip_route_output_key_hash_rcu.
            self.source = self.source or ipv4_on(facts, self.device, None)
            return RouteEntry(0, "unicast", ip_network(self.destination), device=self.device)
        return entry

    def _first_look(self) -> RouteEntry | None:
        return lookup(self.view.facts[self.origin], self.destination, self.source, self.device)

    def _not_sent(self, entry: RouteEntry | None) -> Delivered | Prediction:
        """Return what becomes of it where no route leads it out of the host that sends it."""
        if entry is not None and entry.type == "local":
            # It crosses the loopback device, and yet counts as come in by the one that the route names:
            # `net/ipv4/route.c` (ip_route_output_key_hash_rcu, orig_oif), `net/ipv6/ip6_input.c`
            # (ip6_rcv_core, ip6_dst_idev).
            on = entry.device or "?"
            text = f"{self.destination} is this host itself, on {on}"
            self._note("delivery", self.origin, text, f"local routes of {self.origin}")
            return self._delivered(self.origin, on)
        if entry is not None and entry.type in _TO_MANY:
            return self._to_many(self.origin, entry)
        errno = _OWN_ROUTE_ERRNO.get(entry.type, "ENETUNREACH") if entry is not None else "ENETUNREACH"
        return self._stop(Verdict.UNREACHABLE, errno, self._note_no_route(self.origin, entry))

    def _neighbour(self, host: str, way: RouteEntry) -> tuple[str, str] | None:
        """Ask who has the next hop's address, unless it is known; whoever is asked by ARP learns who asks.

        Source: RFC 826; Linux `net/ipv4/arp.c` (arp_solicit, arp_process).
        """
        device, hop = way.device or "", way.gateway or self.destination
        if (host, device, hop) in self._learnt:
            return self._learnt[host, device, hop]
        sender = self._sender(host, device, hop) if hop.version == 4 else None
        found = self.view.neighbour(host, device, hop, sender)
        if found is not None and sender is not None:
            self._learnt[*found, sender] = host, device
        return found

    def _beyond(self, host: str, way: RouteEntry) -> tuple[str, str] | None:
        """Return where a router that is none of the hosts is taken to lead to: the host with the address."""
        if self.view.complete or way.gateway is None:
            return None
        for other, facts in self.view.facts.items():
            device = interface_of(facts, self.destination)
            if other != host and device is not None and not self.destination.is_loopback:
                text = f"{way.gateway} is not among the machines: it is taken to pass the packet on"
                self._note("forward", host, text, f"routes of {host}")
                return other, device
        return None

    def _sender(self, host: str, device: str, hop: IPAddress) -> IPAddress | None:
        """Return the address that a host gives as its own in ARP: the packet's source, if that is its own."""
        facts = self.view.facts[host]
        if self.source is not None and self.source.version == 4 and is_local(facts, self.source):
            return self.source
        return ipv4_on(facts, device, hop)

    # --- On a host where it comes in -------------------------------------------------------------------

    def _arrive(self, host: str, arrival: str, ttl: int) -> RouteEntry | Delivered | Prediction:
        """Return the route by which the host passes it on, or how its way ends there.

        Source: Linux `net/ipv4/route.c` (ip_route_input_slow, ip_mkroute_input, ip_error),
        `net/ipv4/ip_forward.c`, `net/ipv6/route.c` (ip6_pkt_drop), `net/ipv6/ip6_output.c` (ip6_forward).
        """
        facts = self.view.facts[host]
        for address in (self.destination, self.source):
            if address is not None and (drop := loopback_from_outside(facts, host, arrival, address)):
                return self._dropped(host, drop)
        entry = lookup(facts, self.destination, self.source)
        if entry is None or entry.type in REJECTS:
            return self._rejected(host, arrival, entry)
        if self.version == 4 and self.source is not None:
            is_for_it = entry.type in ("local", "broadcast") or forwards(facts, 4, arrival)
            drop = unwelcome_source(facts, host, arrival, self.source, self.destination)
            if is_for_it and drop is not None:
                return self._dropped(host, drop)
        if entry.type == "local":
            self._note_delivery(host, arrival, entry.device or "?")
            return self._delivered(host, arrival)
        if entry.type != "unicast":
            if self.by_datagram and entry.type in ("anycast", "broadcast"):
                return self._among_many(host, arrival, entry)
            return self._to_many(host, entry)
        if not forwards(facts, self.version, arrival):
            return self._not_forwarding(host)
        if (drop := self._kept_apart(host, arrival, entry)) is not None:
            return self._dropped(host, drop)
        return self._passed_on(host, arrival, entry, ttl)

    def _kept_apart(self, host: str, arrival: str, entry: RouteEntry) -> Drop | None:
        engine = self.view.engine
        if engine is None or host != engine.host:
            return None
        came_from, leads_to = (self.view.network(host, device) for device in (arrival, entry.device))
        return kept_apart(engine, self.version, came_from, leads_to)

    def _passed_on(self, host: str, arrival: str, entry: RouteEntry, ttl: int) -> RouteEntry | Prediction:
        circle = (host, arrival) in self._passed
        if ttl > 1 and not circle:
            text = f"passes it on: {_way(entry)}"
            self._note("forward", host, text, f"routes of {host}; forwarding is on")
        self._passed.add((host, arrival))
        if ttl == 1:
            text = f"it came round in a circle until its {_TTL} hops were used up"
            self._note("forward", host, text, "RFC 1812, 5.3.1; the routes of all hosts named here")
            icmp = "ICMP time exceeded" if self.version == 4 else "ICMPv6 hop limit exceeded"
            remedy = "mend the routes: they send the packet in a circle"
            return self._told_by(host, arrival, icmp, "EHOSTUNREACH", remedy)
        leaves = entry.device != arrival
        if self.version == 6 and self.source is not None and self.source.is_link_local and leaves:
            icmp = "ICMPv6 beyond scope of source address"
            remedy = f"give {self.origin} an address that is not link-local"
            return self._told_by(host, arrival, icmp, "EHOSTUNREACH", remedy)
        return entry

    def _delivered(self, host: str, arrival: str) -> Delivered:
        return Delivered(host, arrival, self.source or self.destination, tuple(self.steps), self._learnt)

    def _dropped(self, host: str, drop: Drop) -> Prediction:
        self._note("filter", host, drop.text, drop.rests_on)
        return self._stop(Verdict.TIMEOUT, "", drop.remedy)

    def _to_many(self, host: str, entry: RouteEntry | None) -> Delivered | Prediction:
        """Multicast, broadcast or anycast: connect(2) refuses the first two, and no host answers such a SYN.

        Source: Linux `net/ipv4/tcp_ipv4.c` (tcp_v4_connect, tcp_v4_conn_request, tcp_v4_send_reset),
        `net/ipv6/tcp_ipv6.c`; RFC 1122, 4.2.3.10.
        """
        if self.by_datagram:
            return self._datagram_to_many(host, entry)
        text = f"{self.destination} is not the address of one host: TCP is between two"
        self._note("delivery", host, text, "RFC 1122, 4.2.3.10")
        anycast = entry is not None and entry.type == "anycast"
        if host == self.origin and not anycast:
            return self._stop(Verdict.UNREACHABLE, "ENETUNREACH", _DIAL_ONE)
        return self._stop(Verdict.TIMEOUT, "", _DIAL_ONE)

    def _datagram_to_many(self, host: str, entry: RouteEntry | None) -> Delivered | Prediction:
        """Datagrams may go to many: an anycast address is a host's own, a broadcast one has to be asked for.

        Which sockets are in a multicast group is not read; without any, nobody answers.

        Source: Linux `net/ipv4/datagram.c` (__ip4_datagram_connect), `net/ipv6/datagram.c`
        (__ip6_datagram_connect), `net/ipv4/route.c` (ip_route_input_slow), `net/ipv6/route.c`.
        """
        if not _leads_on(entry):
            return self._not_sent(entry)
        if entry is not None and entry.type == "anycast":
            return self._among_many(host, entry.device or "?", entry)
        if not self.destination.is_multicast:
            text = f"{self.destination} is a broadcast address, which a socket has to ask for (SO_BROADCAST)"
            self._note("delivery", host, text, "__ip4_datagram_connect")
            return self._stop(Verdict.UNREACHABLE, "EACCES", _DIAL_ONE)
        text = f"{self.destination} is multicast: who is in the group is not read"
        self._note("delivery", host, text, "RFC 1112, 7.1")
        return self._stop(Verdict.TIMEOUT, "", _DIAL_ONE)

    def _among_many(self, host: str, arrival: str, entry: RouteEntry) -> Delivered:
        """Deliver what is for a host among others."""
        broadcast = entry.type == "broadcast"
        text = f"{self.destination} is {'a broadcast' if broadcast else 'an anycast'} address on {arrival}"
        self._note("delivery", host, text, f"local routes of {host}")
        source = self.source or self.destination
        return Delivered(host, arrival, source, tuple(self.steps), self._learnt, broadcast)

    def _not_forwarding(self, host: str) -> Prediction:
        sysctl = "net.ipv4.ip_forward" if self.version == 4 else "net.ipv6.conf.all.forwarding"
        text = f"{self.destination} is not local, and {host} is no router: dropped"
        self._note("forward", host, text, f"{sysctl} = 0 on {host}")
        return self._stop(Verdict.TIMEOUT, "", f"set {sysctl} to 1 on {host}, or route around it")

    def _rejected(self, host: str, arrival: str, entry: RouteEntry | None) -> Prediction:
        """A lookup that fails comes first: no source is checked, and IPv6 tells the sender, router or not."""
        if self.version == 4 and not forwards(self.view.facts[host], 4, arrival):
            return self._not_forwarding(host)
        kind = entry.type if entry is not None else None
        remedy = self._note_no_route(host, entry)
        if kind == "blackhole":
            return self._stop(Verdict.TIMEOUT, "", remedy)
        message, errno = _ROUTER_ERRNO[self.version, kind]
        return self._told_by(host, arrival, message, errno, remedy)

    def _nobody_answers(self, host: str, arrival: str, way: RouteEntry) -> Prediction:
        hop = way.gateway or self.destination
        protocol, source = ("ARP", "RFC 826") if hop.version == 4 else ("neighbour discovery", "RFC 4861")
        self._note("neighbour", host, f"nobody on {way.device} answers for {hop}", f"{protocol}, {source}")
        remedy = f"check that {hop} is up and on the network behind {way.device} of {host}"
        if host == self.origin and self.version == 6 and self.device is not None:
            # The host tells its own sockets by ICMP, which crosses the loopback device: one that is bound to
            # another, as a link-local destination has it, is not found (`net/ipv6/tcp_ipv6.c`, tcp_v6_err).
            return self._stop(Verdict.TIMEOUT, "", remedy)
        if host == self.origin:
            return self._stop(Verdict.UNREACHABLE, "EHOSTUNREACH", remedy)
        message = "ICMP host unreachable" if self.version == 4 else "ICMPv6 address unreachable"
        return self._told_by(host, arrival, message, "EHOSTUNREACH", remedy)

    def _told_by(self, router: str, arrival: str, message: str, errno: str, remedy: str) -> Prediction:
        """Send the router's ICMP error back: it counts only if it arrives."""
        if self.source is None or not self.connects:
            return self._stop(Verdict.TIMEOUT, "", remedy)
        exceeded = "exceeded" in message
        unreachable = "RFC 1812, 5.2.7.1" if self.version == 4 else "RFC 4443, 3.1"
        time_exceeded = "RFC 1812, 5.2.7.3" if self.version == 4 else "RFC 4443, 3.3"
        rests_on = time_exceeded if exceeded else unreachable
        end = self._error_lost(router, arrival, self.source)
        if end is not None:
            text = f"{message}, which is lost on its way back to {self.source}: {end.text}"
            self._note("answer", router, text, end.rests_on)
            return self._stop(Verdict.TIMEOUT, "", remedy)
        self._note("answer", router, f"{message}, to {self.source}", rests_on)
        return self._stop(Verdict.UNREACHABLE, errno, remedy)

    def _error_lost(self, router: str, arrival: str, to: IPAddress) -> Step | None:
        """Return where a router's ICMP error ends, if it does not come back.

        Its source follows from its route in IPv4; in IPv6 it is an address of the interface by which the
        packet came in, unless the route back prefers one.

        Source: Linux `net/ipv4/icmp.c` (__icmp_send), `net/ipv6/icmp.c` (icmp6_send, icmpv6_rt_has_prefsrc).
        """
        facts, source, device = self.view.facts[router], None, None
        if to.version == 6:
            device = arrival if to.is_link_local else None
            back = lookup(facts, to)
            if back is None or back.source is None:
                source = ipv6_for(facts, arrival, to)
        return lost(self.view, router, source, to, self.origin, device, self._learnt)

    # --- Notes -----------------------------------------------------------------------------------------

    def _note_own_route(self, entry: RouteEntry) -> None:
        source = f", source {self.source}" if self.source is not None else ""
        self._note("route", self.origin, f"{_way(entry)}{source}", f"routes of {self.origin}")

    def _note_no_route(self, host: str, entry: RouteEntry | None) -> str:
        """Note that a host has no way for it; return the remedy."""
        kind = entry.type if entry is not None else None
        text = f"the route to {self.destination} is {kind}" if kind else f"no route to {self.destination}"
        self._note("route", host, text, f"routes of {host}")
        return f"give {host} a route to {self.destination}"

    def _note_delivery(self, host: str, arrival: str, on: str) -> None:
        if arrival == on:
            text, rests_on = f"{self.destination} is local, on {on}", f"addresses of {host}"
        else:
            text = f"{self.destination} is local, on {on}, and taken though it came in by {arrival}"
            rests_on = f"addresses of {host}; weak host model, RFC 1122, 3.3.4.2"
        self._note("delivery", host, text, rests_on)

    def _note(self, kind: str, host: str, text: str, rests_on: str) -> None:
        self.steps.append(Step(kind, host, text, rests_on))

    def _stop(self, verdict: Verdict, detail: str, remedy: str) -> Prediction:
        return Prediction(Outcome(verdict, detail), tuple(self.steps), remedy)


def _leads_on(entry: RouteEntry | None) -> bool:
    """Return whether a lookup succeeded, in the kernel's eyes."""
    return entry is not None and entry.type not in REJECTS


def _way(entry: RouteEntry) -> str:
    prefix = entry.destination if entry.destination.prefixlen else "default"
    via = f" via {entry.gateway}" if entry.gateway is not None else ""
    return f"{prefix}{via} dev {entry.device}"
