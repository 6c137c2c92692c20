"""How a verdict is drawn: one symbol, readable without colour, and a colour."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.model import Cell, Verdict


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict's symbol, its stand-in where only ASCII can be written, and its rich style."""

    symbol: str
    ascii: str
    style: str


MARKS = {
    Verdict.OPEN: Mark("●", "O", "bold green"),
    Verdict.REFUSED: Mark("✗", "x", "red"),
    Verdict.TIMEOUT: Mark("…", "t", "yellow"),
    Verdict.UNREACHABLE: Mark("⊘", "u", "magenta"),
    Verdict.UNRESOLVED: Mark("?", "?", "cyan"),
    Verdict.NOT_BOUND: Mark("–", "-", "bright_black"),
    Verdict.ACCEPTED: Mark("◐", "a", "bold yellow"),
    Verdict.WRONG_SERVICE: Mark("≠", "w", "bold magenta"),
    Verdict.NO_ANSWER: Mark("◌", "n", "yellow"),
    Verdict.WRONG_SOURCE: Mark("↷", "s", "bold yellow"),
}
NOT_MEASURED = Mark("□", "_", "bold red")
# Beside a cell that came out otherwise than predicted.
DISAGREES = "!"


def mark_of(cell: Cell) -> Mark:
    """Return how a cell's observation is drawn."""
    outcome = cell.observation.outcome
    return NOT_MEASURED if outcome is None else MARKS[outcome.verdict]
