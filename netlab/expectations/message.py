"""A cell that fails, in lines of text that are enough to know what to change."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.expectations.results import Result, State
from netlab.model import Cell, Verdict
from netlab.report.suspicion import remedy, suspicion

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TAKEN = {Verdict.OPEN, Verdict.WRONG_SERVICE, Verdict.ACCEPTED, Verdict.WRONG_SOURCE}


def heading(result: Result) -> str:
    """Return what was dialled, what was expected and what happened, in a line."""
    cell, wants = result.cell, result.expectation
    said = f"expected {wants.text}" if wants else f"predicted {cell.prediction.outcome}"
    seen = cell.observation.outcome if cell.measured else "not measured"
    return f"{cell.bind.name}: {cell.vantage} dials {cell.dialled}: {said}, observed {seen}"


def message(result: Result) -> str:
    """Return all that there is to say of a cell: its heading, whose rule it is, why, and what to change."""
    return "\n".join((heading(result), *(f"  {line}" for line in _lines(result))))


def _lines(result: Result) -> Iterator[str]:
    cell = result.cell
    if result.expectation is not None:
        yield f"expected by {result.expectation.source}:{result.expectation.line}"
    if not cell.measured:
        yield f"not measured: {cell.observation.not_measured}"
        return
    yield from cell.observation.evidence
    if not cell.agrees:
        why = suspicion(cell)
        yield f"the facts say {cell.prediction.outcome}" + (f"; what may be in between: {why}" if why else "")
    yield f"why {cell.prediction.outcome}:"
    for number, step in enumerate(cell.prediction.reason, start=1):
        yield f" {number} {step.kind} on {step.host}: {step.text} [{step.rests_on}]"
    yield from _remedy(result)


def _remedy(result: Result) -> Iterator[str]:
    cell, wants = result.cell, result.expectation
    if result.state is not State.UNMET or cell.observation.outcome is None:
        return
    verdict = cell.observation.outcome.verdict
    if wants is None or wants.wants_open:
        if how := remedy(cell):
            yield f"to open it: {how}"
    elif verdict in _TAKEN:
        yield f"to close it: {_how_to_close(cell)}"
    elif verdict is Verdict.NOT_BOUND:
        yield f"nothing is denied by a server that can't listen: {remedy(cell)}"
    elif cell.agrees:
        yield f"it is closed, but not by {wants.wants}: change the rule, or what the steps above rest on"


def _how_to_close(cell: Cell) -> str:
    """Say where the service should listen so that this vantage does not get to it."""
    steps = [step for step in cell.prediction.reason if step.kind == "publish"]
    if steps:
        # The machine itself gets to what is published on its loopback address, too.
        outside = "" if cell.target.address in _LOOPBACK else ", or publish it on 127.0.0.1 only"
        return f"don't publish the port{outside}"
    if cell.vantage == "server" or cell.vantage == cell.bind.host:
        return "the server's own host reaches what it listens on: bind another address, or don't run it"
    here, there = cell.vantage, cell.bind.host
    return (
        f"bind 127.0.0.1 (then only {there} itself gets through) or an address that {here} has no route to; "
        f"or put the two on different networks, or drop what {here} sends in a packet filter on {there}"
    )
