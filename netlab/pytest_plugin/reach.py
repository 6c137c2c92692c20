"""What `can_reach` gives: true or false in a test, and a whole explanation where the test fails."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, ClassVar

from netlab.errors import LabError
from netlab.model import Verdict

if TYPE_CHECKING:
    from netlab.model import Cell, Outcome

# Wide enough for most steps in one line each; a terminal breaks the others.
_COLUMNS = 120


class NotMeasuredError(LabError):
    """A dial could not be made: nobody can say whether the server is reached."""


@dataclass(frozen=True)
class Reach:
    """Whether a host reaches a server: true if the right server answered.

    `.verdict` says how it went instead (`refused`, `timeout`, ...), `str()` why.

    Attributes:
        cell: the dial, its prediction and its observation.
    """

    cell: Cell

    # The last one that a test looked at: what a failed assertion is about that names none.
    last: ClassVar[Reach | None] = None

    def __post_init__(self) -> None:
        if not self.cell.measured:
            observed = self.cell.observation
            raise NotMeasuredError(f"{_dial(self.cell)}: not measured: {observed.not_measured}")

    @property
    def outcome(self) -> Outcome:
        """The verdict and its detail, as observed."""
        outcome = self.cell.observation.outcome
        assert outcome is not None, "else it would not have been made"
        Reach.last = self
        return outcome

    @property
    def verdict(self) -> Verdict:
        """What came of the dial, as observed; equal to its name: `"refused"`."""
        return self.outcome.verdict

    @property
    def as_predicted(self) -> bool:
        """Whether it is what the facts say must happen."""
        Reach.last = self
        return self.cell.agrees

    def __bool__(self) -> bool:
        return self.verdict is Verdict.OPEN

    def __repr__(self) -> str:
        """Say it in a line: pytest shows the beginning of it."""
        return f"<{_dial(self.cell)}: {self.cell.observation.outcome}>"

    def __str__(self) -> str:
        """Explain it: prediction, observation, the reason step by step, the evidence, what would open it."""
        from rich.console import Console

        from netlab.report.explain import explanation

        console = Console(file=StringIO(), width=_COLUMNS, color_system=None, highlight=False)
        with console.capture() as captured:
            console.print(explanation(self.cell))
        return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _dial(cell: Cell) -> str:
    return f"{cell.vantage} dials {cell.target.address} ({cell.bind.name})"
