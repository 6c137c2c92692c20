"""A run as one HTML page: without scripts, without anything from elsewhere, readable on a phone and on paper.

What hosts say is foreign text: the template escapes every value, and the page forbids itself whatever it does
not need (Content-Security-Policy), should one ever get through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from netlab import __version__
from netlab.matrix import Matrix
from netlab.model import Bind, Cell, Verdict
from netlab.printable import printable
from netlab.report.alike import FEW, number_of
from netlab.report.grid import titles
from netlab.report.screen import summary
from netlab.report.surprises import surprises
from netlab.report.suspicion import remedy, suspicion
from netlab.report.symbols import DISAGREES, MARKS, NOT_MEASURED, mark_of
from netlab.report.words import constants, differences, refusal

_UNMEASURED = "not-measured"


@dataclass(frozen=True, slots=True)
class _Block:
    """The columns of one vantage: a row a bind, None where a bind has no such target."""

    vantage: str
    titles: tuple[str, ...]
    rows: tuple[tuple[Bind, tuple[Cell | None, ...]], ...]


def page(
    matrix: Matrix,
    said: str = "",
    unmet: Sequence[tuple[Cell, str]] | None = None,
    left_out: Sequence[str] = (),
    changes: Sequence[str] = (),
) -> str:
    """Return a run as the text of an HTML file.

    Args:
        matrix: what came of it.
        said: the run in one line, if not as the matrix alone tells it.
        unmet: cells of the matrix that are not as expected, and all that there is to say of each; None where
            nothing is expected but what is predicted.
        left_out: machines that could not be used, and why.
        changes: what has changed since a baseline.
    """
    failing = {id(cell) for cell, _ in unmet or ()}
    # As on the terminal: of a check, `!` is what is not as expected.
    exclamation = "not as predicted" if unmet is None else "not as it should be"
    marked = failing if unmet is not None else {id(cell) for cell in matrix.disagreements}
    places = {id(cell): f"cell-{number}" for number, cell in enumerate(matrix.cells, start=1)}
    return _template().render(
        matrix=matrix,
        experiment=matrix.experiment,
        summary=said or summary(matrix),
        is_check=unmet is not None,
        unmet=[(cell, message.splitlines()) for cell, message in unmet or ()],
        left_out=left_out,
        changes=changes,
        surprises=tuple(surprises([c for c in matrix.disagreements if id(c) not in failing], matrix.cells)),
        troubled={id(cell) for cell in matrix.cells if not cell.agrees} | failing,
        headline=tuple(_headline(matrix)),
        blocks=tuple(_blocks(matrix)),
        legend=tuple(_legend(matrix, exclamation if marked else "")),
        marked=marked,
        unmeasured=_by_reason(matrix),
        few=FEW,
        number_of=number_of,
        differences=differences(matrix),
        refusal=refusal(matrix),
        constants=constants(matrix),
        rows={bind: [cell for cell in matrix.cells if cell.bind == bind] for bind in matrix.experiment.binds},
        place=lambda cell: places[id(cell)],
        version=__version__,
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    helpers: dict[str, Any] = {
        "symbol": lambda cell: mark_of(cell).symbol,
        "kind": _kind,
        "outcome": _outcome,
        "suspicion": suspicion,
        "remedy": remedy,
        "id": id,
    }
    environment.filters.update(helpers)
    source = resources.files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)


def _harmless(value: Any) -> Any:
    """Show letters that no reader sees, or that turn a line around, as escapes: in a text or in a number."""
    return printable(value) if type(value) is str else value


def _kind(cell: Cell) -> str:
    """Return the class of a cell: its verdict, by which it is coloured."""
    return cell.observation.outcome.verdict.value if cell.observation.outcome is not None else _UNMEASURED


def _outcome(cell: Cell) -> str:
    text = str(cell.observation.outcome or "not measured")
    return text if cell.agrees or not cell.measured else f"{text}, predicted {cell.prediction.outcome}"


def _headline(matrix: Matrix) -> Iterator[tuple[str, list[Cell]]]:
    """Yield the rows of the headline of which every cell is there."""
    said = matrix.experiment.headline
    cells = {(cell.bind.name, cell.vantage, cell.target.name): cell for cell in matrix.cells}
    for bind in said.binds:
        row = [cells.get((bind, vantage, target)) for _, vantage, target in said.columns]
        if row and all(row):
            yield bind, [cell for cell in row if cell]


def _blocks(matrix: Matrix) -> Iterator[_Block]:
    cells = {(cell.bind.name, cell.vantage, cell.target.name): cell for cell in matrix.cells}
    for vantage in matrix.experiment.vantages:
        columns = titles(vantage)
        rows = (
            (bind, tuple(cells.get((bind.name, vantage.name, title)) for title in columns))
            for bind in matrix.experiment.binds
        )
        yield _Block(vantage.name, columns, tuple(rows))


def _legend(matrix: Matrix, exclamation: str) -> Iterator[tuple[str, str, str]]:
    """Yield class, symbol and words of what the matrix has in it; `exclamation` is what `!` means there."""
    used = {cell.observation.outcome.verdict for cell in matrix.cells if cell.observation.outcome is not None}
    for verdict in Verdict:
        if verdict in used:
            yield verdict.value, MARKS[verdict].symbol, verdict.value
    if matrix.not_measured:
        yield _UNMEASURED, NOT_MEASURED.symbol, "not measured"
    if exclamation:
        yield "surprise", DISAGREES, exclamation


def _by_reason(matrix: Matrix) -> Mapping[str, list[Cell]]:
    """Return the cells that were not measured, by why."""
    reasons: dict[str, list[Cell]] = {}
    for cell in matrix.not_measured:
        reasons.setdefault(cell.observation.not_measured, []).append(cell)
    return reasons
