"""What a deployment says: a line for each machine, and one on all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from netlab.deploy.release import short
from netlab.deploy.result import Result, State

_WIDEST_STATE = max(len(state) for state in State)


def line_of(result: Result, width: int) -> str:
    """Return a machine's line.

    Args:
        result: what came of it there.
        width: of the column with the machines' names.
    """
    release = short(result.release) or "-"
    said = "; ".join(part for part in (result.detail, *result.notes) if part)
    return (
        f"{result.host:<{width}}  {result.state:<{_WIDEST_STATE}}  {release:<12}  {_printable(said)}".rstrip()
    )


def summary_of(results: Collection[Result], seconds: float) -> str:
    """Return how many machines ended up how, and the time that it took."""
    counted = Counter(result.state for result in results)
    states = ", ".join(f"{counted[state]} {state}" for state in State if counted[state])
    machines = "1 machine" if len(results) == 1 else f"{len(results)} machines"
    return f"{machines}: {states}; {seconds:.1f} s"


def _printable(text: str) -> str:
    """Keep a line one line, whatever a machine has said."""
    return "".join(char if char.isprintable() else " " for char in text)
