"""The command `netlab`. Results go to standard output, everything else to standard error.

What a command needs is imported when it runs, so that `netlab --help` answers at once.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab import __version__
from netlab.clients.command import clients
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from rich.console import Console

    from netlab.matrix import Matrix
    from netlab.measure import Progress

# What write(2) says of a place that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# The SVG's width in characters: what a README still shows at a readable size.
_PICTURE_COLUMNS = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    # To be told to end is to end in order, with the lab taken down.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(commands.main(arguments, prog_name="netlab", standalone_mode=False) or ExitCode.OK)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.ClickException as error:
        return _complain(f"{error.format_message()} (see 'netlab --help')", ExitCode.USAGE)
    except NetlabError as error:
        return _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted; the lab is gone", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has seen enough: `netlab run | head`.
        _discard_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _discard_output()
        return _complain(f"the output can't be written: {error.strerror}", ExitCode.USAGE)


def _discard_output() -> None:
    """Let what is still buffered for standard output go nowhere: its flush at exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, code: ExitCode) -> int:
    click.echo(f"netlab: {message}", err=True)
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="netlab")
def commands() -> None:
    """Say who can reach a server, and why, and prove it on a real kernel."""


@commands.command()
@click.argument("experiment", default="bind-address")
@click.option("--backend", "backend_name", default="netns", show_default=True, help="netns, compose or auto.")
@click.option("--bind", "binds", multiple=True, metavar="BIND", help="Only this row. Repeatable.")
@click.option(
    "--from", "vantages", multiple=True, metavar="VANTAGE", help="Only who dials from here. Repeatable."
)
@click.option("--explain", nargs=3, metavar="BIND VANTAGE TARGET", help="Explain one cell, step by step.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything as JSON; - is standard output.")
@click.option("--svg", "svg_file", metavar="FILE", help="Write the screen as a picture.")
def run(
    experiment: str,
    backend_name: str,
    binds: tuple[str, ...],
    vantages: tuple[str, ...],
    explain: tuple[str, str, str] | None,
    json_file: str | None,
    svg_file: str | None,
) -> ExitCode:
    """Run an EXPERIMENT: predict every cell of its matrix, dial, compare.

    EXPERIMENT is the name of one that comes with netlab (bind-address) or a YAML file.

    Exit code: 0 every cell was measured and is as predicted; 1 one is not as predicted; 2 a wrong option or
    file; 3 a cell was not measured; 4 the backend does not work here.
    """
    from netlab.backends import AUTO, backend, choose
    from netlab.experiments import load
    from netlab.experiments.plan import Selection
    from netlab.run import run as run_experiment

    if explain and (binds or vantages):
        raise click.UsageError("--explain names one cell: it goes without --bind and --from")
    for file in (json_file, svg_file):
        _check_writable(file)
    if backend_name == AUTO:
        backend_name, why = choose()
        click.echo(f"backend {backend_name}: {why}", err=True)
    factory = backend(backend_name)
    selection = Selection(*((name,) for name in explain)) if explain else Selection(binds, vantages)
    draft = load(experiment, backend_name).only(selection)
    with _progress() as progress:
        matrix = run_experiment(draft, backend_name, factory(draft.lab), progress)
    _show(matrix, explain=bool(explain), talk=json_file == "-")
    if json_file is not None:
        _write_json(matrix, json_file)
    if svg_file is not None:
        _write_svg(matrix, svg_file)
    return matrix.exit_code


def _check_writable(file: str | None) -> None:
    """Refuse a file that can't be written before the run, not after it."""
    if file is None or file == "-":
        return
    if not file:
        raise NetlabError("--json and --svg want the name of a file")
    folder = Path(file).parent
    if not folder.is_dir():
        raise NetlabError(f"{file}: there is no directory {folder}")
    if Path(file).is_dir():
        raise NetlabError(f"{file}: is a directory; name a file in it")
    if not os.access(folder, os.W_OK):
        raise NetlabError(f"{file}: the directory {folder} can't be written to")


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a progress bar on standard error while the block runs, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda phase, done, total: bar.update(task, description=phase, completed=done, total=total)


def _show(matrix: Matrix, *, explain: bool, talk: bool) -> None:
    from netlab.report.explain import explanation
    from netlab.report.screen import screen

    console = _console(to_stderr=talk)
    whole = screen(matrix, ascii_only=_ascii_only(console))
    console.print(explanation(matrix.cells[0]) if explain else whole)


def _console(*, to_stderr: bool) -> Console:
    from rich.console import Console

    class _OutputConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # for `main`; rich would end the program, with an exit code of its own

    return _OutputConsole(stderr=to_stderr, highlight=False)


def _ascii_only(console: Console) -> bool:
    return not console.encoding.lower().startswith("utf")


def _write_json(matrix: Matrix, file: str) -> None:
    from netlab.report.record import record

    _write(file, json.dumps(record(matrix), indent=1) + "\n")


def _write_svg(matrix: Matrix, file: str) -> None:
    import io

    from rich.console import Console
    from rich.padding import Padding

    from netlab.report.screen import screen

    console = Console(record=True, width=_PICTURE_COLUMNS, file=io.StringIO(), highlight=False)
    # Viewers without the SVG's font draw wider letters: a margin keeps the last ones in the picture.
    console.print(Padding(screen(matrix), (0, 2, 0, 0)))
    _write(file, console.export_svg(title=f"netlab run {matrix.experiment.name}"))


def _write(file: str, text: str) -> None:
    # A file is there whole or not at all; what is no file (/dev/stdout, a pipe) is not to be replaced by one.
    atomic = file != "-" and (Path(file).is_file() or not Path(file).exists())
    try:
        with click.open_file(file, "w", encoding="utf-8", atomic=atomic) as out:
            out.write(text)
    except BrokenPipeError:
        raise BrokenPipeError from None  # without its errno, by which click would end the program itself
    except OSError as error:
        raise NetlabError(f"{file}: {error.strerror}") from None


@commands.command()
@click.option(
    "--compose", "project", required=True, metavar="FILE|PROJECT", help="A running Compose project."
)
@click.option("--json", "json_file", metavar="FILE", help="Write everything as JSON; - is standard output.")
@click.option("--strict", is_flag=True, help="Fail if a dial was not measured, or came out unexpected.")
def scan(project: str, json_file: str | None, strict: bool) -> ExitCode:
    """Say who reaches what in a lab that runs already, and change nothing in it.

    Finds every listening socket of the project, whatever its images, dials each from every container and from
    the host, and says what is exposed beyond this machine.

    Exit code: 0; with --strict, 1 if a dial was not as predicted, 3 if one was not measured. 2 for a project
    that does not run, 4 without an engine.
    """
    from netlab.backends import load_attribute
    from netlab.matrix import exit_code
    from netlab.report.exposure import exposure, scan_record
    from netlab.scan import scan as scan_lab

    _check_writable(json_file)
    lab = load_attribute("compose", "netlab.backends.compose.attached:AttachedProject")(project)
    with lab, _progress() as progress:
        found = scan_lab(lab, progress)
    console = _console(to_stderr=json_file == "-")
    console.print(exposure(found, lab.name, ascii_only=_ascii_only(console)))
    if json_file is not None:
        _write(json_file, json.dumps(scan_record(found, lab.name), indent=1) + "\n")
    return exit_code(found.cells) if strict else ExitCode.OK


@commands.command("ls")
def list_runs() -> ExitCode:
    """List what runs of netlab have on the container engine, also those that were killed."""
    from netlab.backends import load_attribute

    engine = load_attribute("compose", "netlab.backends.compose.engine:find_engine")()
    leftovers = load_attribute("compose", "netlab.backends.compose.leftovers:find_leftovers")(engine)
    for left in leftovers:
        state = f"running, process {left.process}" if left.alive else "left behind"
        click.echo(f"{left.run}: {state}: {len(left.containers)} containers, {len(left.networks)} networks")
    if not leftovers:
        click.echo("no run of netlab has anything on the engine", err=True)
    return ExitCode.OK


@commands.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
def down(runs: tuple[str, ...]) -> ExitCode:
    """Remove what killed runs left on the container engine; or the RUNs that are named, running or not."""
    from netlab.backends import load_attribute

    engine = load_attribute("compose", "netlab.backends.compose.engine:find_engine")()
    remove = load_attribute("compose", "netlab.backends.compose.leftovers:remove")
    leftovers = load_attribute("compose", "netlab.backends.compose.leftovers:find_leftovers")(engine)
    unknown = set(runs) - {left.run for left in leftovers}
    if unknown:
        raise NetlabError(f"there is no run {', '.join(sorted(unknown))}: 'netlab ls' lists them")
    for left in leftovers:
        if left.run in runs or not (runs or left.alive):
            remove(engine, left)
            click.echo(f"{left.run}: removed")
    return ExitCode.OK


@commands.command()
def doctor() -> ExitCode:
    """Say which backends work on this machine, and for each that does not, the one thing to do."""
    from netlab.doctor import examine

    diagnoses = examine()
    for diagnosis in diagnoses:
        state = "works" if diagnosis.works else "does not work"
        click.echo(f"{diagnosis.backend}: {state}: {diagnosis.detail}")
        if not diagnosis.works:
            click.echo(f"  {diagnosis.remedy}")
    return ExitCode.OK if any(d.works for d in diagnoses) else ExitCode.UNAVAILABLE


commands.add_command(clients)
