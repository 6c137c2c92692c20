"""The command `netlab run`."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import click

from netlab.commands.bundling import recording, write_bundle
from netlab.commands.console import (
    ascii_only,
    check_outputs,
    open_console,
    progress_bar,
    write,
)
from netlab.commands.keeping import keep_options, keeper
from netlab.commands.labs import Chosen, inventory_options, machines, tell_failures
from netlab.errors import ExitCode, LabError, NetlabError

if TYPE_CHECKING:
    from netlab.backends import Lab
    from netlab.experiments import Draft
    from netlab.experiments.machines import MachinesDraft
    from netlab.matrix import Matrix
    from netlab.measure import Progress

# The SVG's width in characters: what a README still shows at a readable size.
_PICTURE_COLUMNS = 100


@click.command()
@click.argument("experiment", default="bind-address")
@click.option(
    "--backend", default="netns", show_default=True, help="netns, compose, ssh; auto: compose or netns."
)
@click.option("--bind", "binds", multiple=True, metavar="BIND", help="Only this row. Repeatable.")
@click.option(
    "--from", "vantages", multiple=True, metavar="VANTAGE", help="Only who dials from here. Repeatable."
)
@click.option("--explain", nargs=3, metavar="BIND VANTAGE TARGET", help="Explain one cell, step by step.")
@inventory_options
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="On real machines: the port to serve on; else the inventory's.",
)
@click.option("--json", "json_file", metavar="FILE", help="Write everything as JSON; - is standard output.")
@click.option("--html", "html_file", metavar="FILE", help="Write a page that explains every cell.")
@click.option("--svg", "svg_file", metavar="FILE", help="Write the screen as a picture.")
@click.option(
    "--bundle", "bundle_file", metavar="FILE", help="Write all of it, with packets and logs, as a zip."
)
@keep_options
def run(
    experiment: str,
    backend: str,
    binds: tuple[str, ...],
    vantages: tuple[str, ...],
    explain: tuple[str, str, str] | None,
    chosen: Chosen,
    port: int | None,
    json_file: str | None,
    html_file: str | None,
    svg_file: str | None,
    bundle_file: str | None,
    keep_on_fail: bool,
    keep_for: float | None,
) -> ExitCode:
    """Run an EXPERIMENT: predict every cell of its matrix, dial, compare.

    EXPERIMENT is the name of one that comes with netlab (bind-address) or a YAML file. With an inventory it
    runs on real machines: those that serve try every bind, one after the other.

    Exit code: 0 every cell was measured and is as predicted; 1 one is not as predicted; 2 a wrong option or
    file; 3 a cell was not measured, or a machine could not be used; 4 the backend does not work here.
    """
    from netlab.experiments.plan import Selection
    from netlab.run import run as run_experiment
    from netlab.run import unwatched

    if explain and (binds or vantages):
        raise click.UsageError("--explain names one cell: it goes without --bind and --from")
    if chosen.file and backend not in ("ssh", "netns"):
        raise click.UsageError(f"an inventory's machines are reached with --backend ssh, not {backend}")
    if port and not (chosen.file or backend == "ssh"):
        raise click.UsageError("--port goes with an inventory: an experiment says its own")
    files = {"--json": json_file, "--html": html_file, "--svg": svg_file, "--bundle": bundle_file}
    talk = check_outputs(files, experiment)
    kept = keeper(keep_on_fail, keep_for)
    selection = Selection(*((name,) for name in explain)) if explain else Selection(binds, vantages)
    draft: Draft | MachinesDraft
    with progress_bar() as progress:
        recorder = recording(progress) if bundle_file is not None else None
        if chosen.file or backend == "ssh":
            backend, lab, draft = _on_machines(chosen, port, progress)
        else:
            backend, lab, draft = _in_a_lab(experiment, backend)

        def tell(lab: Lab, matrix: Matrix) -> None:
            if recorder is not None and bundle_file is not None:
                write_bundle(matrix, recorder.finish(lab), bundle_file)
            progress.hide()
            tell_failures(lab)
            _show(matrix, explain=bool(explain), talk=talk)
            for file, write_it in _WRITERS.items():
                if (name := files[file]) is not None:
                    write_it(matrix, name)
            if kept is not None and _code(lab, matrix):
                kept.keep(matrix)

        watcher = recorder.watch if recorder else unwatched
        try:
            matrix = run_experiment(draft.only(selection), backend, lab, progress, tell, watcher)
        except LabError:
            tell_failures(lab)
            raise
    return _code(lab, matrix)


def _code(lab: Lab, matrix: Matrix) -> ExitCode:
    return matrix.exit_code or (ExitCode.NOT_MEASURED if getattr(lab, "failures", None) else ExitCode.OK)


def _in_a_lab(experiment: str, backend: str) -> tuple[str, Lab, Draft]:
    """Return a lab that a backend makes for an experiment; `auto` leaves it to netlab which."""
    from netlab import backends
    from netlab.experiments import load

    if backend == backends.AUTO:
        backend, why = backends.choose()
        click.echo(f"backend {backend}: {why}", err=True)
    factory = backends.backend(backend)
    draft = load(experiment, backend)
    return backend, factory(draft.lab, draft.folder), draft


def _on_machines(chosen: Chosen, port: int | None, progress: Progress) -> tuple[str, Lab, MachinesDraft]:
    from netlab.experiments.machines import MachinesDraft

    lab = machines(chosen, progress)
    serving = lab.inventory.serving
    if not serving.hosts:
        raise NetlabError(f"{chosen.file}: no machine is left that is to serve (serve: hosts)")
    draft = MachinesDraft(serving.hosts, port or serving.port)
    lab.reserve(draft.port, serving.hosts)
    return "ssh", lab, draft


def _show(matrix: Matrix, *, explain: bool, talk: bool) -> None:
    from netlab.report.explain import explanation
    from netlab.report.screen import screen

    console = open_console(to_stderr=talk)
    whole = screen(matrix, ascii_only=ascii_only(console))
    console.print(explanation(matrix.cells[0]) if explain else whole)


def _write_json(matrix: Matrix, file: str) -> None:
    from netlab.report.record import record

    write(file, json.dumps(record(matrix), indent=1) + "\n")


def _write_html(matrix: Matrix, file: str) -> None:
    from netlab.report.html import page

    write(file, page(matrix))


def _write_svg(matrix: Matrix, file: str) -> None:
    from rich.console import Console
    from rich.padding import Padding

    from netlab.report.screen import screen

    console = Console(record=True, width=_PICTURE_COLUMNS, file=io.StringIO(), highlight=False)
    # Viewers without the SVG's font draw wider letters: a margin keeps the last ones in the picture.
    console.print(Padding(screen(matrix), (0, 2, 0, 0)))
    write(file, console.export_svg(title=f"netlab run {matrix.experiment.name}"))


_WRITERS = {"--json": _write_json, "--html": _write_html, "--svg": _write_svg}
