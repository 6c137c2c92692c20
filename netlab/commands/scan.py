"""The command `netlab scan`."""

from __future__ import annotations

import json

import click

from netlab.commands.console import ascii_only, check_writable, open_console, progress_bar, write
from netlab.commands.labs import Chosen, attach, compose_option, inventory_options, tell_failures
from netlab.errors import ExitCode
from netlab.printable import printable


@click.command()
@compose_option
@inventory_options
@click.option("--port", type=click.IntRange(1, 65535), help="Only what listens on this port.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything as JSON; - is standard output.")
@click.option("--strict", is_flag=True, help="Fail if a dial was not measured, or came out unexpected.")
def scan(
    project: str | None,
    chosen: Chosen,
    port: int | None,
    json_file: str | None,
    strict: bool,
) -> ExitCode:
    """Say who reaches what in a lab that runs already, and change nothing in it.

    Of a Compose project: finds every listening TCP socket, whatever the images, dials each from every
    container and from the host, and says what is exposed beyond this machine. Of an inventory: the same
    between the machines, and from this one. UDP sockets are named, but not asked: see netlab why.

    Exit code: 0; with --strict, 1 if a dial was not as predicted, 3 if one was not measured or a machine
    could not be used; 2 for a project that does not run, 4 without an engine.
    """
    from netlab.matrix import exit_code
    from netlab.report.exposure import exposure, scan_record
    from netlab.scan import scan as scan_lab

    check_writable(json_file)
    with progress_bar() as progress:
        lab = attach(project, chosen, progress)
        found = scan_lab(lab, progress, port)
    tell_failures(lab)
    console = open_console(to_stderr=json_file == "-")
    name = printable(str(getattr(lab, "name", chosen.file)))
    notes = tuple(getattr(lab, "notes", ()))
    console.print(exposure(found, name, notes, ascii_only=ascii_only(console)))
    if json_file is not None:
        write(json_file, json.dumps(scan_record(found, name, notes), indent=1) + "\n")
    if not strict:
        return ExitCode.OK
    return exit_code(found.cells) or (
        ExitCode.NOT_MEASURED if getattr(lab, "failures", None) else ExitCode.OK
    )
