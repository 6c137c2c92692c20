"""What may stand between a prediction and what happened: something that the facts don't show."""

from __future__ import annotations

from netlab.model import Cell, Verdict

_REACHED = {Verdict.OPEN, Verdict.WRONG_SERVICE, Verdict.ACCEPTED, Verdict.REFUSED}


def suspicion(cell: Cell) -> str:
    """Return in words what would explain that a cell came out otherwise than predicted.

    Args:
        cell: one that was measured and disagrees.

    Returns:
        A clause without a full stop; empty where nothing suggests itself.
    """
    if cell.observation.outcome is None:
        return ""
    predicted, observed = cell.prediction.outcome.verdict, cell.observation.outcome.verdict
    here, there = cell.vantage, cell.bind.host
    if predicted in _REACHED and observed is Verdict.TIMEOUT:
        where = f"between {here} and {there}, on neither host, or on one of them"
        return f"a packet filter {where} (its rules are not read)"
    if predicted in _REACHED and observed is Verdict.UNREACHABLE:
        return f"somebody between {here} and {there} rejects it, and says so: see the evidence"
    if predicted is Verdict.OPEN and observed is Verdict.REFUSED:
        return f"a filter that answers with a reset, or the service on {there} has just ended"
    if predicted not in _REACHED and observed in _REACHED:
        return f"a way from {here} to {there} that routes and addresses don't show: translation or a proxy"
    return ""
