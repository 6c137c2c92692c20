"""What may stand between a prediction and what happened, which the facts don't show; and what to change."""

from __future__ import annotations

from netlab.model import Cell, Outcome, Protocol, Verdict

_REACHED = {Verdict.OPEN, Verdict.WRONG_SERVICE, Verdict.ACCEPTED, Verdict.WRONG_SOURCE, Verdict.REFUSED}
# Of these the facts may know more: what would keep the dial away even without what is in between.
_ON_THE_WAY = {Verdict.TIMEOUT, Verdict.UNREACHABLE, Verdict.REFUSED, Verdict.NO_ANSWER}


def suspicion(cell: Cell, here: str = "", there: str = "") -> str:
    """Return in words what would explain that a cell came out otherwise than predicted.

    Args:
        cell: one that was measured and disagrees.
        here: what to call who dials, if not by name.
        there: what to call who is dialled.

    Returns:
        A clause without a full stop; empty where nothing suggests itself.
    """
    if cell.observation.outcome is None:
        return ""
    predicted, observed = cell.prediction.outcome.verdict, cell.observation.outcome.verdict
    here, there = here or cell.vantage, there or cell.bind.host
    if _is_given_up(cell):
        asking = cell.prediction.reason[-1].host
        who = {cell.bind.host: there, cell.vantage: here}.get(asking, asking)
        return f"the end of patience_s, before {who} gave up on the neighbour, which takes it 3 s"
    if cell.protocol is Protocol.UDP and (why := _of_datagrams(predicted, observed, there)):
        return why
    if predicted in _REACHED and observed in (Verdict.TIMEOUT, Verdict.NO_ANSWER):
        where = f"between {here} and {there}, on neither host, or on one of them"
        return f"a packet filter {where} (its rules are not read)"
    if predicted in _REACHED and observed is Verdict.UNREACHABLE:
        return f"somebody between {here} and {there} rejects it, and says so: see the evidence"
    if predicted is Verdict.OPEN and observed is Verdict.REFUSED:
        return f"a filter that answers with {_refusal(cell)}, or the service on {there} has just ended"
    if predicted not in _REACHED and observed in _REACHED:
        return f"a way from {here} to {there} that routes and addresses don't show: translation or a proxy"
    return ""


def remedy(cell: Cell) -> str:
    """Return in words what would open a cell: by the facts or, where it came out otherwise, by what happened.

    Args:
        cell: one that was measured.

    Returns:
        A clause without a full stop; empty for a cell that is open.
    """
    outcome = cell.observation.outcome
    if cell.agrees or outcome is None or _is_given_up(cell):
        return cell.prediction.remedy
    unforeseen = _unforeseen(cell, outcome.verdict, outcome.detail)
    if outcome.verdict in _ON_THE_WAY and cell.prediction.remedy:
        return f"{unforeseen}; and then {cell.prediction.remedy}"
    return unforeseen


def _is_given_up(cell: Cell) -> bool:
    """Whether no neighbour was going to answer, and the dial ended before the kernel said so (arp(7))."""
    silent = cell.observation.outcome in (Outcome(Verdict.TIMEOUT), Outcome(Verdict.NO_ANSWER))
    return silent and any(step.kind == "neighbour" for step in cell.prediction.reason[-1:])


def _unforeseen(cell: Cell, verdict: Verdict, detail: str) -> str:
    here, there = cell.vantage, cell.bind.host
    match verdict:
        case Verdict.TIMEOUT:
            where = f"on {here}, on {there} or between them"
            return (
                f"let it through in the packet filter that drops it, {where} (`nft list ruleset` shows rules)"
            )
        case Verdict.NO_ANSWER:
            dropped = "let question and answer through in the packet filter that drops one of them"
            return f"see whether the service on {there} answers such a question; if it does, {dropped}"
        case Verdict.WRONG_SOURCE:
            if detail == "port":
                return f"make the service on {there} answer by the socket that it is asked by"
            return (
                f"make the service on {there} answer from the address that it is asked at, or dial {detail}"
            )
        case Verdict.UNREACHABLE:
            whose = f"that of whoever sent the ICMP message above, or of {here} if there is none"
            return f"let it through in the packet filter that rejects it: {whose}"
        case Verdict.REFUSED:
            which = f"the packet filter that answers with {_refusal(cell)}, on {there} or before it"
            return f"start the service on {there} again if it has ended; else let it through in {which}"
        case Verdict.UNRESOLVED:
            return f"make {cell.target.address} known to {here} (DNS, /etc/hosts), or dial an address"
        case Verdict.ACCEPTED:
            return _how_to_be_served(here, there, detail)
        case Verdict.WRONG_SERVICE:
            answer = "answer as the check wants it (what it said is above), or change the check"
            return f"have what listens on {there} {answer}; if it is another program, take another port"
        case Verdict.NOT_BOUND:
            return _how_to_listen(there, detail, "u" if cell.protocol is Protocol.UDP else "t")
    return ""


def _refusal(cell: Cell) -> str:
    return "an ICMP error" if cell.protocol is Protocol.UDP else "a reset"


def _how_to_be_served(here: str, there: str, detail: str) -> str:
    if detail == "silent":
        return f"see whether what listens on {there} hangs, or speaks another protocol than the check"
    own_rules = f"its own rules (it may not serve {here})"
    return f"see why what listens on {there} hangs up: {own_rules} or, if it is a proxy, the server behind it"


def _how_to_listen(there: str, errno: str, kind: str) -> str:
    match errno:
        case "EADDRINUSE":
            which = f"the program that has the port on {there} (`ss -l{kind}np` names it)"
            return f"end {which}, or take another port"
        case "EACCES" | "EPERM":
            allow = "CAP_NET_BIND_SERVICE or net.ipv4.ip_unprivileged_port_start"
            return f"take a port from 1024 on, or allow a lower one on {there} by {allow}"
        case "EADDRNOTAVAIL":
            return f"bind an address that {there} has, or the wildcard"
    return f"mend what the service on {there} says above"


def _of_datagrams(predicted: Verdict, observed: Verdict, there: str) -> str:
    """Return what only datagrams meet: an answer's source, services that pass over a question, limits."""
    if observed is Verdict.WRONG_SOURCE:
        return (
            f"the service on {there} answers by another socket than it is asked by, or not as `answers-from` "
            "says; or somebody on the way translates addresses"
        )
    if predicted is Verdict.WRONG_SOURCE and observed is Verdict.OPEN:
        return (
            f"the service on {there} answers from the address that it is asked at (IP_PKTINFO, or a socket "
            "for each address), which no fact shows: say answers-from: dialled"
        )
    if (
        predicted in (Verdict.OPEN, Verdict.WRONG_SERVICE, Verdict.WRONG_SOURCE)
        and observed is Verdict.NO_ANSWER
    ):
        return (
            f"the service on {there} does not answer what it is sent, or a packet filter drops it on the way"
        )
    if predicted is Verdict.REFUSED and observed is Verdict.NO_ANSWER:
        return (
            f"a packet filter, or a limit on the ICMP errors that {there} sends (net.ipv4.icmp_ratelimit, "
            "net.ipv6.icmp.ratelimit)"
        )
    return ""
