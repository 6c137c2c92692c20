"""The predictor: from facts to what must come of a dial, and why. Pure: no socket, no clock, no backend.

`predict` goes the way of a connection: does the service listen at all (`binding`), what does the name resolve
to, where does the packet go (`path`, `routing`), which socket takes it (`listeners`), does the answer return.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from netlab.facts import Engine, Listener, Publication, Resolution
from netlab.model import Bind, IPAddress, Outcome, Prediction, Step, Target, Verdict, endpoint
from netlab.predict.binding import cannot_bind, describe, describe_all
from netlab.predict.listeners import find_listener
from netlab.predict.path import Delivered, View, lost, send, source_with_another_route
from netlab.predict.publishing import inner_address, is_proxied, publication_of

__all__ = ["View", "predict"]


def predict(view: View, bind: Bind, port: int, vantage: str, target: Target) -> Prediction:
    """Say what comes of a dial.

    Args:
        view: the facts of every host, read while the service ran, and the networks that join them.
        bind: how the service was told where to listen, and on which host.
        port: the service's TCP port.
        vantage: the host that dials.
        target: what it dials.

    Returns:
        The outcome; its reason, step by step; and what would open it, where it is not open.
    """
    if bind.address and (failure := cannot_bind(view.facts[bind.host], bind, port)):
        return failure
    return _Connection(view, bind, port, vantage, target.port or port).dial(target)


class _Connection:
    """An attempt to connect, with the steps so far."""

    def __init__(self, view: View, bind: Bind, port: int, vantage: str, dialled: int) -> None:
        self.view, self.bind, self.port, self.vantage = view, bind, port, vantage
        self.dialled = dialled  # a published port is another one than the service's
        self.steps: list[Step] = []

    def dial(self, target: Target) -> Prediction:
        """Try the target's addresses in turn: the first that connects decides, else the last.

        So does every client that follows RFC 6724, 2 (socket.create_connection, curl, ssh).
        """
        listening = describe_all(self.view.facts[self.bind.host], self.port)
        self._note("bind", self.bind.host, f"{self.bind.address or 'as it is'}: listening on {listening}")
        resolution = self._resolve(target.address)
        if resolution.error:
            remedy = f"dial an address, or make {target.address} known to {self.vantage} (DNS, /etc/hosts)"
            return self._end(Outcome(Verdict.UNRESOLVED, resolution.error), remedy)
        for address in resolution.addresses:
            tried = self._connect(*self._effective(address))
            if tried.outcome.verdict in (Verdict.OPEN, Verdict.WRONG_SERVICE, Verdict.ACCEPTED):
                break
        return tried

    def _resolve(self, name: str) -> Resolution:
        try:
            return Resolution((ip_address(name),))
        except ValueError:
            found = self.view.facts[self.vantage].names.get(name, Resolution(error="EAI_NONAME"))
        if not found.addresses:
            found = Resolution(error=found.error or "EAI_NODATA")
            self._note(
                "resolve", self.vantage, f"{name} has no address ({found.error})", f"names of {self.vantage}"
            )
        else:
            listed = ", then ".join(map(str, found.addresses))
            rests_on = f"names of {self.vantage}; RFC 6724, 6"
            self._note("resolve", self.vantage, f"{name} is {listed}", rests_on)
        return found

    def _effective(self, address: IPAddress) -> tuple[IPAddress, str | None]:
        """Return the address that connect(2) really dials, and the interface that it names (RFC 4007, 11).

        Source: RFC 4291, 2.5.5.2 (IPv4-mapped); Linux `net/ipv4/route.c` (ip_route_output_key_hash_rcu) and
        `net/ipv6/tcp_ipv6.c` (tcp_v6_connect): a wildcard as a destination is the loopback address.
        """
        device = None
        if isinstance(address, IPv6Address):
            device = address.scope_id if address.is_link_local else None
            address = address.ipv4_mapped or IPv6Address(int(address))
        if not address.is_unspecified:
            return address, device
        loopback = ip_address("127.0.0.1" if address.version == 4 else "::1")
        rule = "ip_route_output_key_hash_rcu" if address.version == 4 else "tcp_v6_connect"
        self._note("resolve", self.vantage, f"{address} as a destination is {loopback}", rule)
        return loopback, None

    def _connect(self, destination: IPAddress, device: str | None) -> Prediction:
        if destination.version == 6 and destination.is_link_local and device is None:
            text = f"{destination} is on every link: which one is meant is not said"
            self._note("route", self.vantage, text, "RFC 4007, 6; tcp_v6_connect")
            remedy = f"name the interface: {destination}%eth0"
            return self._end(Outcome(Verdict.UNREACHABLE, "EINVAL"), remedy)
        tried = self._try(destination, device, None)
        source = source_with_another_route(self.view, self.vantage, destination)
        if tried.outcome.verdict is not Verdict.TIMEOUT or source is None:
            return tried
        text = f"no answer for two seconds: the route is looked up again, now from {source}"
        self._note("route", self.vantage, text, "tcp_write_timeout, ip6_negative_advice")
        again = self._try(destination, device, source)
        # A neighbour that does not answer takes three seconds more: nobody waits for that.
        too_late = any(step.kind == "neighbour" for step in self.steps)
        return self._end(Outcome(Verdict.TIMEOUT), again.remedy) if too_late else again

    def _try(self, destination: IPAddress, device: str | None, source: IPAddress | None) -> Prediction:
        sent = send(self.view, self.vantage, destination, device, source)
        if isinstance(sent, Prediction):
            self.steps += sent.reason
            return self._end(sent.outcome, sent.remedy)
        self.steps += sent.steps
        engine = self.view.engine
        if engine is not None and sent.host == engine.host:
            publication = publication_of(engine, destination, self.dialled)
            if publication is not None:
                return self._published(engine, publication, destination, sent)
        return self._answer(destination, sent)

    def _published(
        self, engine: Engine, publication: Publication, destination: IPAddress, sent: Delivered
    ) -> Prediction:
        """Follow a dial to a published port into the container that it leads to."""
        inner = inner_address(self.view.facts[publication.host], destination.version)
        if inner is None:
            text = f"{publication.host} has no default route: nothing of it is published"
            self._note("publish", engine.host, text, f"routes of {publication.host}")
            remedy = f"give {publication.host} a network that is not internal"
            return self._end(Outcome(Verdict.REFUSED), remedy)
        outside, inside = endpoint(destination, publication.port), endpoint(inner, publication.inside)
        from_inside = sent.host != self.vantage and self.view.network(sent.host, sent.device) is not None
        facts = self.view.facts[engine.host]
        dialled, by = self.dialled, sent.device
        if not is_proxied(engine, facts, destination, dialled, by, inner, from_inside=from_inside):
            text = f"{outside} becomes {inside} of {publication.host}"
            self._note("publish", engine.host, text, f"published ports; NAT of Docker {engine.version}")
            return self._into(engine, publication, inner)
        text = f"the engine's proxy takes {outside}, and dials {inside} of {publication.host}"
        self._note("publish", engine.host, text, f"published ports; docker-proxy of Docker {engine.version}")
        behind = self._into(engine, publication, inner)
        if behind.outcome.verdict is Verdict.OPEN:
            return behind
        text = "the proxy has accepted already: it can only hang up"
        self._note("answer", engine.host, text, "docker-proxy")
        wildcard = "0.0.0.0" if inner.version == 4 else "::"
        remedy = f"the published port leads to {inside}: in {publication.host}, listen there or on {wildcard}"
        return self._end(Outcome(Verdict.ACCEPTED, "reset"), remedy)

    def _into(self, engine: Engine, publication: Publication, inner: IPAddress) -> Prediction:
        """Dial the container's own address and port from the engine's machine."""
        onward = _Connection(self.view, self.bind, self.port, engine.host, publication.inside)
        ended = onward._try(inner, None, None)
        self.steps += ended.reason
        return self._end(ended.outcome, ended.remedy)

    def _answer(self, destination: IPAddress, sent: Delivered) -> Prediction:
        facts = self.view.facts[sent.host]
        rule = "__inet_lookup_listener" if destination.version == 4 else "inet6_lookup_listener"
        rests_on = f"sockets of {sent.host}; {rule}"
        listener = find_listener(facts.listeners, destination, self.dialled, sent.device)
        if listener is None:
            wanted, there = endpoint(destination, self.dialled), describe_all(facts, self.dialled)
            text = f"no socket for {wanted} by {sent.device} (listening: {there})"
            self._note("listener", sent.host, text, rests_on)
        else:
            self._note("listener", sent.host, f"{describe(listener)} takes it", rests_on)
        end = self._answer_lost(destination, sent, listener)
        if end is not None:
            by = (
                f" by {listener.device}, to which the socket is bound" if listener and listener.device else ""
            )
            text = f"the answer to {sent.source} is lost on {end.host}: {end.text}"
            self._note("answer", sent.host, text, end.rests_on)
            return self._end(Outcome(Verdict.TIMEOUT), f"give {sent.host} a way back to {sent.source}{by}")
        if listener is None:
            self._note("answer", sent.host, "no listener: RST", "RFC 9293, 3.10.7.1")
            return self._end(Outcome(Verdict.REFUSED), self._how_to_open(destination, sent.host))
        if sent.host != self.bind.host:
            self._note("answer", sent.host, f"not the service on {self.bind.host}")
            return self._end(Outcome(Verdict.WRONG_SERVICE), f"dial an address of {self.bind.host}")
        self._note("answer", sent.host, "SYN, ACK; then the service answers", "RFC 9293, 3.10.7.2")
        return self._end(Outcome(Verdict.OPEN), "")

    def _answer_lost(self, destination: IPAddress, sent: Delivered, listener: Listener | None) -> Step | None:
        """Return where the answer ends, if it does not come back.

        A socket that is bound to an interface answers by no other.

        Source: Linux `net/ipv4/inet_connection_sock.c` (inet_csk_route_req), `net/ipv4/tcp_ipv4.c`
        (tcp_v4_send_reset), `net/ipv6/tcp_ipv6.c` (tcp_v6_init_req, tcp_v6_send_response).
        """
        if sent.host == self.vantage:
            return None
        device = listener.device if listener is not None else None
        if sent.source.is_link_local and sent.source.version == 6:
            device = sent.device
        return lost(self.view, sent.host, destination, sent.source, self.vantage, device, sent.learnt)

    def _how_to_open(self, destination: IPAddress, reached: str) -> str:
        if reached != self.bind.host:
            return f"{destination} is {reached} itself: dial an address of {self.bind.host}"
        wildcard = "0.0.0.0" if destination.version == 4 else "::"
        advice = f"bind {wildcard} or {destination}"
        return f"{advice}, and not to the device {self.bind.device}" if self.bind.device else advice

    def _note(self, kind: str, host: str, text: str, rests_on: str = "") -> None:
        self.steps.append(Step(kind, host, text, rests_on or f"sockets of {host}"))

    def _end(self, outcome: Outcome, remedy: str) -> Prediction:
        return Prediction(outcome, tuple(self.steps), remedy)
