"""The matrix: every cell of a run, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netlab.errors import ExitCode
from netlab.experiments.plan import Experiment
from netlab.facts import Facts
from netlab.model import Bind, Cell


@dataclass(frozen=True, slots=True)
class Matrix:
    """What came of a run of an experiment.

    Attributes:
        backend: the name of the backend that made the lab.
        facts: by bind and host, as read while the bind's service ran.
        cells: row by row.
        seconds: wall time, from nothing to the last verdict.
    """

    experiment: Experiment
    backend: str
    facts: Mapping[str, Mapping[str, Facts]]
    cells: tuple[Cell, ...]
    seconds: float

    @property
    def kernel(self) -> str:
        """The kernel's release, as one of the hosts tells it."""
        return next((facts.kernel for hosts in self.facts.values() for facts in hosts.values()), "unknown")

    def facts_of(self, bind: Bind) -> Facts:
        """Return the facts of a bind's host, as they were while its service ran."""
        return self.facts[bind.name][bind.host]

    @property
    def not_measured(self) -> tuple[Cell, ...]:
        """The cells whose probe could not run."""
        return tuple(cell for cell in self.cells if not cell.measured)

    @property
    def disagreements(self) -> tuple[Cell, ...]:
        """The cells that were measured and came out otherwise than predicted."""
        return tuple(cell for cell in self.cells if cell.measured and not cell.agrees)

    @property
    def exit_code(self) -> ExitCode:
        """What a command that ran it ends with."""
        return exit_code(self.cells)


def exit_code(cells: Iterable[Cell]) -> ExitCode:
    """Return what a command ends with: a cell that was not measured is never a success."""
    states = {(cell.measured, cell.agrees) for cell in cells}
    if (True, False) in states:
        return ExitCode.DISAGREES
    return ExitCode.NOT_MEASURED if (False, False) in states else ExitCode.OK
