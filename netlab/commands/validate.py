"""The command `netlab validate`."""

from __future__ import annotations

from pathlib import Path

import click

from netlab.errors import ExitCode, NetlabError


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
def validate(files: tuple[str, ...]) -> ExitCode:
    """Say whether `netlab check` can follow each FILE (netlab.yaml), and run nothing.

    In a lab that is made, every name in it is looked up; those of a Compose project or of machines only the
    check itself can.

    Exit code: 0; 2 for a file that can't be followed.
    """
    from netlab.expectations import load

    wrong = 0
    for file in files or ("netlab.yaml",):
        try:
            load(Path(file))
        except NetlabError as error:
            click.echo(f"netlab: {error}", err=True)
            wrong += 1
    return ExitCode.USAGE if wrong else ExitCode.OK
