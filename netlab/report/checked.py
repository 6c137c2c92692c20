"""A check as one screen: the matrix, and every cell that fails with its reason. rich draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from netlab.expectations.message import heading, message
from netlab.expectations.results import Checked, Result, State
from netlab.model import Cell
from netlab.report.alike import number_of
from netlab.report.grid import Grid
from netlab.report.html import page
from netlab.report.record import record
from netlab.report.screen import key, legend

# How many failing cells are explained in full; of the others the heading says enough.
_EXPLAINED = 10


def checked_screen(checked: Checked, *, ascii_only: bool = False) -> RenderableType:
    """Return all that `netlab check` shows. Print it with `soft_wrap`: logs are searched by line.

    Args:
        checked: what came of it.
        ascii_only: whether the terminal can write only ASCII.
    """
    failing = {id(cell) for cell, _ in _unmet_cells(checked)}

    def marked(cell: Cell) -> bool:
        return id(cell) in failing

    return Group(
        Text(summary(checked), style="bold" if not checked.exit_code else "bold red"),
        "",
        Grid(checked.matrix, ascii_only=ascii_only, marked=marked),
        key(checked.matrix),
        legend(checked.matrix, "not as it should be" if failing else "", ascii_only=ascii_only),
        *_troubles(checked),
    )


def summary(checked: Checked) -> str:
    """Return the check in one line: where, how large, and how much is as it should be."""
    matrix, results = checked.matrix, checked.results
    expected = [result for result in results if result.expectation is not None]
    met = sum(result.state is State.MET for result in expected)
    parts = [f"{met} of {len(expected)} as expected"]
    if others := [result for result in results if result.expectation is None]:
        predicted = sum(result.state is State.MET for result in others)
        parts.append(f"{predicted} of {len(others)} others as predicted")
    if checked.not_measured:
        parts.append(f"{len(checked.not_measured)} not measured")
    where = f"{matrix.experiment.name} on {matrix.backend}, Linux {matrix.kernel}"
    return f"{where}: {number_of(len(results), 'cell')}, {', '.join(parts)}, {matrix.seconds:.1f} s"


def _unmet_cells(checked: Checked) -> Iterator[tuple[Cell, Result]]:
    """Yield the matrix's cells that are not as they should be."""
    for cell, result in zip(checked.matrix.cells, checked.results, strict=True):
        if result.state is State.UNMET:
            yield cell, result


def _troubles(checked: Checked) -> Iterator[RenderableType]:
    unmet = checked.unmet
    for result in unmet[:_EXPLAINED]:
        yield Text("")
        yield _explained(result)
    if more := unmet[_EXPLAINED:]:
        yield Text(f"\nand {len(more)} more:")
        yield from (Text(f" {heading(result)}") for result in more)
    yield from _not_measured(checked.not_measured)
    yield from (Text(f"\nleft out: {failure}", style="bold red") for failure in checked.failures)
    surprising = [result for result in checked.results if result.surprising and result.state is State.MET]
    if surprising:
        yield Text("\nas expected, but not as the facts alone would have it:")
        yield from (Text(f" {heading(result)}") for result in surprising)


def _explained(result: Result) -> RenderableType:
    first, *others = message(result).splitlines()
    return Group(Text(first, style="bold red"), *map(Text, others))


def _not_measured(results: Iterable[Result]) -> Iterator[RenderableType]:
    """Yield the cells that share a reason together: a host that is gone concerns all that it dials."""
    reasons: dict[str, list[Result]] = {}
    for result in results:
        reasons.setdefault(result.cell.observation.not_measured, []).append(result)
    for why, cells in reasons.items():
        more = f" (and {len(cells) - 1} more)" if len(cells) > 1 else ""
        yield Text("")
        yield Text(f"{heading(cells[0])}{more}", style="bold red")
        yield Text(f"  {why}")


def checked_page(checked: Checked) -> str:
    """Return a check as the text of an HTML file: the run's page, with what is not as it should be on top."""
    unmet = [(cell, message(result)) for cell, result in _unmet_cells(checked)]
    return page(checked.matrix, summary(checked), unmet, checked.failures, checked.changes)


def checked_record(checked: Checked) -> dict[str, Any]:
    """Return a check as JSON's own types: the run's record, and in every cell what was expected."""
    whole = record(checked.matrix)
    for cell, result in zip(whole["cells"], checked.results, strict=True):
        wants = result.expectation
        cell["state"] = str(result.state)
        cell["expected"] = wants.wants if wants is not None else None
        cell["rule"] = f"{wants.source}:{wants.line}" if wants is not None else None
        cell["message"] = message(result) if result.state is not State.MET else ""
    said = {"failures": list(checked.failures), "changes": list(checked.changes)}
    return whole | {"exit_code": int(checked.exit_code), **said}
