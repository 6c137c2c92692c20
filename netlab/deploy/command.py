"""The commands `deploy`, `status`, `logs`, `rollback` and `undeploy`."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.commands.console import progress_bar
from netlab.commands.labs import Chosen, inventory_options
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.backends.ssh import SshLab
    from netlab.deploy.machine import DeployedMachine
    from netlab.deploy.release import Release
    from netlab.deploy.result import Result
    from netlab.deploy.rollout import Rollout, Terms
    from netlab.inventory.model import Inventory
    from netlab.measure import Progress

_Command = Callable[..., ExitCode]
_FOLLOW_S = 0.5
_CONTAINER = "container"
# A deployer whose controller is gone takes back what was not confirmed.
_UNFINISHED = "a release that was not confirmed goes by itself: see 'netlab status'"
_METHODS = ("auto", "systemd", "supervised", _CONTAINER)


def _check_option(command: _Command) -> _Command:
    return click.option("--check", is_flag=True, help="Say what would change, and change nothing.")(command)


def _rolling_options(command: _Command) -> _Command:
    serial = click.option(
        "--serial", default="100%", metavar="N|N%", show_default=True, help="So many machines at a time."
    )
    max_fail = click.option(
        "--max-fail",
        default="0",
        metavar="N|N%",
        show_default=True,
        help="Go on to the next machines though so many have failed.",
    )
    return serial(max_fail(command))


@click.command()
@inventory_options
@_rolling_options
@_check_option
@click.option("--data", metavar="DIR", help="Make what the machines serve equal to these files.")
@click.option("--delete", is_flag=True, help="With --data: remove what is not among them.")
@click.option(
    "--method", type=click.Choice(_METHODS), default="auto", show_default=True, help="What keeps it running."
)
@click.option("--zipapp", "program", metavar="FILE", help="Another hftp.pyz than this version's.")
@click.option("--image", metavar="NAME|FILE", help="With --method container: another image than hftp-server.")
def deploy(
    chosen: Chosen,
    serial: str,
    max_fail: str,
    check: bool,
    data: str | None,
    delete: bool,
    method: str,
    program: str | None,
    image: str | None,
) -> ExitCode:
    """Put the server on machines, and take it back where it is not healthy or not reached as wanted.

    The inventory says where it listens and who must and must not get through (serve:). A machine that fails
    goes back to the release before, and says why; the others go on. A second run changes nothing.

    Exit code: 0 every machine serves as wanted; 1 one went back, failed or was not tried; 2 a wrong option or
    file; 3 one could not be reached, or not be tried from everywhere; 130 interrupted.
    """
    _need_ssh()
    from netlab.deploy.data import read_data
    from netlab.deploy.rollout import Terms

    if delete and data is None:
        raise click.UsageError("--delete goes with --data")
    if image and method != _CONTAINER:
        raise click.UsageError("--image goes with --method container")
    if program and method == _CONTAINER:
        raise click.UsageError("--zipapp is a program: it goes with the other methods, and --image with this")
    wanted = chosen.inventory()
    targets = _targets(wanted, chosen)
    files = read_data(Path(data)) if data is not None else None
    if files is not None and files.left_out:
        click.echo(f"netlab: not served by HFTP, so left out: {', '.join(files.left_out)}", err=True)
    terms = Terms(
        who=_who(),
        batch=max(1, _share(serial, len(targets), "--serial")),
        max_fail=_share(max_fail, len(targets), "--max-fail"),
        keep=wanted.serving.keep,
        method=method,
        check=check,
        data=files,
        delete=delete,
    )
    with _releases(wanted, targets, method, program, image) as releases:
        return _roll_out(
            wanted,
            targets,
            chosen,
            terms,
            lambda rollout, there, tell: rollout.deploy({n: releases[n] for n in there}, tell),
        )


@click.command()
@inventory_options
@_rolling_options
@click.option(
    "--to", default="", metavar="RELEASE", help="Its ID, or the beginning of it; else the one before."
)
def rollback(chosen: Chosen, serial: str, max_fail: str, to: str) -> ExitCode:
    """Go back to the release before, on every machine, with the same checks as for a new one.

    Exit code: as of `netlab deploy`.
    """
    _need_ssh()
    from netlab.deploy.rollout import Terms

    wanted = chosen.inventory()
    targets = _targets(wanted, chosen)
    terms = Terms(
        who=_who(),
        batch=max(1, _share(serial, len(targets), "--serial")),
        max_fail=_share(max_fail, len(targets), "--max-fail"),
        keep=wanted.serving.keep,
    )
    return _roll_out(
        wanted, targets, chosen, terms, lambda rollout, there, tell: rollout.rollback(there, to, tell)
    )


@click.command()
@inventory_options
@_check_option
def undeploy(chosen: Chosen, check: bool) -> ExitCode:
    """Stop the server and remove everything that `netlab deploy` has put on the machines, but for the data.

    Exit code: as of `netlab deploy`.
    """
    _need_ssh()
    from netlab.deploy.rollout import Terms

    wanted = chosen.inventory()
    targets = _targets(wanted, chosen)
    terms = Terms(who=_who(), batch=len(targets), max_fail=0, check=check)
    alone = replace(wanted, serving=replace(wanted.serving, reachable_from=(), not_from=()))
    return _roll_out(
        alone, targets, chosen, terms, lambda rollout, there, tell: rollout.undeploy(there, tell)
    )


@click.command()
@inventory_options
def status(chosen: Chosen) -> ExitCode:
    """Say of each machine which release it runs, since when, whether it answers there, and where.

    Exit code: 0 all of them serve; 1 one does not; 3 one could not be reached.
    """
    _need_ssh()
    from netlab.deploy.status import survey, told

    wanted = chosen.inventory()
    targets = _targets(wanted, chosen)
    with progress_bar() as progress:
        lab = _lab(wanted, targets, chosen, progress)
        with _at_least_one(lab) as there:
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
    _need_ssh()
    from netlab.deploy.machine import DeployedMachine as There
    from netlab.yamlfile import did_you_mean

    wanted = chosen.inventory()
    targets = _targets(wanted, chosen)
    if host not in targets:
        close = did_you_mean(host, targets)
        raise NetlabError(f"{wanted.source}: no machine that is to serve is called {host}{close}")
    with progress_bar() as progress, _lab(wanted, (host,), chosen, progress) as lab:
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


@contextmanager
def _releases(
    inventory: Inventory, targets: Sequence[str], method: str, program: str | None, image: str | None
) -> Iterator[Mapping[str, Release]]:
    """Return what each machine is to run; an image is at hand as long as it is needed."""
    from netlab.backends import load_attribute
    from netlab.deploy.image import ImageRelease
    from netlab.deploy.release import release_for

    if method == _CONTAINER:
        saved = load_attribute("compose", "netlab.backends.compose.images:saved_image")
        with saved(image) as there:
            release = ImageRelease(inventory.serving, there.version, there)
            yield dict.fromkeys(targets, release)
        return
    try:
        file = Path(program) if program else None
        releases = {
            name: release_for(inventory.serving, inventory.machine(name).python, file) for name in targets
        }
    except OSError as error:
        raise NetlabError(f"--zipapp {program}: {error.strerror}") from None
    yield releases


# --- What they share -------------------------------------------------------------------------------------


def _targets(inventory: Inventory, chosen: Chosen) -> tuple[str, ...]:
    """Return the machines that are meant: those that are to serve, or of these the ones that are named."""
    from netlab.inventory.limit import meant, serving_machines

    named = meant(inventory, chosen.limits)
    targets = tuple(machine.name for machine in serving_machines(inventory) if machine in named)
    if not targets:
        raise NetlabError(f"{inventory.source}: no machine is left that is to serve (serve: hosts)")
    return targets


def _need_ssh() -> None:
    """Import what machines are reached by, before anything that rests on it.

    Raises:
        BackendUnavailableError: a library is missing.
    """
    from netlab.backends import load_attribute

    load_attribute("ssh", "netlab.backends.ssh:SshLab")


def _lab(inventory: Inventory, hosts: Sequence[str], chosen: Chosen, progress: Progress) -> SshLab:
    """Return the machines that are needed, as a lab with deployers on them."""
    from netlab.deploy.machine import deployer

    needed = tuple(machine for machine in inventory.machines if machine.name in hosts)
    return chosen.lab(replace(inventory, machines=needed), progress, deployer())


def _roll_out(
    inventory: Inventory,
    targets: Sequence[str],
    chosen: Chosen,
    terms: Terms,
    work: Callable[[Rollout, Sequence[str], Callable[[Result], None]], list[Result]],
) -> ExitCode:
    """Do something with machines, a line each, and a line on all of them."""
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
            lab = _lab(inventory, (*targets, *vantages.all), chosen, progress)
            with _at_least_one(lab) as usable:
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
def _at_least_one(lab: SshLab) -> Iterator[Sequence[str]]:
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


def _share(text: str, whole: int, option: str) -> int:
    """Read a number of machines, or a share of them, rounded down."""
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdecimal()):
        raise click.UsageError(f"{option}: want a number or a percentage, not {text!r}")
    if text.endswith("%"):
        return whole * min(int(number), 100) // 100
    return int(number)


def _who() -> str:
    with suppress(KeyError, OSError):
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return f"user {os.getuid()}@{socket.gethostname()}"
