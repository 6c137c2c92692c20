"""Ansible inventories in INI form: `[group]`, `[group:vars]`, `[group:children]`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from netlab.inventory.ansible import Collected, Group, Variable
from netlab.inventory.names import shown
from netlab.inventory.settings import Draft

_SECTION = re.compile(r"\[(?P<group>[^\[\]:\s]+)(?::(?P<part>[^\[\]\s]*))?\]\s*(?:#.*)?")
_PARTS = ("vars", "children")


def read_ini(name: str, text: str, folder: Path) -> Draft:
    """Read an inventory.

    Args:
        name: what the user calls the file.
        text: its contents.
        folder: where it is.

    Raises:
        InventoryError: it says something that can't be followed.
    """
    reader = _Reader(Collected(name, folder))
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            reader.read(number, stripped)
    return reader.draft()


class _Reader:
    """Reads line by line, and knows the section that it is in."""

    def __init__(self, inventory: Collected) -> None:
        self._inventory = inventory
        self._group: Group = inventory.groups["ungrouped"]
        self._part = ""
        # Groups that are spoken of, and must be defined somewhere in the file.
        self._mentioned: dict[str, int] = {}
        self._defined: set[str] = {*inventory.groups}

    def draft(self) -> Draft:
        for name, line in self._mentioned.items():
            if name not in self._defined:
                raise self._inventory.error(
                    line, "", f"no group is called {shown(name)}: there is no [{name}]"
                )
        return self._inventory.draft()

    def read(self, number: int, line: str) -> None:
        section = _SECTION.fullmatch(line)
        if section is not None:
            self._open(number, section["group"], section["part"] or "")
        elif self._part == "vars":
            self._variable(number, line)
        elif self._part == "children":
            self._child(number, line)
        else:
            self._hosts(number, line)

    def _open(self, number: int, name: str, part: str) -> None:
        if part and part not in _PARTS:
            raise self._inventory.error(
                number, "", f"[{name}:{part}] is no section: [{name}], [{name}:vars] or [{name}:children]"
            )
        self._group, self._part = self._inventory.group(name, number), part
        if part == "vars":
            self._mentioned.setdefault(name, number)
        else:
            self._defined.add(name)

    def _variable(self, number: int, line: str) -> None:
        name, equals, value = line.partition("=")
        if not equals:
            raise self._inventory.error(
                number, "", f"{shown(line)} gives no variable a value: write name=value"
            )
        if self._inventory.follow(name.strip()):
            self._group.variables[name.strip()] = Variable(_unquoted(value.strip()), number)

    def _child(self, number: int, line: str) -> None:
        name = line.partition("#")[0].strip()
        if name == "all":
            raise self._inventory.error(number, "", "'all' holds every group and can't be in one")
        self._inventory.group(name, number)
        self._group.children[name] = None
        self._mentioned.setdefault(name, number)

    def _hosts(self, number: int, line: str) -> None:
        if line.startswith("[") and "]" in line and line.endswith("]") and ":" not in line:
            raise self._inventory.error(number, "", f"{shown(line)} is no section: [group], [group:vars] ...")
        try:
            pattern, *words = shlex.split(line, comments=True)
        except ValueError:
            raise self._inventory.error(number, "", "a quote is not closed") from None
        variables: dict[str, Variable] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise self._inventory.error(
                    number, "", f"{shown(word)}: write one host a line, and name=value"
                )
            if self._inventory.follow(name):
                variables[name] = Variable(value, number)
        self._inventory.add_hosts(self._group, pattern, number, variables)


def _unquoted(value: str) -> str:
    """Return a value without the quotes of a Python string, as which Ansible reads it."""
    quoted = re.fullmatch(
        r"""(?P<quote>['"])(?P<inside>(?:(?!(?P=quote))[^\\])*)(?P=quote)\s*(?:\#.*)?""", value
    )
    return quoted["inside"] if quoted else value
