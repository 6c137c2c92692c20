"""One cell, explained: what was predicted and why, what was observed, and what would open it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from netlab.model import Cell
from netlab.report.suspicion import remedy, suspicion
from netlab.report.symbols import mark_of


def explanation(cell: Cell) -> RenderableType:
    """Return the steps of a cell's reason, each with the fact it rests on, and the evidence of the probe."""
    return Group(
        Text(f"{cell.bind.name}: {cell.vantage} dials {cell.dialled}", style="bold"),
        _compared(cell),
        "",
        _steps(cell),
        "",
        *(Text(f" {line}", style="dim") for line in cell.observation.evidence),
        *(Text(f" {line}") for line in _conclusions(cell)),
    )


def _conclusions(cell: Cell) -> Iterator[str]:
    if how := remedy(cell):
        yield f"To open it: {how}."
    if not cell.agrees and (why := suspicion(cell)):
        yield f"What may be in between: {why}."


def _compared(cell: Cell) -> Text:
    predicted = f" predicted {cell.prediction.outcome}, "
    if not cell.measured:
        return Text(f"{predicted}not measured: {cell.observation.not_measured}", style="bold red")
    text = Text(predicted).append(f"observed {cell.observation.outcome}", style=mark_of(cell).style)
    return text if cell.agrees else text.append(": these disagree", style="bold red")


def _steps(cell: Cell) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="dim")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # rich would cut a long address off
    table.add_column(overflow="fold", style="dim")
    for number, step in enumerate(cell.prediction.reason, start=1):
        words = (f" {number}", step.kind, step.host, step.text, step.rests_on)
        table.add_row(*(Text(word) for word in words))
    return table
