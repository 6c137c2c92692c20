"""The command `netlab clients`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.commands.console import check_writable, open_console, progress_bar, write
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.clients.figures import Comparison

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
    from netlab.clients.record import record
    from netlab.clients.server import installed_variants

    check_writable(json_file)
    if charts is not None:
        check_available()
    variants = [v for v in installed_variants() if not strategies or v.name in strategies]
    if unknown := set(strategies) - {variant.name for variant in variants}:
        known = ", ".join(variant.name for variant in installed_variants())
        raise NetlabError(f"--strategy {min(unknown)}: the server knows {known}")
    with progress_bar() as progress:
        lasts_s = seconds or (_QUICK_SECONDS if quick else _SECONDS)
        comparison = compare(variants, QUICK if quick else ALL, lasts_s, progress)
    _show(comparison, talk=json_file == "-")
    if json_file is not None:
        write(json_file, json.dumps(record(comparison), indent=1) + "\n")
    if charts is not None:
        for file in draw(comparison, Path(charts)):
            click.echo(f"wrote {file}", err=True)
    return ExitCode.NOT_MEASURED if any(c.result is None for c in comparison.cells) else ExitCode.OK


def _show(comparison: Comparison, *, talk: bool) -> None:
    from netlab.clients.screen import WIDE_COLUMNS, screen

    console = open_console(to_stderr=talk)
    if not console.is_terminal:  # a file has room
        console.width = WIDE_COLUMNS
    console.print(screen(comparison, wide=console.width >= WIDE_COLUMNS))
