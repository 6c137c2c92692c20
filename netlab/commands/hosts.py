"""The command `netlab hosts`."""

from __future__ import annotations

import json

import click

from netlab.commands.console import ascii_only, check_writable, open_console, write
from netlab.errors import ExitCode


@click.command()
@click.option(
    "--inventory",
    "-i",
    required=True,
    metavar="FILE",
    help="A lab.yaml, an SSH configuration (~/.ssh/config) or an Ansible inventory (INI, YAML).",
)
@click.option("--json", "json_file", metavar="FILE", help="Write everything as JSON; - is standard output.")
def hosts(inventory: str, json_file: str | None) -> ExitCode:
    """Say what is understood of an inventory: its machines, and how each would be reached.

    No machine is spoken to. What the file says and netlab does not follow is on standard error, and why.

    Exit code: 0; 2 for a file that can't be followed.
    """
    from netlab.inventory import load_inventory
    from netlab.inventory.record import record
    from netlab.inventory.screen import WIDE_COLUMNS, missing_keys, screen

    check_writable(json_file)
    read = load_inventory(inventory)
    console = open_console(to_stderr=json_file == "-")
    if not console.is_terminal:  # a file has room
        console.width = WIDE_COLUMNS
    console.print(screen(read, missing_keys(read), ascii_only=ascii_only(console)))
    for note in read.notes:
        click.echo(note, err=True)
    if json_file is not None:
        write(json_file, json.dumps(record(read), indent=1) + "\n")
    return ExitCode.OK
