"""The commands `status` and `logs`: what is deployed, and what it has written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from netlab.commands.console import progress_bar
from netlab.commands.labs import Chosen, inventory_options
from netlab.deploy.rolling import at_least_one, lab_on, need_ssh, targets_of
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.deploy.machine import DeployedMachine

_FOLLOW_S = 0.5


@click.command()
@inventory_options
def status(chosen: Chosen) -> ExitCode:
    """Say of each machine which release it runs, since when, whether it answers there, and where.

    Exit code: 0 all of them serve; 1 one does not; 3 one could not be reached.
    """
    need_ssh()
    from netlab.deploy.status import survey, told

    wanted = chosen.inventory()
    targets = targets_of(wanted, chosen)
    with progress_bar() as progress:
        lab = lab_on(wanted, targets, chosen, progress)
        with at_least_one(lab) as there:
            answers = survey(lab, [name for name in targets if name in there], progress)
    lines, code = told(
        {name: lab.failures[name] if name in lab.failures else answers[name] for name in targets}
    )
    for line in lines:
        click.echo(line)
    return code


@click.command()
@click.argument("host")
@inventory_options
@click.option("--follow", "-f", is_flag=True, help="Go on as more is written, until Ctrl-C.")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many of the last lines.",
)
def logs(host: str, chosen: Chosen, follow: bool, lines: int) -> ExitCode:
    """Show what the server on HOST has written: requests, errors, restarts.

    Exit code: 0; 2 a wrong option or file; 3 the machine could not be reached, or has nothing to show.
    """
    need_ssh()
    from netlab.deploy.machine import DeployedMachine as There
    from netlab.yamlfile import did_you_mean

    wanted = chosen.inventory()
    targets = targets_of(wanted, chosen)
    if host not in targets:
        close = did_you_mean(host, targets)
        raise NetlabError(f"{wanted.source}: no machine that is to serve is called {host}{close}")
    with progress_bar() as progress, lab_on(wanted, (host,), chosen, progress) as lab:
        pieces = _pieces(There(lab, host), lines, follow)
        progress.hide()
        with suppress(KeyboardInterrupt):
            for piece in pieces:
                click.echo(piece, nl=False)
    return ExitCode.OK


def _pieces(machine: DeployedMachine, lines: int, follow: bool) -> Iterator[str]:
    from netlab.deploy.answers import Piece

    cursor = ""
    while True:
        piece = machine.ask(Piece, "log", {"lines": lines, "cursor": cursor})
        cursor = piece.cursor
        if piece.text:
            yield piece.text
        elif follow:
            time.sleep(_FOLLOW_S)
        if not follow:
            return
