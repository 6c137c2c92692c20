"""The command `netlab shell`: into a host of a lab that is up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from netlab.errors import NetlabError
from netlab.printable import printable

if TYPE_CHECKING:
    from netlab.backends import RunningLab


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--lab", "wanted", metavar="LAB", help="Which lab, where several are up: 'netlab ls' lists them."
)
def shell(host: str, command: tuple[str, ...], wanted: str | None) -> int:
    """Enter a HOST of a lab that is up, or run a COMMAND on it.

    Such as one that `netlab run --keep-on-fail` left up, in another terminal. Options of the COMMAND's own
    come after two dashes: netlab shell peer -- ping -c 1 router

    Exit code: the COMMAND's; 2 if there is no such host; 3 if it can't be entered.
    """
    from netlab.backends import running_labs

    lab = choose(running_labs(), host, wanted)
    sys.stdout.flush()
    return lab.enter(host, command)


def choose(labs: Sequence[RunningLab], host: str, wanted: str | None) -> RunningLab:
    """Return the lab that is meant.

    Args:
        labs: those that are up.
        host: what is to be entered.
        wanted: the lab's id, if it was named.

    Raises:
        NetlabError: none is up, several are, or the host is in none; the message lists what there is.
    """
    if not labs:
        raise NetlabError(
            "no lab of yours is up: 'netlab run --keep-on-fail' leaves one up "
            "(an inventory's machines are entered with ssh)"
        )
    up = ", ".join(f"{lab.id} (process {lab.owner}, {lab.backend})" for lab in labs)
    chosen = [lab for lab in labs if wanted in (None, lab.id)]
    if not chosen:
        raise NetlabError(f"no lab is called {wanted!r}: there is {up}")
    if len(chosen) > 1:
        raise NetlabError(f"several labs are up: name one with --lab: {up}")
    (lab,) = chosen
    if host not in lab.hosts:
        there = ", ".join(printable(name) for name in lab.hosts) or "none that can be entered yet"
        raise NetlabError(f"no host of lab {lab.id} is called {host!r}: there is {there}")
    return lab
