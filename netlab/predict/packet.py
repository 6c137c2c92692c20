"""A packet on its way through the lab, and how its way can end."""

from __future__ import annotations

from dataclasses import dataclass, field

from netlab.model import IPAddress, Outcome, Prediction, Protocol, Step, Verdict
from netlab.predict.view import Delivered, Neighbours, View

# RFC 9293 asks for no limit; RFC 1700's default TTL, which Linux uses (IPDEFTTL).
TTL = 64


@dataclass(slots=True)
class Packet:
    """What is sent, and what has come of it so far: the stations on its way add to it.

    Attributes:
        view: the lab.
        origin: the host that sends it.
        destination: where to.
        source: its source address; None: it is chosen with the route.
        device: the interface that the sending socket is bound to, or that a link-local destination names.
        connects: whether connect(2) waits for what comes of it: nobody hears of what befalls an answer.
        protocol: a datagram may be for many.
        learnt: which neighbours are known from having asked.
        steps: how it got where it is.
        passed: where it came in, and was passed on: a host and its interface.
    """

    view: View
    origin: str
    destination: IPAddress
    source: IPAddress | None
    device: str | None
    connects: bool
    protocol: Protocol = Protocol.TCP
    learnt: Neighbours = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    passed: set[tuple[str, str]] = field(default_factory=set)

    @property
    def version(self) -> int:
        """Of IP."""
        return self.destination.version

    def note(self, kind: str, host: str, text: str, rests_on: str) -> None:
        """Add a step."""
        self.steps.append(Step(kind, host, text, rests_on))

    def note_no_route(self, host: str, kind: str | None) -> str:
        """Note that a host has no way for it; return the remedy.

        Args:
            host: the host.
            kind: the type of the route that refuses it; None where there is none at all.
        """
        text = f"the route to {self.destination} is {kind}" if kind else f"no route to {self.destination}"
        self.note("route", host, text, f"routes of {host}")
        return f"give {host} a route to {self.destination}"

    def delivered(self, host: str, device: str, *, broadcast: bool = False) -> Delivered:
        """Return its arrival on a host, by an interface."""
        source = self.source or self.destination
        return Delivered(host, device, source, tuple(self.steps), self.learnt, broadcast)

    def lost(self, remedy: str) -> Prediction:
        """Return that nobody is told of its end."""
        return Prediction(Outcome(Verdict.TIMEOUT), tuple(self.steps), remedy)

    def unreachable(self, errno: str, remedy: str) -> Prediction:
        """Return that the sender is told that there is no way.

        Args:
            errno: what connect(2) says: `EHOSTUNREACH`.
            remedy: what would let it arrive.
        """
        return Prediction(Outcome(Verdict.UNREACHABLE, errno), tuple(self.steps), remedy)
