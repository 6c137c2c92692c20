"""Probes: what a host is asked to dial, what came of it, and the verdict. Pure: values in, values out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from netlab.answers import read_answer
from netlab.checks import Check, request
from netlab.model import Observation, Outcome, Protocol, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


# --- The verdict -----------------------------------------------------------------------------------------

# What connect(2) fails with because of the network, or of what somebody in it says: the errnos of ICMP errors
# (net/ipv4/icmp.c, icmp_err_convert; net/ipv6/icmp.c, icmpv6_err_convert), and those of a failed route lookup
# (net/ipv4/fib_semantics.c, fib_props: a `blackhole` gives EINVAL, a `prohibit` EACCES).
_UNREACHABLE = frozenset(
    {"EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN", "ENONET", "EACCES", "EPERM", "EINVAL", "ENODEV"}
    | {"EADDRNOTAVAIL", "EAFNOSUPPORT", "ENOPROTOOPT", "EMSGSIZE", "EOPNOTSUPP", "EPROTO", "ENETRESET"}
)


def judge(result: ProbeResult, protocol: Protocol = Protocol.TCP) -> Observation:
    """Say what a probe's result means.

    The first address that answers decides; if none does, the last one that was tried, as in most programs.

    Args:
        result: what came of it.
        protocol: by which it was dialled: silence means something else for a datagram.
    """
    evidence = tuple(_evidence(result, protocol))
    outcome = _outcome(result, protocol)
    if isinstance(outcome, str):
        return Observation(None, evidence, result.seconds, not_measured=outcome)
    return Observation(outcome, evidence, result.seconds)


def _outcome(result: ProbeResult, protocol: Protocol) -> Outcome | str:
    """Return the outcome, or why there is none."""
    if result.resolve_error:
        return Outcome(Verdict.UNRESOLVED, result.resolve_error)
    if not result.attempts:
        return "the name resolved to no address that could be dialled"
    last = result.attempts[-1]
    if last.connected:
        return _answered(result.check)
    if last.elsewhere is not None:
        return Outcome(Verdict.WRONG_SOURCE, _other_part(last, last.elsewhere))
    return _failed(last, protocol)


def _answered(check: CheckResult | None) -> Outcome | str:
    if check is None:
        return "it connected and nothing was checked"
    if check.result == "right":
        return Outcome(Verdict.OPEN)
    if check.result == "wrong":
        return Outcome(Verdict.WRONG_SERVICE)
    return Outcome(Verdict.ACCEPTED, check.result)


def _other_part(attempt: Attempt, elsewhere: Elsewhere) -> str:
    """Return the address that an answer came from, or `port`, where only that is another one."""
    asked = _bare(attempt.peer[0] if attempt.peer else attempt.address)
    source = _bare(elsewhere.source[0])
    return str(source) if source != asked else "port"


def _bare(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return an address without its interface; an IPv4-mapped one is an IPv4 address."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _failed(attempt: Attempt, protocol: Protocol) -> Outcome | str:
    if attempt.errno == "ECONNREFUSED":
        return Outcome(Verdict.REFUSED)
    if attempt.errno == "ETIMEDOUT":
        return Outcome(Verdict.TIMEOUT if protocol is Protocol.TCP else Verdict.NO_ANSWER)
    if attempt.errno in _UNREACHABLE:
        return Outcome(Verdict.UNREACHABLE, attempt.errno)
    return f"dialling {attempt.address} failed with {attempt.errno}, which says nothing of the network"


# --- Evidence, for people --------------------------------------------------------------------------------

# RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1
_ICMP4_TEXTS = {
    (3, 0): "network unreachable",
    (3, 1): "host unreachable",
    (3, 2): "protocol unreachable",
    (3, 3): "port unreachable",
    (3, 4): "fragmentation needed",
    (3, 5): "source route failed",
    (3, 6): "network unknown",
    (3, 7): "host unknown",
    (3, 9): "network prohibited",
    (3, 10): "host prohibited",
    (3, 13): "administratively prohibited",
    (11, 0): "time to live exceeded in transit",
    (12, 0): "parameter problem",
}
# RFC 4443, 3
_ICMP6_TEXTS = {
    (1, 0): "no route to destination",
    (1, 1): "administratively prohibited",
    (1, 2): "beyond scope of source address",
    (1, 3): "address unreachable",
    (1, 4): "port unreachable",
    (1, 5): "source address failed policy",
    (1, 6): "route rejected",
    (2, 0): "packet too big",
    (3, 0): "hop limit exceeded in transit",
    (4, 0): "parameter problem",
}


def _evidence(result: ProbeResult, protocol: Protocol) -> Iterator[str]:
    if result.resolve_error:
        yield f"getaddrinfo: {result.resolve_error} after {_milliseconds(result.seconds)}"
    if len(result.resolved) > 1:
        yield f"resolves to {', '.join(str(address) for address in result.resolved)}"
    for attempt in result.attempts:
        if attempt.connected:
            yield _connected(attempt, result.check, "connected" if protocol is Protocol.TCP else "answered")
        else:
            yield from _not_connected(attempt, "connect" if protocol is Protocol.TCP else "ask")


def _connected(attempt: Attempt, check: CheckResult | None, verb: str) -> str:
    ends = f"{_ends(attempt)} {verb} in {_milliseconds(attempt.seconds)}"
    return f"{ends}; {check.text}" if check and check.text else ends


def _not_connected(attempt: Attempt, verb: str) -> Iterator[str]:
    after = f"after {_milliseconds(attempt.seconds)}"
    if attempt.elsewhere:
        source, said = _endpoint(attempt.elsewhere.source), attempt.elsewhere.text
        yield f"{_ends(attempt)} was answered {after}, from {source}; {said}"
        return
    why = "no answer" if attempt.timed_out else attempt.errno
    yield f"{verb} {_endpoint((attempt.address, attempt.port))}: {why} {after}"
    if attempt.icmp:
        yield _icmp_text(attempt.icmp, attempt.local)


def _ends(attempt: Attempt) -> str:
    local = _endpoint(attempt.local) if attempt.local else "?"
    peer = _endpoint(attempt.peer or (attempt.address, attempt.port))
    return f"{local} -> {peer}"


def _endpoint(endpoint: Endpoint) -> str:
    address, port = endpoint
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _icmp_text(icmp: Icmp, local: Endpoint | None) -> str:
    name = "ICMPv6" if icmp.version == 6 else "ICMP"
    meaning = (_ICMP6_TEXTS if icmp.version == 6 else _ICMP4_TEXTS).get((icmp.type, icmp.code))
    text = f"{name} type {icmp.type} code {icmp.code}" + (f" ({meaning})" if meaning else "")
    if icmp.sender is None:
        return text
    # No neighbour answered: the kernel tells its own socket as a router would tell it (arp_error_report).
    itself = ", this host itself: no neighbour answered" if local and local[0] == icmp.sender else ""
    return f"{text} from {icmp.sender}{itself}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


# --- A service that was started ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServiceStart:
    """How the start of a service went.

    Attributes:
        listening: whether it came to listen on its port in time.
        exit_code: how it ended, if it did.
        output: the beginning of what it printed.
    """

    listening: bool
    exit_code: int | None
    output: str

    @property
    def last_line(self) -> str:
        """The last thing that it said: programs give their reason before they end."""
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else "nothing"


def read_service_start(host: str, answer: object) -> ServiceStart:
    """Turn the agent's answer to a `serve` request into a value.

    Args:
        host: whose agent it was, for the error.
        answer: the decoded JSON.

    Raises:
        AgentError: a field is missing or of another form.
    """
    return read_answer(ServiceStart, host, "serve", answer)


# What socket(2), setsockopt(2), bind(2) and listen(2) say about where to listen, as glibc and musl word it;
# most programs print one of these texts, and the others the errno's name.
_LISTEN_ERRORS = {
    "EADDRNOTAVAIL": ("cannot assign requested address", "address not available"),
    "EADDRINUSE": ("address already in use", "address in use"),
    "EACCES": ("permission denied",),
    "EPERM": ("operation not permitted",),
    "ENODEV": ("no such device",),
    "EAFNOSUPPORT": ("address family not supported",),
    "EPROTONOSUPPORT": ("protocol not supported",),
    "EINVAL": ("invalid argument",),
}
_LISTEN_ERROR = re.compile(
    "|".join(rf"\b(?P<{name}>{name}\b|{'|'.join(texts)})" for name, texts in _LISTEN_ERRORS.items()),
    re.IGNORECASE,
)


_ONLY_OF_SOCKETS = {"EADDRNOTAVAIL", "EADDRINUSE", "EAFNOSUPPORT"}
_ABOUT_LISTENING = re.compile(
    r"\b(bind|binding|bound|listen|listening|socket|port|address|device)\b", re.IGNORECASE
)
_CALL = re.compile(r"^ .*\.(bind|listen|setsockopt)\(")


def service_failure(output: str) -> str:
    """Find out from what a service printed why it could not listen.

    Args:
        output: what it printed before it ended.

    Returns:
        An errno's name, such as `EADDRINUSE`: the last one mentioned; empty if there is none. An errno that
        has other causes, too (a file that can't be read), counts only beside a word about listening: in its
        line, or in the statement above it, which a traceback shows.
    """
    lines = [line for line in output.splitlines() if line.strip(" ~^")]  # not what Python underlines with
    found = [
        match.lastgroup or ""
        for above, line in pairwise(["", *lines])
        for match in _LISTEN_ERROR.finditer(line)
        if match.lastgroup in _ONLY_OF_SOCKETS or _ABOUT_LISTENING.search(line) or _CALL.search(above)
    ]
    return found[-1] if found else ""
