"""A lab that is kept up for a while after a run that failed, so that somebody can look around in it."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from netlab.errors import ExitCode, NetlabError
from netlab.printable import printable

if TYPE_CHECKING:
    from netlab.backends import RunningLab
    from netlab.matrix import Matrix

# Long enough to look around; short enough that a forgotten lab is gone by lunch.
_MINUTES = 60.0
_LONGEST_MINUTES = 24 * 60.0

_Command = Callable[..., ExitCode]


def keep_options(command: _Command) -> _Command:
    """Add the options that keep a lab up, as the parameters `keep_on_fail` and `keep_for`."""
    said = f"How long --keep-on-fail keeps it at most; {_MINUTES:.0f}, unless nobody is at the terminal."
    length = click.FloatRange(min=0, min_open=True, max=_LONGEST_MINUTES)
    timed = click.option("--keep-for", type=length, metavar="MINUTES", help=said)(command)
    kept = "If the exit code is not 0, leave the lab up, and say how to enter a host."
    return click.option("--keep-on-fail", is_flag=True, help=kept)(timed)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps a lab up.

    Attributes:
        seconds: how long at most.
        attended: whether somebody at the terminal can end it.
    """

    seconds: float
    attended: bool

    def keep(self, matrix: Matrix) -> None:
        """Say how to enter the lab's hosts, and wait until it is ended, is gone, or time is up.

        For a run's `before_down`, in the process that has the lab up. An interrupt (Ctrl-C, SIGTERM) ends it,
        and is no error.
        """
        from netlab.backends import running_labs

        lab = next((lab for lab in running_labs(matrix.backend) if lab.owner == os.getpid()), None)
        with suppress(KeyboardInterrupt):  # who has read that it can be ended may do so at once
            for line in _instructions(matrix, lab, self):
                click.echo(line, err=True)
            self._wait(int(lab.id) if lab is not None and lab.backend == "netns" else None)
        click.echo("the lab is taken down", err=True)

    def _wait(self, init: int | None) -> None:
        poll = select.poll()
        if self.attended:
            poll.register(sys.stdin.fileno(), select.POLLIN)
        watched = os.pidfd_open(init) if init is not None and hasattr(os, "pidfd_open") else None
        try:
            if watched is not None:
                poll.register(watched, select.POLLIN)
            ready = [descriptor for descriptor, _ in poll.poll(self.seconds * 1000)]
        finally:
            if watched is not None:
                os.close(watched)
        if self.attended and sys.stdin.fileno() in ready:
            os.read(sys.stdin.fileno(), 4096)  # the line is not for the shell that comes after


def keeper(keep_on_fail: bool, keep_for: float | None) -> Keeper | None:
    """Return what keeps the lab up as the options say; None where it isn't wanted.

    Raises:
        UsageError: the one option goes without the other.
        NetlabError: nobody could end it, and it was not said how long it may stay.
    """
    if not keep_on_fail:
        if keep_for is not None:
            raise click.UsageError("--keep-for goes with --keep-on-fail")
        return None
    attended = _is_attended()
    if not attended and keep_for is None:
        why = "CI is set" if os.environ.get("CI") else "standard input is no terminal"
        raise NetlabError(f"--keep-on-fail: nobody is here to end it ({why}): say --keep-for MINUTES, too")
    return Keeper((keep_for or _MINUTES) * 60, attended)


def _is_attended() -> bool:
    """Whether somebody can press a key for this process: it has a terminal's foreground, and not CI's."""
    if os.environ.get("CI"):
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _instructions(matrix: Matrix, lab: RunningLab | None, keeper: Keeper) -> Iterable[str]:
    """Yield what to do with a lab that stays up: what runs in it, how a host is entered, how it is ended."""
    rounds = list(matrix.experiment.rounds())
    last = rounds[-1] if rounds else ()
    services = ", ".join(f"{bind.name} on {bind.host}" for bind in last)
    until = time.strftime("%H:%M", time.localtime(time.time() + keeper.seconds))
    name = f"lab {lab.id}, " if lab is not None else ""
    yield f"the lab stays up ({name}{matrix.backend}), and its services run: {printable(services)}"
    if lab is not None:
        first = next((bind.host for bind in last if bind.host in lab.hosts), lab.hosts[0])
        yield f"  to enter a host, in another terminal: netlab shell {printable(first)} --lab {lab.id}"
        yield f"  its hosts: {', '.join(map(printable, lab.hosts))}"
    else:
        listed = ", ".join(printable(host.name) for host in matrix.experiment.topology.hosts)
        yield f"  its hosts are there without netlab, too: enter them as always (ssh, docker exec): {listed}"
    ends = f"Enter or Ctrl-C here ends it; at {until} it ends by itself"
    yield f"  {ends}" if keeper.attended else f"  'kill {os.getpid()}' ends it; at {until} it ends by itself"
