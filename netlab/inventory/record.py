"""An inventory as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from netlab.inventory.model import Inventory, Login, Machine


def record(inventory: Inventory) -> dict[str, Any]:
    """Return everything that was understood, as JSON's values; of keys their paths."""
    return {
        "source": inventory.source,
        "machines": [_machine(machine) for machine in inventory.machines],
        "serving": asdict(inventory.serving),
        "notes": [*inventory.notes],
    }


def _machine(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        **_login(machine.login),
        "jumps": [_login(jump) for jump in machine.jumps],
        "groups": [*machine.groups],
        "python": machine.python,
    }


def _login(login: Login) -> dict[str, Any]:
    return asdict(login) | {
        "keys": [*map(str, login.keys)],
        "known_hosts": [*map(str, login.known_hosts)],
    }
