"""What the commands on machines share: which ones are meant, the lab that they are, what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from netlab.commands.console import progress_bar
from netlab.commands.labs import Chosen
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.backends.ssh import SshLab
    from netlab.deploy.result import Result
    from netlab.deploy.rollout import Rollout
    from netlab.deploy.work import Terms
    from netlab.inventory.model import Inventory
    from netlab.measure import Progress

# A deployer whose controller is gone takes back what was not confirmed.
_UNFINISHED = "a release that was not confirmed goes by itself: see 'netlab status'"


def targets_of(inventory: Inventory, chosen: Chosen) -> tuple[str, ...]:
    """Return the machines that are meant: those that are to serve, or of these the ones that are named.

    Raises:
        NetlabError: none is left.
    """
    from netlab.inventory.limit import meant, serving_machines

    named = meant(inventory, chosen.limits)
    targets = tuple(machine.name for machine in serving_machines(inventory) if machine in named)
    if not targets:
        raise NetlabError(f"{inventory.source}: no machine is left that is to serve (serve: hosts)")
    return targets


def need_ssh() -> None:
    """Import what machines are reached by, before anything that rests on it.

    Raises:
        BackendUnavailableError: a library is missing.
    """
    from netlab.backends import load_attribute

    load_attribute("ssh", "netlab.backends.ssh:SshLab")


def lab_on(inventory: Inventory, hosts: Sequence[str], chosen: Chosen, progress: Progress) -> SshLab:
    """Return the machines that are needed, as a lab with deployers on them."""
    from netlab.deploy.machine import deployer

    needed = tuple(machine for machine in inventory.machines if machine.name in hosts)
    return chosen.lab(replace(inventory, machines=needed), progress, deployer())


def roll_out(
    inventory: Inventory,
    targets: Sequence[str],
    chosen: Chosen,
    terms: Terms,
    work: Callable[[Rollout, Sequence[str], Callable[[Result], None]], list[Result]],
) -> ExitCode:
    """Do something with machines: a line each on standard output, and a line on all of them.

    Args:
        inventory: where they are, and who is to reach them.
        targets: those that are meant.
        chosen: how they are reached.
        terms: how it is done.
        work: does it, with those that are there; it tells each one's result.

    Raises:
        NetlabError: the inventory names something that is not there.
    """
    from netlab.deploy.gate import Vantages, vantages_of
    from netlab.deploy.result import Result, State, exit_code
    from netlab.deploy.rollout import Rollout
    from netlab.deploy.screen import line_of, summary_of

    started = time.monotonic()
    vantages = Vantages((), ()) if terms.check else vantages_of(inventory)
    width = max(len(name) for name in targets)
    results: dict[str, Result] = {}

    def tell(result: Result) -> None:
        results[result.host] = result

    try:
        with progress_bar() as progress:
            lab = lab_on(inventory, (*targets, *vantages.all), chosen, progress)
            with at_least_one(lab) as usable:
                for name in targets:
                    if name in lab.failures:
                        tell(Result(name, State.NOT_REACHED, detail=str(lab.failures[name])))
                there = [name for name in targets if name in usable]
                if there:
                    with Rollout(lab, terms, vantages, progress) as rollout:
                        work(rollout, there, tell)
    except KeyboardInterrupt:
        for name in targets:
            results.setdefault(name, Result(name, State.INTERRUPTED, detail=_UNFINISHED))
    for name in targets:
        click.echo(line_of(results[name], width))
    click.echo(summary_of(results.values(), time.monotonic() - started), err=True)
    return exit_code(results.values())


@contextmanager
def at_least_one(lab: SshLab) -> Iterator[Sequence[str]]:
    """Bring the lab up; where no machine at all can be used, that is each one's result, and no error."""
    from netlab.errors import LabError

    try:
        lab.__enter__()
    except LabError:
        if len(lab.failures) < len(lab.inventory.machines):
            raise
        yield ()
        return
    try:
        yield lab.hosts
    finally:
        lab.__exit__(None, None, None)
