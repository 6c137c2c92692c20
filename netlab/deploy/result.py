"""What came of a deployment, machine by machine."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from netlab.errors import ExitCode


class State(enum.StrEnum):
    """How a machine ended up."""

    DEPLOYED = "deployed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    WOULD_CHANGE = "would change"
    WENT_BACK = "went back"
    VIOLATED = "violated"
    FAILED = "failed"
    NOT_REACHED = "not reached"
    NOT_MEASURED = "not measured"
    NOT_TRIED = "not tried"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it on one machine.

    Attributes:
        host: the machine.
        state: how it ended up.
        release: the ID of the release that runs there now, as far as we know; empty for none.
        detail: why, or what has changed.
        notes: what else there is to know.
        seconds: how long it took.
    """

    host: str
    state: State
    release: str = ""
    detail: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


_REFUSED = {State.WENT_BACK, State.VIOLATED, State.FAILED, State.NOT_TRIED}
_UNKNOWN = {State.NOT_REACHED, State.NOT_MEASURED}


def exit_code(results: Iterable[Result]) -> ExitCode:
    """Return what the command ends with: what could not be done, or not be checked, is never a success."""
    states = {result.state for result in results}
    if State.INTERRUPTED in states:
        return ExitCode.INTERRUPTED
    if states & _REFUSED:
        return ExitCode.DISAGREES
    return ExitCode.NOT_MEASURED if states & _UNKNOWN else ExitCode.OK


def counts_as_failure(result: Result) -> bool:
    """Whether it counts towards --max-fail: a machine that went back does, one that is off does not."""
    return result.state in _REFUSED
