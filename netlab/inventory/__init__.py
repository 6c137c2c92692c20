"""Inventories: which machines there are and how to reach them, from whatever file says so.

`load_inventory` reads a file of any kind into a `Draft` (`labfile`, `openssh`, `ansible_ini`,
`ansible_yaml`), and `resolve` works out the machines, with what the SSH configuration says about them.
"""

from __future__ import annotations

from pathlib import Path

from netlab.errors import InventoryError, NetlabError
from netlab.inventory.ansible_ini import read_ini
from netlab.inventory.ansible_yaml import read_yaml
from netlab.inventory.kinds import Kind, is_yaml, kind_of_text, kind_of_tree
from netlab.inventory.labfile import read_lab
from netlab.inventory.model import Inventory, Login, Machine, Serving
from netlab.inventory.openssh import SshConfig, read_ssh_config
from netlab.inventory.resolve import resolve
from netlab.inventory.settings import Account, Draft, Entry, Settings
from netlab.textfile import read_text
from netlab.yamlfile import parse

__all__ = ["Account", "Inventory", "Login", "Machine", "Serving", "load_inventory"]


def load_inventory(
    path: Path | str, *, account: Account | None = None, ssh_config: Path | None = None
) -> Inventory:
    """Read an inventory: a lab file, an SSH configuration or an Ansible inventory.

    What the SSH configuration says about a machine of one of the others applies to it, as it does with ssh;
    what the inventory says goes before it.

    Args:
        path: the file.
        account: whose `~` is meant; this process's own by default.
        ssh_config: the SSH configuration; `~/.ssh/config` by default, if there is one.

    Raises:
        InventoryError: a file says something that can't be followed.
        NetlabError: a file can't be read, or is no inventory.
    """
    file, account = Path(path), account or Account.own()
    _check_static(file)
    text = read_text(file, "inventory")
    if text.startswith("#!"):
        raise NetlabError(f"{file}: is a program, and inventories are not run: {_WRITE_IT_DOWN}")
    if "\0" in text:
        raise NetlabError(f"{file}: not text: there is a zero byte in it")
    if not is_yaml(file, text):
        kind = kind_of_text(text)
        if kind is Kind.SSH:
            config = read_ssh_config(file, account, text)
            return resolve(_hosts_of(str(file), config), config, account)
    config = _own_config(account, ssh_config)
    return resolve(_draft(file, text, config), config, account)


# What to do with an inventory that is not one file.
_WRITE_IT_DOWN = "write down what it gives, with 'ansible-inventory --list --yaml'"


def _check_static(file: Path) -> None:
    if file.is_dir():
        raise NetlabError(f"{file}: is a directory: name a file in it, or {_WRITE_IT_DOWN}")
    if file.suffix in (".toml", ".cfg", ".py"):
        raise NetlabError(f"{file}: is no inventory that netlab reads: {_WRITE_IT_DOWN}")


def _own_config(account: Account, ssh_config: Path | None) -> SshConfig:
    file = ssh_config or account.home / ".ssh" / "config"
    return read_ssh_config(file, account) if ssh_config or file.is_file() else SshConfig()


def _hosts_of(source: str, config: SshConfig) -> Draft:
    """Return the machines of an SSH configuration: the hosts that it calls by name."""
    if not config.hosts:
        raise InventoryError(source, 0, "", "no Host line names a machine: there are only patterns")
    entries = (
        Entry(host.name, Settings(), (), host.line if host.source == source else 0, f"Host {host.name}")
        for host in config.hosts
    )
    return Draft(source, tuple(entries), notes=config.notes)


def _draft(file: Path, text: str, config: SshConfig) -> Draft:
    folder = file.parent
    if not is_yaml(file, text):
        return read_ini(str(file), text, folder)
    yaml = parse(str(file), text, InventoryError)
    if isinstance(yaml.tree, dict) and "_meta" in yaml.tree:
        raise NetlabError(f"{file}: is what a dynamic inventory prints: {_WRITE_IT_DOWN}")
    if kind_of_tree(yaml.tree) is Kind.ANSIBLE_YAML:
        return read_yaml(yaml, folder)
    return read_lab(yaml, folder, {host.name for host in config.hosts})
