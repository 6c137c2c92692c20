"""A datagram: which socket takes it, and whether its answer gets back to the one who asked.

Silence is no verdict on a socket: whoever drops the question, or the answer, is not heard of. So what would
be a timeout of a connection is `no-answer` here.
"""

from __future__ import annotations

from netlab.facts import Engine, Listener, Publication
from netlab.model import (
    AnswersFrom,
    Bind,
    IPAddress,
    Outcome,
    Prediction,
    Protocol,
    Step,
    Transport,
    Verdict,
    endpoint,
)
from netlab.predict.binding import describe, describe_all
from netlab.predict.dialling import Dialling
from netlab.predict.listeners import bound_to, find_listener
from netlab.predict.path import answered, lost, send
from netlab.predict.publishing import publication_of
from netlab.predict.sources import is_of_one_link
from netlab.predict.view import Delivered, View

# How the proxy of published ports answers.
_BY_PROXY = Transport(Protocol.UDP, AnswersFrom.ROUTED)


class Exchange(Dialling):
    """A question in a datagram, and the answer to it.

    Args:
        transport: how the service is talked to.
    """

    settles = frozenset({Verdict.OPEN, Verdict.WRONG_SERVICE})
    connect6 = "__ip6_datagram_connect"
    protocol = Protocol.UDP

    def __init__(
        self, view: View, bind: Bind, port: int, vantage: str, dialled: int, transport: Transport
    ) -> None:
        super().__init__(view, bind, port, vantage, dialled)
        self._transport = transport

    def reach(self, destination: IPAddress, device: str | None) -> Prediction:
        """Say what comes of one address: what `Dialling` asks for."""
        sent = send(self.view, self.vantage, destination, device, protocol=Protocol.UDP)
        if isinstance(sent, Prediction):
            self.steps += sent.reason
            silent = sent.outcome.verdict is Verdict.TIMEOUT
            remedy = self.other_address(destination) or sent.remedy
            return self.end(Outcome(Verdict.NO_ANSWER) if silent else sent.outcome, remedy)
        self.steps += sent.steps
        engine = self.view.engine
        if engine is not None and sent.host == engine.host:
            publication = publication_of(engine, destination, self.dialled, Protocol.UDP)
            if publication is not None:
                return self._published(engine, publication, destination, sent)
        sockets = self.view.facts[sent.host].datagram_sockets
        found = find_listener(sockets, destination, self.dialled, sent.device, Protocol.UDP)
        return self._unheard(destination, sent) if found is None else self._heard(destination, sent, found)

    def _published(
        self, engine: Engine, publication: Publication, destination: IPAddress, sent: Delivered
    ) -> Prediction:
        """Follow a question to a published port into the container that it leads to, and the answer back.

        The proxy asks by a connected socket for each asker, and passes on what that gets: no ICMP errors, and
        nothing from another address. It answers by the socket that it was asked by.

        Source: moby, `cmd/docker-proxy/udp_proxy_linux.go`.
        """
        onward = Exchange(self.view, self.bind, self.port, engine.host, publication.inside, self._transport)
        led = self.lead_inside(engine, publication, destination, sent, onward)
        if not led.proxied:
            return led.came
        if led.came.outcome.verdict not in self.settles:
            text = "the proxy gets no answer that it would pass on"
            self.note("answer", engine.host, text, "docker-proxy")
            return self.end(Outcome(Verdict.NO_ANSWER), led.came.remedy and led.remedy)
        sockets = self.view.facts[sent.host].datagram_sockets
        proxy = find_listener(sockets, destination, self.dialled, sent.device, Protocol.UDP)
        assert proxy is not None, "it has taken the question"
        back = self._answer(destination, sent, proxy, _BY_PROXY)
        if isinstance(back, Step):
            self._note_lost(sent, back, "the answer")
            return self.end(Outcome(Verdict.NO_ANSWER), f"give {sent.host} a way back to {sent.source}")
        if back.source != destination:
            return self._from_elsewhere(destination, sent, back.source)
        return led.came

    def needs_interface(self, destination: IPAddress) -> bool:
        """Return whether connect(2) has to be told the interface: for multicast of a link, too."""
        return is_of_one_link(destination)

    def _unheard(self, destination: IPAddress, sent: Delivered) -> Prediction:
        """No socket takes it: the kernel says so, unless it was for many."""
        host, facts = sent.host, self.view.facts[sent.host]
        there = describe_all(facts, self.dialled, Protocol.UDP)
        text = f"no socket for {endpoint(destination, self.dialled)} by {sent.device} (listening: {there})"
        self.note("listener", host, text, self._lookup_rule(destination, host))
        remedy = self.how_to_open(destination, host)
        if sent.broadcast:
            self.note("answer", host, "none: no error is sent about a broadcast", "RFC 1122, 3.2.2")
            return self.end(Outcome(Verdict.NO_ANSWER), remedy)
        message = "ICMP port unreachable" if destination.version == 4 else "ICMPv6 port unreachable"
        end = self._error_lost(destination, sent)
        if end is not None:
            self._note_lost(sent, end, message)
            return self.end(Outcome(Verdict.NO_ANSWER), f"give {host} a way back to {sent.source}")
        source = "RFC 1122, 4.1.3.1" if destination.version == 4 else "RFC 4443, 3.1"
        self.note("answer", host, f"no socket: {message}", source)
        return self.end(Outcome(Verdict.REFUSED), remedy)

    def _heard(self, destination: IPAddress, sent: Delivered, socket: Listener) -> Prediction:
        """A socket takes it: the answer has to get back, and to come from where the question went."""
        host = sent.host
        self.note("listener", host, f"{describe(socket)} takes it", self._lookup_rule(destination, host))
        back = self._answer(destination, sent, socket, self._transport)
        if isinstance(back, Step):
            self._note_lost(sent, back, "the answer")
            by = f" by {socket.device}, to which the socket is bound" if socket.device else ""
            remedy = f"give {host} a way back to {sent.source}{by}"
            return self.end(Outcome(Verdict.NO_ANSWER), remedy)
        if back.source != destination:
            return self._from_elsewhere(destination, sent, back.source)
        if host != self.bind.host:
            self.note("answer", host, f"not the service on {self.bind.host}")
            return self.end(Outcome(Verdict.WRONG_SERVICE), f"dial {self.addresses()}")
        self.note("answer", host, f"the service answers, from {destination}", self._source_rule(socket))
        return self.end(Outcome(Verdict.OPEN), "")

    def _answer(
        self, destination: IPAddress, sent: Delivered, socket: Listener, by: Transport
    ) -> Delivered | Step:
        """Follow the answer; a socket bound to an interface answers by no other, none from a broadcast."""
        own = bound_to(socket)
        device = sent.device if is_of_one_link(sent.source) else socket.device
        source: IPAddress | None = own
        if own.is_unspecified or own.is_multicast or sent.broadcast:
            dialled = by.answers_from is AnswersFrom.DIALLED and not sent.broadcast
            source = destination if dialled else None
        return answered(self.view, sent.host, source, sent.source, self.vantage, device, sent.learnt)

    def _from_elsewhere(self, destination: IPAddress, sent: Delivered, source: IPAddress) -> Prediction:
        text = f"the answer comes from {source}, not from {destination}: whoever asked does not take it"
        rule = "udp_sendmsg" if destination.version == 4 else "udpv6_sendmsg; RFC 6724, 5"
        self.note("answer", sent.host, text, f"routes of {sent.host}; RFC 1122, 4.1.3.5; {rule}")
        remedy = (
            f"bind {destination} itself, or make the service answer from the address it is asked at "
            f"(IP_PKTINFO), or dial {source}"
        )
        return self.end(Outcome(Verdict.WRONG_SOURCE, str(source)), remedy)

    def _error_lost(self, destination: IPAddress, sent: Delivered) -> Step | None:
        """Return where the ICMP error ends, if it does not come back: it is sent from the address dialled.

        Source: Linux `net/ipv4/icmp.c` (__icmp_send), `net/ipv6/icmp.c` (icmp6_send).
        """
        if sent.host == self.vantage:
            return None
        device = sent.device if is_of_one_link(sent.source) else None
        return lost(self.view, sent.host, destination, sent.source, self.vantage, device, sent.learnt)

    def _note_lost(self, sent: Delivered, end: Step, what: str) -> None:
        text = f"{what} to {sent.source} is lost on {end.host}: {end.text}"
        self.note("answer", sent.host, text, end.rests_on)

    def _source_rule(self, socket: Listener) -> str:
        if not bound_to(socket).is_unspecified:
            return "the address that the socket is bound to"
        if self._transport.answers_from is AnswersFrom.DIALLED:
            return "answers-from: dialled"
        return "the source that goes with the route; RFC 1122, 4.1.3.5"

    @staticmethod
    def _lookup_rule(destination: IPAddress, host: str) -> str:
        rule = "__udp4_lib_lookup" if destination.version == 4 else "__udp6_lib_lookup"
        return f"sockets of {host}; {rule}"
