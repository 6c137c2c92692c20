"""The whole matrix, as lines of text: a row a bind, a block of columns a vantage, a letter a target.

It is laid out here and not by a table, which would squeeze columns into a narrow terminal: a symbol that is
cut off would be another one. Blocks that don't fit beside each other stand below each other.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Mapping

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from netlab.experiments.plan import Vantage
from netlab.matrix import Matrix
from netlab.model import Cell
from netlab.report.symbols import DISAGREES, mark_of

# A symbol, and beside it the place for `!`.
_CELL_COLUMNS = 2
_GAP = "  "


class Grid:
    """A matrix that rich can draw at any width.

    Args:
        matrix: what came of the experiment.
        ascii_only: whether only ASCII can be written.
        marked: which cells have a `!` beside them; those that did not come out as predicted by default.
    """

    def __init__(
        self, matrix: Matrix, *, ascii_only: bool = False, marked: Callable[[Cell], bool] | None = None
    ) -> None:
        self._matrix, self._ascii_only = matrix, ascii_only
        self._marked = marked or _disagrees
        self._letters = letters(matrix)
        names = [bind.name for bind in matrix.experiment.binds]
        self._name_columns = max(len(name) for name in names)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, each as it is: none is wrapped or cut short."""
        for number, band in enumerate(self._bands(options.max_width)):
            if number:
                yield Text("")
            for line in self._lines(band):
                line.no_wrap, line.overflow = True, "ignore"
                yield line

    def _bands(self, width: int) -> Iterator[list[Vantage]]:
        """Yield the vantages that fit beside each other; one that fits nowhere stands alone."""
        band: list[Vantage] = []
        used = self._name_columns
        for vantage in self._matrix.experiment.vantages:
            wants = len(_GAP) + _block_columns(vantage)
            if band and used + wants > width:
                yield band
                band, used = [], self._name_columns
            band.append(vantage)
            used += wants
        if band:
            yield band

    def _lines(self, band: list[Vantage]) -> Iterator[Text]:
        yield self._line("", (Text(vantage.name, "bold") for vantage in band), band)
        yield self._line("", (self._heading(vantage) for vantage in band), band)
        for bind in self._matrix.experiment.binds:
            cells = {(c.vantage, c.target.name): c for c in self._matrix.cells if c.bind == bind}
            yield self._line(bind.name, (self._row(vantage, cells) for vantage in band), band)

    def _line(self, name: str, blocks: Iterable[Text], band: list[Vantage]) -> Text:
        line = Text(name.ljust(self._name_columns))
        for vantage, block in zip(band, blocks, strict=True):
            block.pad_right(_block_columns(vantage) - block.cell_len)
            line.append(_GAP).append_text(block)
        line.rstrip()
        return line

    def _heading(self, vantage: Vantage) -> Text:
        return Text("".join(f"{self._letters.get(title, '?')} " for title in titles(vantage)), "dim")

    def _row(self, vantage: Vantage, cells: Mapping[tuple[str, str], Cell]) -> Text:
        row = Text()
        for title in titles(vantage):
            cell = cells.get((vantage.name, title))
            row.append_text(self._cell(cell) if cell is not None else Text(" " * _CELL_COLUMNS))
        return row

    def _cell(self, cell: Cell) -> Text:
        mark = mark_of(cell)
        surprise = self._marked(cell)
        text = Text(mark.ascii if self._ascii_only else mark.symbol, mark.style)
        return text.append(DISAGREES if surprise else " ", "bold red" if surprise else "none")


def _disagrees(cell: Cell) -> bool:
    return cell.measured and not cell.agrees


def letters(matrix: Matrix) -> dict[str, str]:
    """Return the letter that heads each target's columns."""
    named = dict.fromkeys(title for vantage in matrix.experiment.vantages for title in titles(vantage))
    return dict(zip(named, string.ascii_lowercase + string.ascii_uppercase, strict=False))


def titles(vantage: Vantage) -> tuple[str, ...]:
    """Return the names of the vantage's targets, of whichever bind's host they are."""
    return tuple(dict.fromkeys(target.name for targets in vantage.targets.values() for target in targets))


def _block_columns(vantage: Vantage) -> int:
    return max(len(vantage.name), _CELL_COLUMNS * len(titles(vantage)))
