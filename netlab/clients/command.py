"""The command `netlab clients`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.clients.figures import Comparison
    from netlab.clients.measure import Progress

# How long a load lasts, in seconds: the whole of them under two minutes; quick, under twenty seconds.
_SECONDS, _QUICK_SECONDS = 1.0, 0.4


@click.command()
@click.option("--quick", is_flag=True, help="Fewer and shorter loads.")
@click.option("--strategy", "strategies", multiple=True, help="Only this one. Repeatable.")
@click.option("--seconds", type=click.FloatRange(0.2, 600), help=f"How long each load lasts ({_SECONDS}).")
@click.option("--charts", metavar="DIRECTORY", help="Draw clients.svg and clients.png there.")
@click.option("--json", "json_file", metavar="FILE", help="Write every figure as JSON; - is standard output.")
def clients(
    quick: bool, strategies: tuple[str, ...], seconds: float | None, charts: str | None, json_file: str | None
) -> ExitCode:
    """Compare how one server can attend several clients: the same load on each strategy.

    Exit code: 0 everything was measured; 2 a wrong option; 3 something could not be measured.
    """
    from netlab.clients.charts import check_available, draw
    from netlab.clients.loads import ALL, QUICK
    from netlab.clients.measure import compare
    from netlab.clients.server import installed_variants

    if charts is not None:
        check_available()
    variants = [v for v in installed_variants() if not strategies or v.name in strategies]
    if unknown := set(strategies) - {variant.name for variant in variants}:
        known = ", ".join(variant.name for variant in installed_variants())
        raise NetlabError(f"--strategy {min(unknown)}: the server knows {known}")
    with _progress() as progress:
        lasts_s = seconds or (_QUICK_SECONDS if quick else _SECONDS)
        comparison = compare(variants, QUICK if quick else ALL, lasts_s, progress)
    _show(comparison, talk=json_file == "-")
    if json_file is not None:
        _write_json(comparison, json_file)
    if charts is not None:
        for file in draw(comparison, Path(charts)):
            click.echo(f"wrote {file}", err=True)
    return ExitCode.NOT_MEASURED if any(c.result is None for c in comparison.cells) else ExitCode.OK


def _show(comparison: Comparison, *, talk: bool) -> None:
    from rich.console import Console

    from netlab.clients.screen import WIDE_COLUMNS, screen

    console = Console(stderr=talk, highlight=False)
    if not console.is_terminal:  # a file has room
        console.width = WIDE_COLUMNS
    console.print(screen(comparison, wide=console.width >= WIDE_COLUMNS))


def _write_json(comparison: Comparison, file: str) -> None:
    from netlab.clients.record import record

    try:
        with click.open_file(file, "w", encoding="utf-8", atomic=file != "-") as out:
            out.write(json.dumps(record(comparison), indent=1) + "\n")
    except OSError as error:
        raise NetlabError(f"{file}: {error.strerror}") from None


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a progress bar on standard error while the block runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
