"""Of several dials from one host to one service, the one that counts: that which got furthest."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.model import Cell, Verdict

_ORDER = (
    Verdict.OPEN,
    Verdict.WRONG_SERVICE,
    Verdict.ACCEPTED,
    Verdict.WRONG_SOURCE,
    Verdict.REFUSED,
    Verdict.UNREACHABLE,
    Verdict.TIMEOUT,
    Verdict.NO_ANSWER,
    Verdict.UNRESOLVED,
    Verdict.NOT_BOUND,
)


def furthest(cells: Iterable[Cell]) -> Cell | None:
    """Return the dial that got furthest; None where none was measured."""
    measured = [(cell.observation.outcome.verdict, cell) for cell in cells if cell.observation.outcome]
    return min(measured, key=lambda pair: _ORDER.index(pair[0]), default=(None, None))[1]
