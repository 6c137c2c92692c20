"""What Ansible's inventories have in common, whatever they are written in: groups in groups, and variables.

Of the variables only those count that say how a machine is reached. Which one of several counts is as in
Ansible: a group's over its parents', of groups at the same depth the one whose name comes last, and the
host's own over all.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from netlab.errors import InventoryError
from netlab.inventory.keywords import KNOWN, NotFollowedError, read_setting
from netlab.inventory.names import check_group, check_host, check_port, check_python, check_user, shown
from netlab.inventory.ranges import MOST_MACHINES, expand
from netlab.inventory.settings import Draft, Entry, Settings, read_hops
from netlab.yamlfile import did_you_mean

T = TypeVar("T")

# How often hosts are put into groups: a small file with ranges and aliases could ask for it without an end.
_MOST_MENTIONS = 1 << 18

# Groups that every host is in or is not in any other.
IMPLICIT = ("all", "ungrouped")

# Each setting's variables, the one that counts first (ansible.builtin.ssh, connection).
_ADDRESS = ("ansible_ssh_host", "ansible_host")
_PORT = ("ansible_ssh_port", "ansible_port")
_USER = ("ansible_ssh_user", "ansible_user")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")
_PYTHON = ("ansible_python_interpreter",)
_ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args")
_CONNECTION = ("ansible_connection",)
FOLLOWED = frozenset((*_ADDRESS, *_PORT, *_USER, *_KEY, *_PYTHON, *_ARGUMENTS, *_CONNECTION))

_SECRETS = ("pass", "password", "passphrase")
# `auto` and its kin: Ansible looks for one on the host.
_DISCOVERED = re.compile(r"auto(_legacy)?(_silent)?")
_SSH_CONNECTIONS = (
    "ssh",
    "smart",
    "paramiko",
    "paramiko_ssh",
    "ansible.builtin.ssh",
    "ansible.builtin.paramiko_ssh",
)
_INVENTORY_FOLDER = re.compile(r"\{\{\s*inventory_dir\s*\}\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable's value, and where it is given."""

    value: str
    line: int


@dataclass(slots=True)
class Group:
    """A group, as far as it is read."""

    name: str
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)


@dataclass(slots=True)
class _Host:
    line: int
    variables: dict[str, Variable] = field(default_factory=dict)


class Collected:
    """An Ansible inventory as it is read, and what becomes of it.

    Args:
        source: the file, as the user named it.
        folder: what `{{ inventory_dir }}` stands for.
    """

    def __init__(self, source: str, folder: Path) -> None:
        self.source, self.folder = source, folder
        self.groups = {name: Group(name) for name in IMPLICIT}
        self._hosts: dict[str, _Host] = {}
        self._ignored: dict[str, None] = {}
        self._notes: list[str] = []
        self._mentions = 0

    def error(self, line: int, key: str, problem: str) -> InventoryError:
        """Return the error that says that what stands on a line can't be."""
        return InventoryError(self.source, line, key, problem)

    def group(self, name: str, line: int) -> Group:
        """Return the group of that name, a new one if need be."""
        if name not in self.groups:
            try:
                self.groups[name] = Group(check_group(name))
            except ValueError as error:
                raise self.error(line, "", str(error)) from None
        return self.groups[name]

    def add_hosts(self, group: Group, pattern: str, line: int, variables: Mapping[str, Variable]) -> None:
        """Add the hosts that a pattern means to a group: `lab[01:40]`, perhaps with `:port`."""
        try:
            name, port = _split_port(pattern)
            names = expand(name)
        except ValueError as error:
            raise self.error(line, "", str(error)) from None
        self._mentions += len(names)
        if self._mentions > _MOST_MENTIONS:
            raise self.error(line, "", "the groups have too many hosts")
        own = {"ansible_port": Variable(port, line)} if port else {}
        for host in names:
            group.hosts[host] = None
            self._hosts.setdefault(host, _Host(line)).variables.update({**own, **variables})
        if len(self._hosts) > MOST_MACHINES:
            raise self.error(line, "", f"more than {MOST_MACHINES} machines")

    def follow(self, name: str) -> bool:
        """Say whether a variable counts; one that does not is noted if it looks as if it should."""
        if name not in FOLLOWED and name.startswith("ansible_"):
            self._ignored[name] = None
        return name in FOLLOWED

    def draft(self) -> Draft:
        """Return the machines.

        Raises:
            InventoryError: groups are within themselves, or a variable's value can't be.
        """
        parents = self._parents()
        depths, entries = self._depths(parents), []
        for name, members in self._memberships(parents).items():
            outermost_first = sorted(members, key=lambda group: (depths[group], group))
            if (entry := self._entry(name, [self.groups[group] for group in outermost_first])) is not None:
                entries.append(entry)
        return Draft(self.source, tuple(entries), notes=(*dict.fromkeys(self._notes), *self._summaries()))

    def _summaries(self) -> Iterable[str]:
        secret = [name for name in self._ignored if name.endswith(_SECRETS)]
        if secret:
            yield f"{self.source}: {', '.join(secret)}: no secret is read from a file: netlab asks"
        if other := [name for name in self._ignored if name not in secret]:
            yield f"{self.source}: changes nothing here: {', '.join(other)}"
        for beside in ("group_vars", "host_vars"):
            if (self.folder / beside).is_dir():
                yield f"{self.folder / beside}: not read: what matters here goes into the inventory"

    def _parents(self) -> dict[str, list[str]]:
        parents: dict[str, list[str]] = {name: [] for name in self.groups}
        for group in self.groups.values():
            for child in group.children:
                parents[child].append(group.name)
        return parents

    def _depths(self, parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
        """Return for every group the longest way down to it from `all`, and refuse circles."""
        depths: dict[str, int] = {"all": 0}
        waiting = {name for name in self.groups if name != "all"}
        while ready := sorted(n for n in waiting if all(p in depths for p in parents[n])):
            for name in ready:
                depths[name] = 1 + max((depths[parent] for parent in parents[name]), default=0)
            waiting -= {*ready}
        if waiting:
            raise self.error(0, min(waiting), "the group is within itself, by its children")
        return depths

    def _memberships(self, parents: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
        """Return for every host the groups that it is in, directly or not."""
        found: dict[str, set[str]] = {name: {"all"} for name in self._hosts}
        for group in self.groups.values():
            around, new = {group.name}, [group.name]
            while new and group.hosts:
                new = [parent for name in new for parent in parents[name] if parent not in around]
                around |= {*new}
            for host in group.hosts:
                found[host] |= around
        return found

    def _entry(self, name: str, groups: Sequence[Group]) -> Entry | None:
        host = self._hosts[name]
        variables: dict[str, Variable] = {}
        for group in groups:
            variables |= group.variables
        variables |= host.variables
        reach = _Reach(self, name, variables)
        if (other := reach.other_connection()) is not None:
            self._notes.append(
                f"{self.source}:{host.line}: {name}: left out: reached by {shown(other)}, not SSH"
            )
            return None
        settings, notes = reach.settings()
        self._notes += notes
        named = tuple(group.name for group in groups if group.name not in IMPLICIT)
        return Entry(name, settings, named, host.line, name)


class _Reach:
    """Reads what a host's variables say about reaching it."""

    def __init__(self, inventory: Collected, host: str, variables: Mapping[str, Variable]) -> None:
        self._inventory, self._host, self._variables = inventory, host, variables
        self._notes: list[str] = []

    def other_connection(self) -> str | None:
        found = self._first(_CONNECTION)
        return found[1].value if found and found[1].value not in _SSH_CONNECTIONS else None

    def settings(self) -> tuple[Settings, list[str]]:
        settings = Settings(
            address=self._value(_ADDRESS, check_host),
            port=self._value(_PORT, check_port),
            user=self._value(_USER, check_user),
            keys=tuple(filter(None, [self._value(_KEY, str)])),
            python=self._value(
                _PYTHON, lambda text: None if _DISCOVERED.fullmatch(text) else check_python(text)
            ),
        )
        for names in _ARGUMENTS:
            settings = settings.over(self._value((names,), self._arguments) or Settings())
        return settings, self._notes

    def _first(self, names: Iterable[str]) -> tuple[str, Variable] | None:
        return next(((name, self._variables[name]) for name in names if name in self._variables), None)

    def _value(self, names: Iterable[str], read: Callable[[str], T]) -> T | None:
        found = self._first(names)
        if found is None or found[1].value == "":
            return None
        name, variable = found
        try:
            return read(self._filled(variable.value))
        except ValueError as error:
            raise self._inventory.error(variable.line, f"{self._host}: {name}", str(error)) from None

    def _filled(self, text: str) -> str:
        folder = str(self._inventory.folder.absolute())
        filled = _INVENTORY_FOLDER.sub(lambda _: folder.replace("%", "%%"), text)
        if "{{" in filled or "{%" in filled:
            raise ValueError(f"{shown(text)} is a template, which only Ansible can fill: write the value")
        return filled

    def _arguments(self, text: str) -> Settings:
        """Follow the arguments of ssh that its configuration has keywords for."""
        try:
            words = shlex.split(text)
        except ValueError:
            raise ValueError(f"{shown(text)}: a quote is not closed") from None
        settings, left = Settings(), iter(words)
        for word in left:
            option, attached = word[:2], word[2:]
            if option not in _OPTIONS:
                self._note(f"{shown(word)} is not followed")
                continue
            settings = settings.over(self._option(_OPTIONS[option], attached or next(left, "")))
        return settings

    def _option(self, keyword: str, value: str) -> Settings:
        if not keyword:  # -o Keyword=value
            written, _, value = value.partition("=") if "=" in value else value.partition(" ")
            keyword = written.strip().lower()
            if keyword not in KNOWN:
                raise ValueError(f"{shown(written)} is no setting of ssh{did_you_mean(keyword, KNOWN)}")
        try:
            return read_hops_or_setting(keyword, value.strip())
        except NotFollowedError as error:
            self._note(f"{keyword}: not followed: {error}")
            return Settings(jump=()) if keyword == "proxycommand" else Settings()

    def _note(self, text: str) -> None:
        self._notes.append(f"{self._inventory.source}: arguments of ssh: {text}")


# ssh(1): the keyword that each option sets; -o names it itself.
_OPTIONS = {"-J": "proxyjump", "-i": "identityfile", "-l": "user", "-o": "", "-p": "port"}


def read_hops_or_setting(keyword: str, value: str) -> Settings:
    """Return what an option says; unlike a line of a configuration, its value is one word already."""
    return Settings(jump=read_hops(value)) if keyword == "proxyjump" else read_setting(keyword, value)


def _split_port(pattern: str) -> tuple[str, str]:
    """Return a pattern of hosts, and the port after it or nothing: `lab[01:40]:2222`, `[::1]:2222`."""
    found = re.fullmatch(
        r"\[(?P<address>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\](?::(?P<port>.*))?", pattern
    )
    if found is not None and not _is_range(found["address"]):
        return found["address"], found["port"] or ""
    outside = re.sub(r"\[[^\]]*\]", lambda part: "_" * len(part[0]), pattern)
    if outside.count(":") != 1:
        return pattern, ""
    at = outside.index(":")
    return pattern[:at], str(check_port(pattern[at + 1 :]))


def _is_range(text: str) -> bool:
    try:
        check_host(text)
    except ValueError:
        return True
    return False
