"""The commands `deploy`, `rollback` and `undeploy`: they change machines."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.commands.labs import Chosen, inventory_options
from netlab.deploy.rolling import need_ssh, roll_out, targets_of
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.deploy.release import Release
    from netlab.inventory.model import Inventory

_Command = Callable[..., ExitCode]
_CONTAINER = "container"
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
    need_ssh()
    from netlab.deploy.data import read_data
    from netlab.deploy.work import Terms

    if delete and data is None:
        raise click.UsageError("--delete goes with --data")
    if image and method != _CONTAINER:
        raise click.UsageError("--image goes with --method container")
    if program and method == _CONTAINER:
        raise click.UsageError("--zipapp is a program: it goes with the other methods, and --image with this")
    wanted = chosen.inventory()
    targets = targets_of(wanted, chosen)
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
        return roll_out(
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
    need_ssh()
    from netlab.deploy.work import Terms

    wanted = chosen.inventory()
    targets = targets_of(wanted, chosen)
    terms = Terms(
        who=_who(),
        batch=max(1, _share(serial, len(targets), "--serial")),
        max_fail=_share(max_fail, len(targets), "--max-fail"),
        keep=wanted.serving.keep,
    )
    return roll_out(
        wanted, targets, chosen, terms, lambda rollout, there, tell: rollout.rollback(there, to, tell)
    )


@click.command()
@inventory_options
@_check_option
def undeploy(chosen: Chosen, check: bool) -> ExitCode:
    """Stop the server and remove everything that `netlab deploy` has put on the machines, but for the data.

    Exit code: as of `netlab deploy`.
    """
    need_ssh()
    from netlab.deploy.work import Terms

    wanted = chosen.inventory()
    targets = targets_of(wanted, chosen)
    terms = Terms(who=_who(), batch=len(targets), max_fail=0, check=check)
    alone = replace(wanted, serving=replace(wanted.serving, reachable_from=(), not_from=()))
    return roll_out(alone, targets, chosen, terms, lambda rollout, there, tell: rollout.undeploy(there, tell))


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
