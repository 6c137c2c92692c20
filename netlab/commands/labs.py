"""Labs that are there already, as options name them: a Compose project, an inventory's machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING

import click

from netlab.backends import PARALLEL
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.backends import Lab
    from netlab.backends.ssh import SshLab
    from netlab.inventory.model import Inventory
    from netlab.measure import Progress

_Command = Callable[..., ExitCode]


def compose_option(command: _Command) -> _Command:
    """Add the option that names a running Compose project, as the parameter `project`."""
    said = "A running Compose project: its name, or its Compose file."
    return click.option("--compose", "project", metavar="FILE|PROJECT", help=said)(command)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which real machines, and on what terms: what the options of `inventory_options` say.

    Attributes:
        file: the inventory; None: none is named.
        accept_new: whether host keys not known yet are recorded and believed.
        limits: the patterns of `--limit`.
        parallel: how many of them are spoken to at once.
    """

    file: str | None
    accept_new: bool
    limits: tuple[str, ...]
    parallel: int

    def inventory(self) -> Inventory:
        """Return the whole inventory.

        Raises:
            NetlabError: none is named, or it can't be followed.
        """
        from netlab.backends import load_attribute

        if not self.file:
            raise NetlabError("which machines? name an inventory with --inventory (-i): docs/inventories.md")
        inventory: Inventory = load_attribute("ssh", "netlab.inventory:load_inventory")(self.file)
        return inventory

    def lab(self, inventory: Inventory, progress: Progress, program: bytes | None = None) -> SshLab:
        """Return the machines of an inventory as a lab.

        Args:
            inventory: the machines.
            progress: told how many are connected to.
            program: the source of the agents, if not the usual one.
        """
        from netlab.backends import load_attribute

        terms = load_attribute("ssh", "netlab.backends.ssh:Terms")(self.accept_new, self.parallel)
        ssh_lab = load_attribute("ssh", "netlab.backends.ssh:SshLab")
        lab: SshLab = ssh_lab(inventory, terms, partial(progress, "connecting"), program)
        return lab


def inventory_options(command: _Command) -> _Command:
    """Add the options that say which machines, and on what terms, as the parameter `chosen`."""

    @wraps(command)
    def with_chosen(
        *arguments: object,
        inventory: str | None,
        accept_new: bool,
        limits: tuple[str, ...],
        parallel: int,
        **others: object,
    ) -> ExitCode:
        return command(*arguments, chosen=Chosen(inventory, accept_new, limits, parallel), **others)

    limit = "Only these machines and groups: lab*,!lab07. Repeatable."
    new = "Record and believe host keys not known yet."
    file = "Real machines: a lab.yaml, an SSH configuration or an Ansible inventory."
    at_once = f"With how many of them at once; {PARALLEL}."
    for option in (
        click.option("--parallel", type=click.IntRange(1, 1000), default=PARALLEL, metavar="N", help=at_once),
        click.option("--accept-new", is_flag=True, help=new),
        click.option("--limit", "limits", multiple=True, metavar="PATTERN", help=limit),
        click.option("--inventory", "-i", metavar="FILE", help=file),
    ):
        with_chosen = option(with_chosen)
    return with_chosen


def attach(project: str | None, chosen: Chosen, progress: Progress) -> Lab:
    """Return the lab that is named.

    Raises:
        UsageError: none is, or two are.
        NetlabError: there is no such project, or the inventory can't be followed.
    """
    if bool(project) == bool(chosen.file):
        raise click.UsageError("name one: a Compose project (--compose) or an inventory (--inventory)")
    return _project(project) if project else machines(chosen, progress)


def machines(chosen: Chosen, progress: Progress) -> SshLab:
    """Return the machines of an inventory as a lab: those that are meant.

    Raises:
        NetlabError: none is named, or it can't be followed.
    """
    from netlab.inventory.limit import limited

    return chosen.lab(limited(chosen.inventory(), chosen.limits), progress)


def _project(project: str) -> Lab:
    from netlab.backends import load_attribute

    lab: Lab = load_attribute("compose", "netlab.backends.compose.attached:AttachedProject")(project)
    return lab


def tell_failures(lab: Lab) -> None:
    """Say which machines could not be used, and why, each in a line of its own."""
    failures: dict[str, NetlabError] = getattr(lab, "failures", {})
    for name, error in failures.items():
        click.echo(f"netlab: {name} is left out: {error}", err=True)
