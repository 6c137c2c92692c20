"""A part of an inventory: the machines that `--limit` means, in Ansible's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from netlab.errors import NetlabError
from netlab.inventory.model import Inventory, Machine


def meant(inventory: Inventory, patterns: Sequence[str]) -> tuple[Machine, ...]:
    """Return the machines that patterns mean, in the inventory's order; without a pattern all of them.

    Args:
        inventory: the machines.
        patterns: with commas between: names of machines or groups, with `*`, `?` and `[...]` as a shell has
            them. What `!` stands before is taken out; what `&` stands before is a further condition.

    Raises:
        NetlabError: a name is neither a machine's nor a group's, or nothing is left.
    """
    words = [word for pattern in patterns for word in pattern.split(",") if word.strip()]
    added = [word.strip() for word in words if word.strip()[0] not in "!&"]
    chosen = {machine.name for word in added or ("all",) for machine in _called(inventory, word)}
    for word in map(str.strip, words):
        named = {machine.name for machine in _called(inventory, word[1:])} if word[0] in "!&" else chosen
        chosen = chosen - named if word[0] == "!" else chosen & named
    if not chosen:
        raise NetlabError(f"{inventory.source}: --limit {','.join(patterns)} leaves no machine")
    return tuple(machine for machine in inventory.machines if machine.name in chosen)


def limited(inventory: Inventory, patterns: Sequence[str]) -> Inventory:
    """Return an inventory with no other machines than `meant`, of which those serve that would in the whole.

    Raises:
        NetlabError: as `meant`; or `serve: hosts` names what is not there.
    """
    machines = meant(inventory, patterns)
    serving = inventory.serving
    hosts = tuple(machine.name for machine in serving_machines(inventory) if machine in machines)
    return replace(inventory, machines=machines, serving=replace(serving, hosts=hosts))


def serving_machines(inventory: Inventory) -> tuple[Machine, ...]:
    """Return the machines that are to serve.

    Raises:
        NetlabError: a name is neither a machine's nor a group's.
    """
    try:
        return inventory.named(inventory.serving.hosts)
    except KeyError as error:
        problem = f"serve: hosts: neither a machine nor a group is called {error.args[0]}"
        raise NetlabError(f"{inventory.source}: {problem}") from None


def _called(inventory: Inventory, word: str) -> list[Machine]:
    found = [
        machine
        for machine in inventory.machines
        if word == "all" or any(fnmatchcase(name, word) for name in (machine.name, *machine.groups))
    ]
    if not found:
        raise NetlabError(f"{inventory.source}: --limit: neither a machine nor a group is called {word}")
    return found
