"""A connection: what comes of a SYN, and of its answer."""

from __future__ import annotations

from netlab.facts import Engine, Listener, Publication
from netlab.model import IPAddress, Outcome, Prediction, Protocol, Step, Verdict, endpoint
from netlab.predict.binding import describe, describe_all
from netlab.predict.dialling import Dialling
from netlab.predict.listeners import find_listener
from netlab.predict.output import source_with_another_route
from netlab.predict.path import lost, send
from netlab.predict.publishing import publication_of
from netlab.predict.view import Delivered


class Connection(Dialling):
    """An attempt to connect."""

    settles = frozenset({Verdict.OPEN, Verdict.WRONG_SERVICE, Verdict.ACCEPTED})
    connect6 = "tcp_v6_connect"
    protocol = Protocol.TCP

    def reach(self, destination: IPAddress, device: str | None) -> Prediction:
        """Say what comes of one address: what `Dialling` asks for."""
        tried = self._follow(destination, device, None)
        source = source_with_another_route(self.view, self.vantage, destination)
        if tried.outcome.verdict is not Verdict.TIMEOUT or source is None:
            return tried
        text = f"no answer for two seconds: the route is looked up again, now from {source}"
        self.note("route", self.vantage, text, "tcp_write_timeout, ip6_negative_advice")
        again = self._follow(destination, device, source)
        # A neighbour that does not answer takes three seconds more: nobody waits for that.
        too_late = any(step.kind == "neighbour" for step in self.steps)
        return self.end(Outcome(Verdict.TIMEOUT), again.remedy) if too_late else again

    def _follow(self, destination: IPAddress, device: str | None, source: IPAddress | None) -> Prediction:
        sent = send(self.view, self.vantage, destination, device, source)
        if isinstance(sent, Prediction):
            self.steps += sent.reason
            return self.end(sent.outcome, self.other_address(destination) or sent.remedy)
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
        onward = Connection(self.view, self.bind, self.port, engine.host, publication.inside)
        led = self.lead_inside(engine, publication, destination, sent, onward)
        if not led.proxied or led.came.outcome.verdict is Verdict.OPEN:
            return led.came
        self.note(
            "answer", engine.host, "the proxy has accepted already: it can only hang up", "docker-proxy"
        )
        return self.end(Outcome(Verdict.ACCEPTED, "reset"), led.remedy)

    def _answer(self, destination: IPAddress, sent: Delivered) -> Prediction:
        facts = self.view.facts[sent.host]
        rule = "__inet_lookup_listener" if destination.version == 4 else "inet6_lookup_listener"
        rests_on = f"sockets of {sent.host}; {rule}"
        listener = find_listener(facts.listeners, destination, self.dialled, sent.device)
        if listener is None:
            wanted, there = endpoint(destination, self.dialled), describe_all(facts, self.dialled)
            text = f"no socket for {wanted} by {sent.device} (listening: {there})"
            self.note("listener", sent.host, text, rests_on)
        else:
            self.note("listener", sent.host, f"{describe(listener)} takes it", rests_on)
        end = self._answer_lost(destination, sent, listener)
        if end is not None:
            by = (
                f" by {listener.device}, to which the socket is bound" if listener and listener.device else ""
            )
            text = f"the answer to {sent.source} is lost on {end.host}: {end.text}"
            self.note("answer", sent.host, text, end.rests_on)
            return self.end(Outcome(Verdict.TIMEOUT), f"give {sent.host} a way back to {sent.source}{by}")
        if listener is None:
            self.note("answer", sent.host, "no listener: RST", "RFC 9293, 3.10.7.1")
            return self.end(Outcome(Verdict.REFUSED), self.how_to_open(destination, sent.host))
        if sent.host != self.bind.host:
            self.note("answer", sent.host, f"not the service on {self.bind.host}")
            return self.end(Outcome(Verdict.WRONG_SERVICE), f"dial {self.addresses()}")
        self.note("answer", sent.host, "SYN, ACK; then the service answers", "RFC 9293, 3.10.7.2")
        return self.end(Outcome(Verdict.OPEN), "")

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
