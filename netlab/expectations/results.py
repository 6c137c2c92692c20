"""What came of a check: every cell held against what is expected of it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from netlab.errors import ExitCode
from netlab.expectations.rules import Expectation
from netlab.experiments.plan import Dial
from netlab.matrix import Matrix
from netlab.model import Cell


class State(enum.StrEnum):
    """How a cell stands to what is expected of it."""

    MET = "met"
    UNMET = "unmet"
    NOT_MEASURED = "not-measured"


@dataclass(frozen=True, slots=True)
class Result:
    """A cell and what is expected of it.

    Attributes:
        expectation: None where no rule is about it: then it should come out as predicted.
    """

    cell: Cell
    expectation: Expectation | None

    @property
    def state(self) -> State:
        """Whether the expectation is met; without one, whether the prediction is."""
        outcome = self.cell.observation.outcome
        if outcome is None:
            return State.NOT_MEASURED
        met = self.cell.agrees if self.expectation is None else self.expectation.met_by(outcome)
        return State.MET if met else State.UNMET

    @property
    def surprising(self) -> bool:
        """Whether it is as expected, and yet not as predicted: something is between that facts don't show."""
        return self.expectation is not None and self.cell.measured and not self.cell.agrees


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check.

    Attributes:
        matrix: of the run.
        results: a cell each, in the matrix's order.
        failures: machines that could not be used, and why.
        strict: whether what is as expected, but not as predicted, fails, too.
        changes: what has changed since a baseline, a line each.
    """

    matrix: Matrix
    results: tuple[Result, ...]
    failures: tuple[str, ...] = ()
    strict: bool = False
    changes: tuple[str, ...] = ()

    @property
    def unmet(self) -> tuple[Result, ...]:
        """Those that are not as expected, or, without an expectation, not as predicted."""
        return tuple(result for result in self.results if result.state is State.UNMET)

    @property
    def not_measured(self) -> tuple[Result, ...]:
        """Those whose probe could not run."""
        return tuple(result for result in self.results if result.state is State.NOT_MEASURED)

    @property
    def exit_code(self) -> ExitCode:
        """What a command ends with: what could not be measured is never a success."""
        surprised = self.strict and any(result.surprising for result in self.results)
        if self.unmet or self.changes or surprised:
            return ExitCode.DISAGREES
        unsure = self.not_measured or self.failures or not self.results
        return ExitCode.NOT_MEASURED if unsure else ExitCode.OK


def hold(
    matrix: Matrix, expected: Callable[[Dial], Expectation | None], failures: tuple[str, ...] = ()
) -> Checked:
    """Hold every cell of a matrix against what is expected of it.

    Args:
        matrix: what came of the run.
        expected: what is expected of a dial.
        failures: machines that could not be used, and why.
    """
    hosts = {vantage.name: vantage for vantage in matrix.experiment.vantages}
    results = []
    for cell in matrix.cells:
        host = hosts[cell.vantage].host(cell.bind)
        results.append(Result(cell, expected(Dial(cell.bind, cell.vantage, host, cell.target))))
    return Checked(matrix, tuple(results), failures)
