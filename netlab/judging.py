"""The verdict: what a probe's result means, and what people may see of it. Pure: values in, values out."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from netlab.model import Observation, Outcome, Protocol, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.probes import Attempt, CheckResult, Elsewhere, Endpoint, Icmp, ProbeResult

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
    if attempt.errno == "EMSGSIZE" and attempt.icmp is None and protocol is Protocol.UDP:
        return "the question is too long for a datagram"  # by udp(7): nothing was sent
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
# What a router says that finds nobody with the address on its network (RFC 1812, 5.2.7.1; RFC 4443, 3.1).
_NO_NEIGHBOUR = frozenset({(4, 3, 1), (6, 1, 3)})


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
    if local is None or local[0] != icmp.sender:
        return f"{text} from {icmp.sender}"
    # No neighbour answered: the kernel tells its own socket as a router would tell it (arp_error_report).
    neighbour = ": no neighbour answered" if (icmp.version, icmp.type, icmp.code) in _NO_NEIGHBOUR else ""
    return f"{text} from {icmp.sender}, this host itself{neighbour}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
