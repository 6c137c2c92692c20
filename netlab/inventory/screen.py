"""An inventory as a table: what was understood of each machine."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from netlab.inventory.model import PYTHON, Inventory, Login, Machine, Serving
from netlab.model import endpoint

_COLUMNS = ("machine", "address", "user", "keys", "through", "groups", "python")
_DEFAULT = "-"
_DEFAULTS = (_DEFAULT,) * (len(_COLUMNS) - 1) + (PYTHON,)
# The columns that are never broken into lines: a name that is can't be copied.
_WHOLE = 3

# How wide a table may get that goes to no terminal.
WIDE_COLUMNS = 200


def screen(
    inventory: Inventory, missing: Collection[Path] = (), *, ascii_only: bool = False
) -> RenderableType:
    """Return what `netlab hosts` shows.

    Args:
        inventory: the machines.
        missing: key files that are not there.
        ascii_only: whether the terminal has no other characters.
    """
    rows = [[*_row(machine, missing)] for machine in inventory.machines]
    # A column in which every machine is as by default says nothing.
    said = [index for index, default in enumerate(_DEFAULTS) if any(row[index] != default for row in rows)]
    table = Table(box=box.ASCII if ascii_only else box.SIMPLE_HEAD, pad_edge=False)
    for index in said:
        table.add_column(_COLUMNS[index], no_wrap=index < _WHOLE, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[index]) for index in said))
    parts: list[RenderableType] = [Text(_title(inventory)), table]
    if inventory.serving != Serving():
        parts.append(Text(_served(inventory.serving)))
    return Group(*parts)


def missing_keys(inventory: Inventory) -> set[Path]:
    """Return the key files that are not there, or that can't be looked at."""
    keys = {key for machine in inventory.machines for key in machine.login.keys}
    return {key for key in keys if not os.access(key, os.F_OK)}


def _title(inventory: Inventory) -> str:
    number = len(inventory.machines)
    return f"{inventory.source}: {number} {'machine' if number == 1 else 'machines'}"


def _row(machine: Machine, missing: Collection[Path]) -> Iterable[str]:
    login = machine.login
    yield machine.name
    yield endpoint(login.address, login.port)
    yield login.user or _DEFAULT
    yield "\n".join(_key(key, missing) for key in login.keys) or _DEFAULT
    yield "\n".join(_with_user(jump) for jump in machine.jumps) or _DEFAULT
    yield ", ".join(machine.groups) or _DEFAULT
    yield machine.python


def _key(key: Path, missing: Collection[Path]) -> str:
    return f"{key} (missing)" if key in missing else str(key)


def _with_user(login: Login) -> str:
    place = endpoint(login.address, login.port)
    return f"{login.user}@{place}" if login.user else place


def _served(serving: Serving) -> str:
    lines = [
        f"serves {serving.directory} on {', '.join(serving.hosts)}: "
        f"{', '.join(serving.addresses)}, port {serving.port}"
    ]
    if serving.reachable_from:
        lines.append(f"must be reached from {', '.join(serving.reachable_from)}")
    if serving.not_from:
        lines.append(f"must not be reached from {', '.join(serving.not_from)}")
    return "\n".join(lines)
