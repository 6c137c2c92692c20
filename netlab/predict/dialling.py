"""A dial, before it matters what is sent: the name, its addresses, and what connect(2) makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import ClassVar

from netlab.facts import Engine, Publication, Resolution
from netlab.model import Bind, IPAddress, Outcome, Prediction, Protocol, Step, Target, Verdict, endpoint
from netlab.predict.binding import describe_all, describe_others
from netlab.predict.publishing import inner_address, is_proxied
from netlab.predict.routing import interface_of
from netlab.predict.sources import is_of_one_link
from netlab.predict.view import Delivered, View


@dataclass(frozen=True, slots=True)
class Led:
    """What comes of a dial to a published port, behind it.

    Attributes:
        came: what comes of dialling the container from the engine's machine.
        proxied: whether a proxy does so, and speaks to whoever dials itself.
        remedy: what would open it, where the proxy gets nowhere.
    """

    came: Prediction
    proxied: bool = False
    remedy: str = ""


class Dialling(ABC):
    """A dial, with the steps so far.

    Args:
        view: the facts of every host.
        bind: how the service was told where to listen.
        port: the service's own.
        vantage: the host that dials.
        dialled: the port that it dials: a published one is another one than the service's.
    """

    # What ends the search among a name's addresses.
    settles: ClassVar[frozenset[Verdict]]
    # The kernel's function that dials an IPv6 address.
    connect6: ClassVar[str]
    protocol: ClassVar[Protocol]

    def __init__(self, view: View, bind: Bind, port: int, vantage: str, dialled: int) -> None:
        self.view, self.bind, self.port, self.vantage = view, bind, port, vantage
        self.dialled = dialled
        self.steps: list[Step] = []

    @abstractmethod
    def reach(self, destination: IPAddress, device: str | None) -> Prediction:
        """Say what comes of one address.

        Args:
            destination: what connect(2) really dials.
            device: the interface that a link-local address names.
        """

    def dial(self, target: Target) -> Prediction:
        """Try the target's addresses in turn: the first that answers decides, else the last.

        So does every client that follows RFC 6724, 2 (socket.create_connection, curl, ssh).
        """
        listening = describe_all(self.view.facts[self.bind.host], self.port, self.protocol)
        self.note("bind", self.bind.host, f"{self.bind.address or 'as it is'}: listening on {listening}")
        resolution = self._resolve(target.address)
        if resolution.error:
            known = f"make {target.address} known to {self.vantage} (DNS, /etc/hosts)"
            remedy = f"dial {self.addresses()}, or {known}"
            return self.end(Outcome(Verdict.UNRESOLVED, resolution.error), remedy)
        for address in resolution.addresses:
            tried = self._try(*self._effective(address))
            if tried.outcome.verdict in self.settles:
                break
        return tried

    def _resolve(self, name: str) -> Resolution:
        try:
            return Resolution((ip_address(name),))
        except ValueError:
            found = self.view.facts[self.vantage].names.get(name, Resolution(error="EAI_NONAME"))
        if not found.addresses:
            found = Resolution(error=found.error or "EAI_NODATA")
            self.note(
                "resolve", self.vantage, f"{name} has no address ({found.error})", f"names of {self.vantage}"
            )
        else:
            listed = ", then ".join(map(str, found.addresses))
            rests_on = f"names of {self.vantage}; RFC 6724, 6"
            self.note("resolve", self.vantage, f"{name} is {listed}", rests_on)
        return found

    def _effective(self, address: IPAddress) -> tuple[IPAddress, str | None]:
        """Return the address that connect(2) really dials, and the interface that it names (RFC 4007, 11).

        Source: RFC 4291, 2.5.5.2 (IPv4-mapped); Linux `net/ipv4/route.c` (ip_route_output_key_hash_rcu) and
        `net/ipv6/tcp_ipv6.c` (tcp_v6_connect): a wildcard as a destination is the loopback address.
        """
        device = None
        if isinstance(address, IPv6Address):
            device = address.scope_id if is_of_one_link(address) else None
            address = address.ipv4_mapped or IPv6Address(int(address))
        if not address.is_unspecified:
            return address, device
        loopback = ip_address("127.0.0.1" if address.version == 4 else "::1")
        rule = "ip_route_output_key_hash_rcu" if address.version == 4 else self.connect6
        self.note("resolve", self.vantage, f"{address} as a destination is {loopback}", rule)
        return loopback, None

    def _try(self, destination: IPAddress, device: str | None) -> Prediction:
        if device is None and self.needs_interface(destination):
            text = f"{destination} is on every link: which one is meant is not said"
            self.note("route", self.vantage, text, f"RFC 4007, 6; {self.connect6}")
            remedy = f"name the interface: {destination}%eth0"
            return self.end(Outcome(Verdict.UNREACHABLE, "EINVAL"), remedy)
        return self.reach(destination, device)

    def lead_inside(
        self,
        engine: Engine,
        publication: Publication,
        destination: IPAddress,
        sent: Delivered,
        onward: Dialling,
    ) -> Led:
        """Follow a dial to a published port into the container that it leads to.

        Args:
            engine: what publishes it.
            publication: the port.
            destination: where on the engine's machine it is dialled.
            sent: how the packet came there.
            onward: dials the port inside from the engine's machine.
        """
        inner = inner_address(self.view.facts[publication.host], destination.version)
        if inner is None:
            text = f"{publication.host} has no default route: nothing of it is published"
            self.note("publish", engine.host, text, f"routes of {publication.host}")
            remedy = f"give {publication.host} a network that is not internal"
            return Led(self.end(Outcome(Verdict.REFUSED), remedy))
        outside, inside = endpoint(destination, publication.port), endpoint(inner, publication.inside)
        from_inside = sent.host != self.vantage and self.view.network(sent.host, sent.device) is not None
        facts = self.view.facts[engine.host]
        proxied = is_proxied(
            *(engine, facts, destination, self.dialled, sent.device, inner),
            from_inside=from_inside,
            protocol=self.protocol,
        )
        text, by = f"{outside} becomes {inside} of {publication.host}", "NAT"
        if proxied:
            text = f"the engine's proxy takes {outside}, and dials {inside} of {publication.host}"
            by = "docker-proxy"
        self.note("publish", engine.host, text, f"published ports; {by} of Docker {engine.version}")
        ended = onward.reach(inner, None)
        self.steps += ended.reason
        wildcard = "0.0.0.0" if inner.version == 4 else "::"
        remedy = f"the published port leads to {inside}: in {publication.host}, listen there or on {wildcard}"
        return Led(self.end(ended.outcome, ended.remedy), proxied, remedy)

    def needs_interface(self, destination: IPAddress) -> bool:
        """Return whether connect(2) has to be told the interface; it takes no multicast for a connection."""
        return is_of_one_link(destination) and not destination.is_multicast

    def how_to_open(self, destination: IPAddress, reached: str) -> str:
        """Return what would open an address on which no socket takes the packet.

        Args:
            destination: the address.
            reached: the host that it led to.
        """
        if reached != self.bind.host:
            return f"{destination} is {reached} itself: dial {self.addresses()}"
        facts = self.view.facts[self.bind.host]
        if all(socket.port != self.dialled for socket in facts.sockets(self.protocol)):
            port, there = self.protocol.port(self.dialled), describe_others(facts, self.protocol)
            return f"start the service: nothing listens on {port} of {self.bind.host}{there}"
        wildcard = "0.0.0.0" if destination.version == 4 else "::"
        advice = f"bind {wildcard} or {destination}"
        if self.bind.v6only and destination.version == 4:
            advice += ", or :: without v6only"
        return f"{advice}, and not to the device {self.bind.device}" if self.bind.device else advice

    def other_address(self, destination: IPAddress) -> str:
        """Say what to dial instead of an address that is not the service's host's; empty if it is.

        Where an engine publishes ports, an address of its machine may be meant.
        """
        facts = self.view.facts[self.bind.host]
        if self.view.engine is not None or interface_of(facts, destination) is not None:
            return ""
        return f"{destination} is no address of {self.bind.host}: dial {self.addresses()}"

    def addresses(self) -> str:
        """Name an address of the service's host, and all of those that others may dial."""
        known = ", ".join(
            str(own.ip)
            for interface in self.view.facts[self.bind.host].interfaces
            for own in interface.addresses
            if not own.ip.is_loopback and not own.ip.is_link_local
        )
        return f"an address of {self.bind.host}" + (f" ({known})" if known else "")

    def note(self, kind: str, host: str, text: str, rests_on: str = "") -> None:
        """Add a step; it rests on the host's sockets, unless it says otherwise."""
        self.steps.append(Step(kind, host, text, rests_on or f"sockets of {host}"))

    def end(self, outcome: Outcome, remedy: str) -> Prediction:
        """Return the prediction, with the steps that led to it."""
        return Prediction(outcome, tuple(self.steps), remedy)
