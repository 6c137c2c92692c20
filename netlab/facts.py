"""Facts: what the agent reads on a host, as values.

What a host says is not trusted: its JSON is validated field by field when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Literal

from netlab.answers import read_answer
from netlab.model import Protocol


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface and the addresses on it (rtnetlink(7), RTM_GETLINK and RTM_GETADDR)."""

    index: int
    name: str
    up: bool
    loopback: bool
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """An entry of a routing table (rtnetlink(7), RTM_GETROUTE).

    Attributes:
        table: 255 is `local`, 254 `main`, 253 `default`.
        type: `unicast`, `local`, `broadcast`, `unreachable`, `blackhole`, `prohibit`, ...
        destination: the default route is 0.0.0.0/0 or ::/0.
        gateway: the next hop; None when the destination is on the link.
        device: the interface it leaves by; None for routes that have none (`unreachable`, ...).
        source: the preferred source address, where the route names one.
        metric: the lower one wins among equal prefixes.
    """

    table: int
    type: str
    destination: IPv4Network | IPv6Network
    gateway: IPv4Address | IPv6Address | None = None
    device: str | None = None
    source: IPv4Address | IPv6Address | None = None
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy rule: which table is asked, in order of priority (rtnetlink(7), RTM_GETRULE).

    Attributes:
        conditions: the kinds of condition that it also has and that are not read here (`fwmark`, `iif`, ...).
    """

    family: Literal[4, 6]
    priority: int
    action: str
    table: int
    source: IPv4Network | IPv6Network | None = None
    destination: IPv4Network | IPv6Network | None = None
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket, or a UDP one that takes datagrams from anybody (sock_diag(7)).

    Attributes:
        v6only: whether an IPv6 one refuses IPv4; False for an IPv4 socket.
        device: the interface that it is bound to (SO_BINDTODEVICE), if any.
    """

    address: IPv4Address | IPv6Address
    port: int
    v6only: bool = False
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What getaddrinfo(3) makes of a name: addresses in the order in which they are tried, or its error."""

    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read on one host at one moment.

    Attributes:
        hostname: what the host calls itself.
        kernel: its release, such as `6.1.0-18-amd64`.
        names: for each name that was asked about, what it resolves to here.
        sysctls: the relevant ones, such as `net.ipv4.ip_forward` -> `0`.
        datagram_sockets: the UDP sockets that are not connected, where they were asked for.
    """

    hostname: str
    kernel: str
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    rules: tuple[Rule, ...] = ()
    listeners: tuple[Listener, ...] = ()
    names: dict[str, Resolution] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    datagram_sockets: tuple[Listener, ...] = ()

    def sockets(self, protocol: Protocol) -> tuple[Listener, ...]:
        """Return the sockets that services of a protocol are reached at."""
        return self.listeners if protocol is Protocol.TCP else self.datagram_sockets


def read_facts(host: str, answer: object) -> Facts:
    """Turn the agent's answer to a `facts` request into values.

    Args:
        host: whose agent it was, for the error.
        answer: the decoded JSON.

    Raises:
        AgentError: a field is missing or of another form.
    """
    return read_answer(Facts, host, "facts", answer)


# --- What a container engine adds ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Publication:
    """A published port: what is dialled at an address of the engine's machine is led to a container.

    Attributes:
        address: where on the engine's machine; a wildcard means any address of its family.
        port: the port there.
        host: the container's name as a host of the lab.
        inside: the port in the container.
        protocol: of both ports.
    """

    address: IPv4Address | IPv6Address
    port: int
    host: str
    inside: int
    protocol: Protocol = Protocol.TCP

    def leads_to(self, host: str, port: int, protocol: Protocol = Protocol.TCP) -> bool:
        """Whether it leads to a port of a host."""
        return (self.host, self.inside, self.protocol) == (host, port, protocol)


@dataclass(frozen=True, slots=True)
class Engine:
    """What a container engine adds to the networks that it makes, as its API tells.

    Attributes:
        host: the engine's own machine, as a host of the lab.
        version: such as `26.1.5`.
        filters_ipv6: whether it keeps its bridges apart, and publishes by NAT, for IPv6 too: since 27, before
            only if told to (`ip6tables`, an experimental feature).
        internal: the names of the networks that have no way out.
        publications: every published port.
        sharing: the containers that share its machine's network, and so have none of their own.
        published_elsewhere: addresses and ports that containers outside of the lab publish.
    """

    host: str
    version: str
    filters_ipv6: bool
    internal: tuple[str, ...] = ()
    publications: tuple[Publication, ...] = ()
    sharing: tuple[str, ...] = ()
    published_elsewhere: tuple[tuple[IPv4Address | IPv6Address, int], ...] = ()


def major_of(version: str) -> int:
    """Return an engine's major version; one that has no number (a development build) is newer than all."""
    head = version.split(".")[0]
    return int(head) if head.isdigit() else 1000
