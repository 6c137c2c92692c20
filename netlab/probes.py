"""Probes: what a host is asked to dial, and what came of it. Pure: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from netlab.answers import read_answer
from netlab.checks import Check, request
from netlab.model import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

Endpoint = tuple[IPv4Address | IPv6Address, int]


# --- What is asked ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to dial.

    Attributes:
        id: what the result is called by; unique in a request.
        address: a name or an address, as given to the resolver.
        check: how the right application is told from others, once connected.
    """

    id: str
    address: str
    port: int
    check: Check
    protocol: Protocol = Protocol.TCP


def probe_request(probes: Iterable[Probe], timeout_s: float) -> dict[str, object]:
    """Return the fields of a `probe` request to the agent.

    Args:
        probes: all are dialled at the same time.
        timeout_s: bounds each attempt to connect, and each check.
    """
    return {"probes": [_probe_field(probe) for probe in probes], "timeout_s": timeout_s}


def _probe_field(probe: Probe) -> dict[str, object]:
    check = request(probe.check, probe.address, probe.port)
    where = {"address": probe.address, "port": probe.port, "protocol": probe.protocol.value}
    return {"id": probe.id, **where, "check": check}


# --- What came of it -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Icmp:
    """The ICMP message that ended an attempt.

    Attributes:
        version: 4 for ICMP (RFC 792), 6 for ICMPv6 (RFC 4443); types and codes differ.
        sender: who sent it, where the kernel says so: a router, the target, or the host itself.
    """

    version: Literal[4, 6]
    type: int
    code: int
    sender: Annotated[IPv4Address | IPv6Address | None, Field(alias="from")] = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An answer that came from another address or port than was asked.

    Attributes:
        source: that address and port.
        text: what the check makes of it, in a line.
    """

    source: Annotated[Endpoint, Field(alias="from")]
    text: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to connect to an address, or to have an answer from it.

    Attributes:
        connected: whether it did; by datagrams, whether what was asked answered.
        errno: its name, `ECONNREFUSED`; None when it connected and stayed so.
        timed_out: whether it was the agent whose patience ended; the kernel's would have lasted longer.
        local: the address and port that the kernel chose for this end, if it came so far.
        peer: the other end's; None until connected.
        elsewhere: the answer to a datagram, if one came, but not from what was asked.
    """

    address: IPv4Address | IPv6Address
    port: int
    connected: bool
    errno: str | None
    timed_out: bool
    seconds: float
    icmp: Icmp | None = None
    local: Endpoint | None = None
    peer: Endpoint | None = None
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What the application check found.

    Attributes:
        result: `right` and `wrong` are about what answered; otherwise the connection was reset, or closed
            before the answer was complete, or nothing came in time.
        text: what came, in a line.
    """

    result: Literal["right", "wrong", "reset", "closed", "silent"]
    text: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of one probe.

    Attributes:
        resolved: the addresses, in the order of getaddrinfo(3).
        resolve_error: the name of its error, `EAI_NONAME`, if it failed.
        attempts: one for each address that was tried; the last one connected, or none did.
        check: None unless one connected.
        seconds: everything together.
    """

    id: str
    resolved: tuple[IPv4Address | IPv6Address, ...]
    resolve_error: str | None
    attempts: tuple[Attempt, ...]
    check: CheckResult | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Answer:
    results: tuple[ProbeResult, ...]


def read_probe_results(host: str, answer: object) -> dict[str, ProbeResult]:
    """Turn the agent's answer to a `probe` request into values, by the probes' ids.

    Args:
        host: whose agent it was, for the error.
        answer: the decoded JSON.

    Raises:
        AgentError: a field is missing or of another form.
    """
    return {result.id: result for result in read_answer(_Answer, host, "probe", answer).results}
