"""Ansible inventories in YAML: groups with `hosts`, `children` and `vars`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netlab.inventory.ansible import Collected, Group, Variable
from netlab.inventory.names import shown
from netlab.inventory.settings import Draft
from netlab.yamlfile import Path as Place
from netlab.yamlfile import YamlFile, did_you_mean

# A group's keys.
KEYS = ("hosts", "children", "vars")

# Groups within groups; more is a file that refers to itself.
_DEEPEST = 32
# A file that refers to its own parts again and again could go on for ever.
_MOST_VISITS = 50_000


def read_yaml(file: YamlFile, folder: Path) -> Draft:
    """Read an inventory.

    Args:
        file: its YAML.
        folder: where it is.

    Raises:
        InventoryError: it says something that can't be followed.
    """
    reader = _Reader(file, folder)
    for name, group in file.tree.items():
        reader.read((name,), name, group)
    return reader.inventory.draft()


class _Reader:
    """Walks down the groups."""

    def __init__(self, file: YamlFile, folder: Path) -> None:
        self._file = file
        self._visits = 0
        self.inventory = Collected(file.name, folder)

    def read(self, place: Place, name: object, said: Any) -> Group:
        self._visits += 1
        if len(place) > 2 * _DEEPEST or self._visits > _MOST_VISITS:
            raise self._file.error(place, "groups are nested too deeply: does one hold itself?")
        line = self._file.line(place)
        group = self.inventory.group(self._text(place, name), line)
        for key in self._mapping(place, said):
            if key not in KEYS:
                problem = f"unknown key{did_you_mean(str(key), KEYS)}; a group has {', '.join(KEYS)}"
                raise self._file.error((*place, key), problem)
        said = said or {}
        for host, variables in self._mapping((*place, "hosts"), said.get("hosts")).items():
            at: Place = (*place, "hosts", host)
            own = self._variables(at, variables)
            self.inventory.add_hosts(group, self._text(at, host), self._file.line(at), own)
        group.variables |= self._variables((*place, "vars"), said.get("vars"))
        for child, inside in self._mapping((*place, "children"), said.get("children")).items():
            below: Place = (*place, "children", child)
            if child == "all":
                raise self._file.error(below, "'all' holds every group and can't be in one")
            group.children[self.read(below, child, inside).name] = None
        return group

    def _variables(self, place: Place, said: Any) -> dict[str, Variable]:
        found: dict[str, Variable] = {}
        for name, value in self._mapping(place, said).items():
            if not isinstance(name, str) or not self.inventory.follow(name) or value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise self._file.error((*place, name), "must be text or a number, unencrypted")
            found[name] = Variable(str(value), self._file.line((*place, name)))
        return found

    def _mapping(self, place: Place, said: Any) -> dict[Any, Any]:
        if said is None:
            return {}
        if not isinstance(said, dict):
            raise self._file.error(place, "must be a mapping: 'name:', with a colon, one a line")
        return said

    def _text(self, place: Place, name: object) -> str:
        if not isinstance(name, str):
            raise self._file.error(place, f"{shown(str(name))} is no name: put it in quotes")
        return name
