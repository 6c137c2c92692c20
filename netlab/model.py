"""The words of netlab as values: topology, binds, targets, outcomes, cells.

Everything here is immutable and knows nothing of how a lab is made, watched or drawn.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network


def endpoint(address: IPAddress | str, port: int) -> str:
    """Return an address and a port as URLs write them: `127.0.0.1:80`, `[::1]:80` (RFC 3986, 3.2.2)."""
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


# --- The lab: hosts and networks -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Network:
    """One link-layer segment: whoever is attached to it hears the others' ARP and neighbour solicitations."""

    name: str
    ipv4: IPv4Network | None = None
    ipv6: IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A host's attachment to a network.

    Attributes:
        device: the interface's name on the host, such as `eth0`.
        network: the name of the network it is attached to.
        addresses: each with its prefix length.
    """

    device: str
    network: str
    addresses: tuple[IPInterface, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A static route: packets for `destination` go to the neighbour `via`."""

    destination: IPNetwork
    via: IPAddress


@dataclass(frozen=True, slots=True)
class NameEntry:
    """A line of `/etc/hosts`: an address and the names that resolve to it, the canonical one first."""

    address: IPAddress
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """Something with a network stack of its own on which a program can run.

    Attributes:
        name: unique in the topology, and the host's own hostname.
        links: its interfaces other than loopback.
        routes: what it knows beyond its own networks.
        forwards: whether it passes on packets that are not for itself (a router).
        names: its `/etc/hosts`, in the file's order.
    """

    name: str
    links: tuple[Link, ...]
    routes: tuple[Route, ...] = ()
    forwards: bool = False
    names: tuple[NameEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """What a backend is asked to bring up."""

    networks: tuple[Network, ...]
    hosts: tuple[Host, ...]

    def host(self, name: str) -> Host:
        """Return the host of that name.

        Raises:
            KeyError: no host has that name.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


# --- What is asked of it ---------------------------------------------------------------------------------


class Protocol(enum.StrEnum):
    """What carries a service's messages."""

    TCP = "tcp"
    UDP = "udp"

    def port(self, number: int) -> str:
        """Return a port in words: `port 80`, `port 53/udp`."""
        return f"port {number}" if self is Protocol.TCP else f"port {number}/{self}"


class AnswersFrom(enum.StrEnum):
    """Which source address a service on a wildcard gives to the datagrams that it answers with.

    `routed`: it leaves that to the kernel, which takes the one that goes with the route (RFC 1122, 4.1.3.5;
    RFC 6724, 5). `dialled`: the address at which it was asked (IP_PKTINFO, or a socket for each address).
    """

    ROUTED = "routed"
    DIALLED = "dialled"


@dataclass(frozen=True, slots=True)
class Transport:
    """How a service is talked to.

    Attributes:
        protocol: what carries the messages.
        answers_from: for datagrams only; no fact tells it.
    """

    protocol: Protocol = Protocol.TCP
    answers_from: AnswersFrom = AnswersFrom.ROUTED


BY_TCP = Transport()


@dataclass(frozen=True, slots=True)
class Bind:
    """How the service is told where to listen, on the host of its own.

    Attributes:
        name: what the user calls it, such as `0.0.0.0` or `:: v6only`; unique in the experiment.
        host: the host that runs the service with this bind.
        address: the name or address that the service listens on; empty where nobody tells it.
        v6only: whether an IPv6 wildcard is to refuse IPv4.
        device: the interface that the service binds to (SO_BINDTODEVICE), if any.
        told: how the service is told the address, where it has a word of its own for it: `*`.
    """

    name: str
    host: str
    address: str
    v6only: bool = False
    device: str | None = None
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What a vantage dials.

    Attributes:
        name: the column's title.
        address: the name or address that is given to the resolver.
        port: the port, where it is not the service's own: a published one.
    """

    name: str
    address: str
    port: int | None = None


class Verdict(enum.StrEnum):
    """What comes of a probe. `not-measured` is no verdict: the probe could not run.

    A connection may be `accepted` or end in a `timeout`; a datagram may have `no-answer`, or one that comes
    from elsewhere than where it was sent (`wrong-source`), so that a connected socket never gets it.
    """

    OPEN = "open"
    WRONG_SERVICE = "wrong-service"
    ACCEPTED = "accepted"
    WRONG_SOURCE = "wrong-source"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    NO_ANSWER = "no-answer"
    UNREACHABLE = "unreachable"
    UNRESOLVED = "unresolved"
    NOT_BOUND = "not-bound"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and what distinguishes it from others of its kind.

    Attributes:
        verdict: the kind.
        detail: `unreachable` and `not-bound`: the errno's name (`ENETUNREACH`); `accepted`: `reset`, `closed`
            or `silent`; `wrong-source`: the address that the answer comes from, or `port` where only that is
            another one; otherwise empty.
    """

    verdict: Verdict
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.verdict} ({self.detail})" if self.detail else str(self.verdict)


@dataclass(frozen=True, slots=True)
class Step:
    """One step from facts to a predicted outcome.

    Attributes:
        kind: `bind`, `resolve`, `route`, `neighbour`, `forward`, `filter`, `delivery`, `listener`, `answer`.
        host: where it happens.
        text: what happens there.
        rests_on: the fact or the rule that says so: `routes of peer`, `RFC 9293, 3.10.7.1`.
    """

    kind: str
    host: str
    text: str
    rests_on: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the facts say must happen, and why."""

    outcome: Outcome
    reason: tuple[Step, ...]
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What happened.

    Attributes:
        outcome: None when the probe could not run: `not_measured` then says why.
        evidence: lines for people: errno, times, both socket addresses, who sent which ICMP message.
        seconds: how long the probe took, resolution included.
    """

    outcome: Outcome | None
    evidence: tuple[str, ...] = ()
    seconds: float = 0.0
    not_measured: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix: a bind, a vantage that dials, and what it dials."""

    bind: Bind
    vantage: str
    target: Target
    prediction: Prediction
    observation: Observation
    protocol: Protocol = Protocol.TCP

    @property
    def dialled(self) -> str:
        """What is dialled, in words: `lan-ipv4 (198.18.1.12)`."""
        by = " by UDP" if self.protocol is Protocol.UDP else ""
        return f"{self.target.name} ({self.target.address}){by}"

    @property
    def measured(self) -> bool:
        """Whether the probe could run."""
        return self.observation.outcome is not None

    @property
    def agrees(self) -> bool:
        """Whether it was measured and came out as predicted."""
        return self.observation.outcome == self.prediction.outcome
