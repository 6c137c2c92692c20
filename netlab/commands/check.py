"""The command `netlab check`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.commands.bundling import recording, write_bundle
from netlab.commands.console import ascii_only, check_outputs, open_console, progress_bar, write
from netlab.commands.keeping import keep_options, keeper
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.backends import Lab
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
@click.option("--html", "html_file", metavar="FILE", help="Write a page that explains every cell.")
@click.option("--junit", "junit_file", metavar="FILE", help="Write JUnit XML, a test case a cell.")
@click.option(
    "--bundle", "bundle_file", metavar="FILE", help="Write all of it, with packets and logs, as a zip."
)
@click.option("--strict", is_flag=True, help="Fail on what is as expected, but not as predicted, too.")
@keep_options
def check(
    file: str,
    backend: str,
    binds: tuple[str, ...],
    vantages: tuple[str, ...],
    accept_new: bool,
    record: bool,
    baseline: str | None,
    json_file: str | None,
    html_file: str | None,
    junit_file: str | None,
    bundle_file: str | None,
    strict: bool,
    keep_on_fail: bool,
    keep_for: float | None,
) -> ExitCode:
    """Check who reaches what against what FILE (netlab.yaml) says who should.

    Exit code: 0 all is as expected; 1 something is not; 2 a wrong option or file; 3 something could not be
    measured; 4 the backend does not work here.
    """
    from netlab.expectations import load
    from netlab.expectations.baseline import changes, read_baseline
    from netlab.expectations.run import Terms, run
    from netlab.experiments.plan import Selection
    from netlab.run import unwatched

    if record and (binds or vantages):
        raise click.UsageError("--record writes the whole of what is expected: without --bind and --from")
    files = {"--json": json_file, "--html": html_file, "--junit": junit_file, "--bundle": bundle_file}
    talk = check_outputs(files, file)
    kept = keeper(keep_on_fail, keep_for)
    before = read_baseline(Path(baseline)) if baseline is not None else None
    asked = Selection(binds, vantages)
    check_file = load(Path(file)).only(asked)
    with progress_bar() as progress:
        recorder = recording(progress) if bundle_file is not None else None

        def judged(checked: Checked) -> Checked:
            since = changes(before, checked, asked) if before is not None else ()
            return replace(checked, strict=strict, changes=tuple(map(str, since)))

        def tell(lab: Lab, came: Checked) -> None:
            checked = judged(came)
            if recorder is not None and bundle_file is not None:
                write_bundle(checked, recorder.finish(lab), bundle_file)
            progress.hide()
            _show(checked, talk=talk)
            for option, text in _WRITERS.items():
                if (name := files[option]) is not None:
                    write(name, text(checked))
            if kept is not None and checked.exit_code:
                kept.keep(checked.matrix)

        terms = Terms(backend, accept_new)
        came = run(check_file, terms, progress, tell, recorder.watch if recorder else unwatched)
    if record:
        return _record(file, came)
    checked = judged(came)
    for change in checked.changes:
        click.echo(f"changed since {baseline}: {change}", err=True)
    return checked.exit_code


def _show(checked: Checked, *, talk: bool) -> None:
    from netlab.report.checked import checked_screen

    console = open_console(to_stderr=talk)
    console.print(checked_screen(checked, ascii_only=ascii_only(console)), soft_wrap=True)


def _json(checked: Checked) -> str:
    from netlab.report.checked import checked_record

    return json.dumps(checked_record(checked), indent=1) + "\n"


def _html(checked: Checked) -> str:
    from netlab.report.checked import checked_page

    return checked_page(checked)


def _junit(checked: Checked) -> str:
    from netlab.report.junit import junit

    return junit(checked)


_WRITERS = {"--json": _json, "--html": _html, "--junit": _junit}


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
