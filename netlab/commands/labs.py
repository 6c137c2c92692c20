"""Labs that are there already, as options name them: a Compose project, an inventory's machines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.backends import Lab
    from netlab.backends.ssh import SshLab
    from netlab.measure import Progress

_Command = Callable[..., ExitCode]


def compose_option(command: _Command) -> _Command:
    """Add the option that names a running Compose project, as the parameter `project`."""
    said = "A running Compose project: its name, or its Compose file."
    return click.option("--compose", "project", metavar="FILE|PROJECT", help=said)(command)


def inventory_options(command: _Command) -> _Command:
    """Add the options that say which machines, and on what terms: `inventory` and `accept_new`."""
    new = click.option("--accept-new", is_flag=True, help="Record and believe host keys not known yet.")(
        command
    )
    said = "Real machines: a lab.yaml, an SSH configuration or an Ansible inventory."
    return click.option("--inventory", "-i", metavar="FILE", help=said)(new)


def attach(project: str | None, inventory: str | None, accept_new: bool, progress: Progress) -> Lab:
    """Return the lab that is named.

    Raises:
        UsageError: none is, or two are.
        NetlabError: there is no such project, or the inventory can't be followed.
    """
    if bool(project) == bool(inventory):
        raise click.UsageError("name one: a Compose project (--compose) or an inventory (--inventory)")
    return _project(project) if project else machines(inventory, accept_new, progress)


def machines(inventory: str | None, accept_new: bool, progress: Progress) -> SshLab:
    """Return the machines of an inventory as a lab.

    Raises:
        NetlabError: none is named, or it can't be followed.
    """
    from netlab.backends import load_attribute

    if not inventory:
        raise NetlabError("which machines? name an inventory with --inventory (-i): docs/inventories.md")
    load_inventory = load_attribute("ssh", "netlab.inventory:load_inventory")
    terms = load_attribute("ssh", "netlab.backends.ssh:Terms")(accept_new=accept_new)
    ssh_lab = load_attribute("ssh", "netlab.backends.ssh:SshLab")
    lab: SshLab = ssh_lab(load_inventory(inventory), terms, partial(progress, "connecting"))
    return lab


def _project(project: str) -> Lab:
    from netlab.backends import load_attribute

    lab: Lab = load_attribute("compose", "netlab.backends.compose.attached:AttachedProject")(project)
    return lab


def tell_failures(lab: Lab) -> None:
    """Say which machines could not be used, and why, each in a line of its own."""
    failures: dict[str, NetlabError] = getattr(lab, "failures", {})
    for name, error in failures.items():
        click.echo(f"netlab: {name} is left out: {error}", err=True)
