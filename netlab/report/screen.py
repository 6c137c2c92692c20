"""A run as one screen: the headline, the whole matrix, what differs and why. rich draws it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from netlab.matrix import Matrix
from netlab.model import Cell
from netlab.report.alike import number_of
from netlab.report.grid import Grid, letters
from netlab.report.surprises import surprises
from netlab.report.symbols import DISAGREES, MARKS, NOT_MEASURED, mark_of
from netlab.report.words import constants, differences, refusal


def screen(matrix: Matrix, *, ascii_only: bool = False) -> RenderableType:
    """Return all that `netlab run` shows.

    Args:
        matrix: what came of the experiment.
        ascii_only: whether the terminal can write only ASCII.
    """
    return Group(
        Text(summary(matrix), style="bold"),
        "",
        *_answer(matrix),
        Grid(matrix, ascii_only=ascii_only),
        key(matrix),
        legend(matrix, "not as predicted" if matrix.disagreements else "", ascii_only=ascii_only),
        "",
        *_troubles(matrix),
        Text("What differs, and why", style="bold"),
        _indented(_pairs(differences(matrix))),
        "",
        *(_indented(Text(line)) for line in refusal(matrix)),
        *_same(matrix),
    )


def summary(matrix: Matrix) -> str:
    """Return the run in one line: how large, how much was measured, how much agrees, how long it took."""
    measured = len(matrix.cells) - len(matrix.not_measured)
    agreeing = measured - len(matrix.disagreements)
    rows, cells = len(matrix.experiment.binds), len(matrix.cells)
    each, irregular = divmod(cells, rows)
    in_each = f", {number_of(cells, 'cell')}" if irregular else f" x {number_of(each, 'cell')}"
    size = number_of(rows, "bind") + in_each
    where = f"{matrix.experiment.name} on {matrix.backend}, Linux {matrix.kernel}"
    return f"{where}: {size}, {measured} measured, {agreeing} as predicted, {matrix.seconds:.1f} s"


def _answer(matrix: Matrix) -> Iterable[RenderableType]:
    """Yield the question and its answer, as far as the experiment has them and this part of it tells."""
    if matrix.experiment.title:
        yield Text(matrix.experiment.title)
    if (table := headline(matrix)).row_count:
        yield _indented(table)
    if matrix.experiment.title or table.row_count:
        yield ""


def headline(matrix: Matrix) -> Table:
    """Return the part of the matrix that answers the question, in words; without rows where there is none."""
    said = matrix.experiment.headline
    cells = {(cell.bind.name, cell.vantage, cell.target.name): cell for cell in matrix.cells}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("the server runs on", header_style="dim")
    for title, _, _ in said.columns:
        table.add_column(Text(title), header_style="dim")
    for bind in said.binds:
        row = [cells.get((bind, vantage, target)) for _, vantage, target in said.columns]
        if row and all(row):
            table.add_row(Text(bind), *(_outcome(cell) for cell in row if cell))
    return table


def _outcome(cell: Cell) -> Text:
    text = str(cell.observation.outcome or "not measured")
    if cell.measured and not cell.agrees:
        text += f" {DISAGREES} predicted {cell.prediction.outcome}"
    return Text(text, style=mark_of(cell).style)


# --- The matrix's keys ------------------------------------------------------------------------------------


def key(matrix: Matrix) -> Columns:
    """Return what the letters stand for."""
    entries = letters(matrix).items()
    return _entries(Text(f"{letter} ", style="dim").append(title, "none") for title, letter in entries)


def _entries(entries: Iterable[Text]) -> Columns:
    return Columns(list(entries), padding=(0, 3))


def legend(matrix: Matrix, exclamation: str, *, ascii_only: bool) -> Columns:
    """Return what the symbols in the matrix stand for.

    Args:
        matrix: what came of the experiment.
        exclamation: what a `!` beside one of them means; empty if there is none.
        ascii_only: whether the terminal can write only ASCII.
    """
    used = {cell.observation.outcome.verdict for cell in matrix.cells if cell.observation.outcome is not None}
    marks = [(mark, str(verdict)) for verdict, mark in MARKS.items() if verdict in used]
    if matrix.not_measured:
        marks.append((NOT_MEASURED, "not measured"))
    entries = [
        Text(f"{mark.ascii if ascii_only else mark.symbol} ", mark.style).append(word, "none")
        for mark, word in marks
    ]
    if exclamation:
        entries.append(Text(f"{DISAGREES} {exclamation}", "bold red"))
    return _entries(entries)


# --- Words -------------------------------------------------------------------------------------------------


def _troubles(matrix: Matrix) -> Iterable[RenderableType]:
    """Yield what keeps the run from being a success: cells that disagree, cells that were not measured."""
    for line, surprising in surprises(matrix.disagreements, matrix.cells):
        which = f"{_name(surprising[0])}: " if len(surprising) == 1 else ""
        yield Text(f"{which}{line}", style="bold red")
    for why in dict.fromkeys(cell.observation.not_measured for cell in matrix.not_measured):
        cells = [cell for cell in matrix.not_measured if cell.observation.not_measured == why]
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        yield Text(f"{_name(cells[0])}{more}: not measured: {why}", style="bold red")
    if matrix.disagreements or matrix.not_measured:
        yield Text("")


def _name(cell: Cell) -> str:
    return f"{cell.bind.name} {cell.vantage} {cell.target.name}"


def _same(matrix: Matrix) -> Iterable[RenderableType]:
    if same := constants(matrix):
        yield Text("")
        yield Text("Whatever the bind", style="bold")
        yield _indented(_pairs(same))


def _pairs(pairs: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    previous = ""
    for name, text in pairs:
        table.add_row(Text(name if name != previous else "", style="bold"), Text(text))
        previous = name
    return table


def _indented(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, 1))
