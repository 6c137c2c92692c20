"""The way of a packet through the lab: from host to host, until one takes it as its own or nobody can.

Every step names the fact or the rule that it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from netlab.facts import Facts, RouteEntry
from netlab.model import IPAddress, Outcome, Prediction, Step, Topology, Verdict
from netlab.predict.routing import interface_of, is_local, lookup, source_address

# RFC 9293 asks for no limit; RFC 1700's default TTL, which Linux uses (IPDEFTTL).
_TTL = 64

# What connect(2) says of such a route in the host's own tables (Linux `net/ipv4/fib_semantics.c`, fib_props).
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


@dataclass(frozen=True, slots=True)
class Delivered:
    """The packet arrived.

    Attributes:
        host: on which host.
        device: the interface it came in by; on the host that sent it, the one that has the address.
        source: the packet's source address.
        steps: how it got there.
    """

    host: str
    device: str
    source: IPAddress
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class View:
    """All facts of a lab, and who is on which network.

    Attributes:
        facts: by host.
        topology: for the networks that join the hosts' interfaces.
    """

    facts: Mapping[str, Facts]
    topology: Topology
    _network: dict[tuple[str, str], str] = field(init=False, repr=False)
    _owners: dict[tuple[str, IPAddress], tuple[str, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        networks, owners = {}, {}
        for host in self.topology.hosts:
            for link in host.links:
                networks[host.name, link.device] = link.network
                for address in self._answered(host.name, link.device):
                    owners[link.network, address] = (host.name, link.device)
        object.__setattr__(self, "_network", networks)
        object.__setattr__(self, "_owners", owners)

    def _answered(self, host: str, device: str) -> list[IPAddress]:
        """Return the addresses for which a host answers ARP, or neighbour solicitations, on an interface.

        ARP: for any of its addresses, unless arp_ignore says otherwise; IPv6: for that interface's only.
        Source: Linux `net/ipv4/arp.c` (arp_process), `net/ipv6/ndisc.c` (ndisc_recv_ns).
        """
        facts = self.facts[host]
        strict = max(_setting(facts, 4, name, "arp_ignore") for name in ("all", device)) > 0
        return [
            own.ip
            for interface in facts.interfaces
            for own in interface.addresses
            if interface.name == device or (own.version == 4 and not strict and not interface.loopback)
        ]

    def neighbour(self, host: str, device: str, hop: IPAddress) -> tuple[str, str] | None:
        """Return who answers for an address behind an interface: a host, and its interface there."""
        network = self._network.get((host, device), "")
        found = self._owners.get((network, hop))
        return found if found is not None and found[0] != host else None


def _setting(facts: Facts, version: int, device: str, name: str) -> int:
    return int(facts.sysctls.get(f"net.ipv{version}.conf.{device}.{name}", "0"))


def send(view: View, origin: str, destination: IPAddress) -> Delivered | Prediction:
    """Follow a SYN through the lab.

    Args:
        view: the lab.
        origin: the sending host.
        destination: where to.

    Returns:
        Where it arrives, or what the sender is told of its end.
    """
    return _Packet(view, origin, destination, errors_return=True).go()


def arrives(view: View, origin: str, destination: IPAddress, host: str) -> bool:
    """Return whether what one host sends to an address arrives at another one.

    For answers and for ICMP errors, about which no ICMP error is sent that would matter (RFC 1122, 3.2.2).
    """
    if origin == host:
        return is_local(view.facts[host], destination)
    sent = _Packet(view, origin, destination, errors_return=False).go()
    return isinstance(sent, Delivered) and sent.host == host


class _Packet:
    """One packet on its way: the steps so far, and where it is."""

    def __init__(self, view: View, origin: str, destination: IPAddress, *, errors_return: bool) -> None:
        self.view, self.origin, self.destination = view, origin, destination
        self.errors_return = errors_return
        self.version = destination.version
        self.source: IPAddress | None = None
        self.steps: list[Step] = []

    def go(self) -> Delivered | Prediction:
        host, arrival = self.origin, None
        for _ in range(_TTL):
            facts = self.view.facts[host]
            if arrival is not None and (dropped := self._dropped_on_arrival(host, arrival)):
                return dropped
            entry = lookup(facts, self.destination, self.source, self._scope(host))
            if arrival is None and entry is not None:
                self.source = source_address(facts, entry, self.destination)
            if entry is not None and entry.type == "local":
                return self._delivered(host, arrival)
            if arrival is not None and not self._forwards(host, arrival):
                return self._not_forwarding(host, arrival)
            if entry is None or entry.type != "unicast" or entry.device is None:
                return self._no_route(host, entry)
            self._note_route(host, entry)
            hop = entry.gateway or self.destination
            neighbour = self.view.neighbour(host, entry.device, hop)
            if neighbour is None:
                return self._nobody_answers(host, entry.device, hop)
            host, arrival = neighbour
        return self._stop(Verdict.TIMEOUT, "", "mend the routes: they send the packet in a circle")

    def _scope(self, host: str) -> str | None:
        """Return the interface that the sender names in a link-local address (RFC 4007, 11)."""
        is_scoped = host == self.origin and isinstance(self.destination, IPv6Address)
        return self.destination.scope_id if is_scoped else None  # type: ignore[union-attr]

    # --- What can become of it on a host ---------------------------------------------------------------

    def _delivered(self, host: str, arrival: str | None) -> Delivered:
        facts = self.view.facts[host]
        on = interface_of(facts, self.destination) or "?"
        if arrival is None:
            # It crosses the loopback device, and yet counts as come in by the interface that has the address:
            # Linux `net/ipv4/route.c` (ip_route_output_key_hash_rcu, orig_oif), `net/ipv6/ip6_input.c`
            # (ip6_rcv_core).
            arrival = on
            text, rests_on = f"{self.destination} is this host itself, on {on}", f"local routes of {host}"
        elif arrival == on:
            text, rests_on = f"{self.destination} is local, on {on}", f"addresses of {host}"
        else:
            text = f"{self.destination} is local, on {on}, and taken though it came in by {arrival}"
            rests_on = f"addresses of {host}; weak host model, RFC 1122, 3.3.4.2"
        self._note("delivery", host, text, rests_on)
        return Delivered(host, arrival, self.source or self.destination, tuple(self.steps))

    def _dropped_on_arrival(self, host: str, device: str) -> Prediction | None:
        """Return what stops a packet before its destination is even looked at, if anything does."""
        facts = self.view.facts[host]
        if self.destination.is_loopback and not max(
            _setting(facts, self.version, name, "route_localnet") for name in ("all", device)
        ):
            text = f"{self.destination} came in by {device}: a loopback address from outside is dropped"
            self._note("filter", host, text, "RFC 1122, 3.2.1.3 (g); net.ipv4.conf.*.route_localnet = 0")
            return self._stop(Verdict.TIMEOUT, "", f"dial an address of {host} that is not loopback")
        strictness = max(_setting(facts, self.version, name, "rp_filter") for name in ("all", device))
        if self.version == 4 and strictness and self.source is not None:
            back = lookup(facts, self.source)
            if back is None or (strictness == 1 and back.device != device):
                way = f"by {back.device}" if back else "nowhere"
                text = f"answers to {self.source} would leave {way}, and it came in by {device}: dropped"
                self._note("filter", host, text, f"net.ipv4.conf.*.rp_filter = {strictness}; RFC 3704, 2.2")
                return self._stop(Verdict.TIMEOUT, "", f"set net.ipv4.conf.{device}.rp_filter to 2 on {host}")
        return None

    def _forwards(self, host: str, device: str) -> bool:
        facts = self.view.facts[host]
        scope = device if self.version == 4 else "all"
        return _setting(facts, self.version, scope, "forwarding") > 0

    def _not_forwarding(self, host: str, device: str) -> Prediction:
        sysctl = "net.ipv4.ip_forward" if self.version == 4 else "net.ipv6.conf.all.forwarding"
        text = f"{self.destination} is not local, and {host} is no router: dropped"
        self._note("forward", host, text, f"{sysctl} = 0 on {host}")
        return self._stop(Verdict.TIMEOUT, "", f"set {sysctl} to 1 on {host}, or route around it")

    def _no_route(self, host: str, entry: RouteEntry | None) -> Prediction:
        kind = entry.type if entry is not None else None
        text = f"the route to {self.destination} is {kind}" if kind else f"no route to {self.destination}"
        remedy = f"give {host} a route to {self.destination}"
        self._note("route", host, text, f"routes of {host}")
        if host == self.origin:
            return self._stop(Verdict.UNREACHABLE, _OWN_ROUTE_ERRNO.get(kind or "", "ENETUNREACH"), remedy)
        if kind == "blackhole":
            return self._stop(Verdict.TIMEOUT, "", remedy)
        message, errno = _ROUTER_ERRNO.get((self.version, kind), _ROUTER_ERRNO[self.version, None])
        return self._refused_by_router(host, message, errno, remedy)

    def _nobody_answers(self, host: str, device: str, hop: IPAddress) -> Prediction:
        protocol, source = ("ARP", "RFC 826") if self.version == 4 else ("neighbour discovery", "RFC 4861")
        self._note("neighbour", host, f"nobody on {device} answers for {hop}", f"{protocol}, {source}")
        remedy = f"check that {hop} is up and on the network behind {device} of {host}"
        if host == self.origin:
            return self._stop(Verdict.UNREACHABLE, "EHOSTUNREACH", remedy)
        message = "ICMP host unreachable" if self.version == 4 else "ICMPv6 address unreachable"
        return self._refused_by_router(host, message, "EHOSTUNREACH", remedy)

    def _refused_by_router(self, router: str, message: str, errno: str, remedy: str) -> Prediction:
        """Send the router's ICMP error back: it counts only if it arrives."""
        source = self.source
        if source is None or not self.errors_return or not arrives(self.view, router, source, self.origin):
            self._note("answer", router, f"{message}, which finds no way back", f"routes of {router}")
            return self._stop(Verdict.TIMEOUT, "", remedy)
        rests_on = "RFC 1812, 5.2.7.1" if self.version == 4 else "RFC 4443, 3.1"
        self._note("answer", router, f"{message}, to {self.source}", rests_on)
        return self._stop(Verdict.UNREACHABLE, errno, remedy)

    # --- Notes -----------------------------------------------------------------------------------------

    def _note_route(self, host: str, entry: RouteEntry) -> None:
        via = f" via {entry.gateway}" if entry.gateway is not None else ""
        prefix = entry.destination if entry.destination.prefixlen else "default"
        if host == self.origin:
            source = f", source {self.source}" if self.source is not None else ""
            self._note("route", host, f"{prefix}{via} dev {entry.device}{source}", f"routes of {host}")
        else:
            text = f"passes it on: {prefix}{via} dev {entry.device}"
            self._note("forward", host, text, f"routes of {host}; forwarding is on")

    def _note(self, kind: str, host: str, text: str, rests_on: str) -> None:
        self.steps.append(Step(kind, host, text, rests_on))

    def _stop(self, verdict: Verdict, detail: str, remedy: str) -> Prediction:
        return Prediction(Outcome(verdict, detail), tuple(self.steps), remedy)
