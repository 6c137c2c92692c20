"""The command `netlab check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.commands.console import ascii_only, check_writable, open_console, progress_bar, write
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.expectations import Checked


@click.command()
@click.argument("file", default="netlab.yaml")
@click.option("--backend", default="", help="For a lab that is made: netns, unless you say otherwise.")
@click.option("--bind", "binds", multiple=True, metavar="BIND", help="Only this row. Repeatable.")
@click.option(
    "--from", "vantages", multiple=True, metavar="VANTAGE", help="Only who dials from here. Repeatable."
)
@click.option("--accept-new", is_flag=True, help="Record and believe SSH host keys not known yet.")
@click.option("--record", is_flag=True, help="Write what is now into FILE, as what is expected.")
@click.option("--baseline", metavar="RUN", help="Fail on what has changed since RUN, which --json wrote.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything as JSON; - is standard output.")
@click.option("--strict", is_flag=True, help="Fail on what is as expected, but not as predicted, too.")
def check(
    file: str,
    backend: str,
    binds: tuple[str, ...],
    vantages: tuple[str, ...],
    accept_new: bool,
    record: bool,
    baseline: str | None,
    json_file: str | None,
    strict: bool,
) -> ExitCode:
    """Check who reaches what against what FILE (netlab.yaml) says who should.

    Exit code: 0 all is as expected; 1 something is not; 2 a wrong option or file; 3 something could not be
    measured; 4 the backend does not work here.
    """
    from netlab.expectations import load
    from netlab.expectations.baseline import changes, read_baseline
    from netlab.expectations.run import Terms, run
    from netlab.experiments.plan import Selection

    if record and (binds or vantages):
        raise click.UsageError("--record writes the whole of what is expected: without --bind and --from")
    check_writable(json_file)
    before = read_baseline(Path(baseline)) if baseline is not None else None
    check_file = load(Path(file)).only(Selection(binds, vantages))
    with progress_bar() as progress:
        checked = run(check_file, Terms(backend, accept_new), progress)
    _show(checked, talk=json_file == "-")
    if json_file is not None:
        _write_json(checked, json_file)
    if record:
        return _record(file, checked)
    changed = changes(before, checked) if before is not None else ()
    for change in changed:
        click.echo(f"changed since {baseline}: {change}", err=True)
    surprised = strict and any(result.surprising for result in checked.results)
    return ExitCode.DISAGREES if changed or surprised else checked.exit_code


def _show(checked: Checked, *, talk: bool) -> None:
    from netlab.report.checked import checked_screen

    console = open_console(to_stderr=talk)
    console.print(checked_screen(checked, ascii_only=ascii_only(console)), soft_wrap=True)


def _write_json(checked: Checked, file: str) -> None:
    from netlab.report.checked import checked_record

    write(file, json.dumps(checked_record(checked), indent=1) + "\n")


def _record(file: str, checked: Checked) -> ExitCode:
    """Write what was observed into the file.

    Raises:
        NetlabError: it can't be written.
    """
    from netlab.expectations.checkfile import read
    from netlab.expectations.recording import with_recorded
    from netlab.textfile import read_text

    if checked.not_measured or checked.failures:
        click.echo(f"netlab: {file} is left as it is: not everything could be measured", err=True)
        return ExitCode.NOT_MEASURED
    if not checked.matrix.cells:
        raise NetlabError(f"{file}: there is nothing to record")
    text = with_recorded(read_text(Path(file), "check"), checked)
    read(file, text, Path(file).parent)
    write(file, text)
    click.echo(f"{file}: expects what is now", err=True)
    return ExitCode.OK
