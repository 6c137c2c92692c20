"""OpenSSH's client configuration: which settings apply to which host.

paramiko has a reader of its own, and this is not it, because that one runs the commands of `Match exec`,
does not know Include, takes `lab[12]` for a pattern, and replaces every `~` in a path. This one follows
OpenSSH's readconf.c: for each setting the first value counts, files of keys add up, and an Include within a
Host block is for its hosts.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from pathlib import Path

from netlab.errors import InventoryError
from netlab.inventory.keywords import FOLLOWED, KNOWN, NotFollowedError, read_setting, split_words
from netlab.inventory.names import check_machine, shown
from netlab.inventory.settings import Account, Settings
from netlab.textfile import read_text
from netlab.yamlfile import did_you_mean

# readconf.c: READCONF_MAX_DEPTH.
_DEEPEST = 16
# Enough for a configuration in pieces; a file that includes itself twice would have 65,536.
_MOST_FILES = 256

# strdelim() of OpenSSH's misc.c: the keyword, perhaps in quotes, and one `=` at most.
_LINE = re.compile(r'"?(?P<keyword>[^\s"=]+)"?[ \t]*=?[ \t]*(?P<value>.*)')

_KIND = "SSH configuration"

_Patterns = tuple[str, ...]
_ANY: _Patterns = ("*",)
_NEVER: _Patterns = ()


@dataclass(frozen=True, slots=True)
class Block:
    """What a Host line, or what stands around an included file, holds together.

    Attributes:
        conditions: lists of patterns; a host must match every list.
        settings: what the lines say, the first of each kind.
    """

    conditions: tuple[_Patterns, ...]
    settings: Settings

    def is_for(self, host: str) -> bool:
        """Say whether the settings apply to a host."""
        return all(matches(patterns, host) for patterns in self.conditions)


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host that a configuration calls by its name, and where it does so first."""

    name: str
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class SshConfig:
    """A configuration.

    Attributes:
        blocks: in their order.
        hosts: those that it calls by name, in their order.
        notes: what is not followed, and why.
    """

    blocks: tuple[Block, ...] = ()
    hosts: tuple[HostLine, ...] = ()
    notes: tuple[str, ...] = ()

    def settings_for(self, host: str) -> Settings:
        """Return what it says about a host, by the name that it is asked for with."""
        found = Settings()
        for block in self.blocks:
            if block.is_for(host):
                found = found.over(block.settings)
        return found


def matches(patterns: _Patterns, host: str) -> bool:
    """Say whether a host is in a list of patterns, as match_hostname() in match.c: `!` takes it out."""
    if any(p.startswith("!") and _matches(p[1:], host) for p in patterns):
        return False
    return any(_matches(p, host) for p in patterns if not p.startswith("!"))


def _matches(pattern: str, host: str) -> bool:
    """Say whether a pattern of `*` and `?` is a host's, in no more than their lengths' product of steps."""
    at = taken = 0
    star, resume = -1, 0
    while at < len(host):
        if taken < len(pattern) and pattern[taken] == "*":
            star, resume, taken = taken, at, taken + 1
        elif taken < len(pattern) and pattern[taken] in ("?", host[at]):
            at, taken = at + 1, taken + 1
        elif star >= 0:
            resume += 1
            at, taken = resume, star + 1
        else:
            return False
    return not pattern[taken:].strip("*")


def read_ssh_config(path: Path, account: Account, text: str | None = None) -> SshConfig:
    """Read a configuration and what it includes.

    Args:
        path: the file.
        account: whose `~/.ssh` names of included files are relative to.
        text: what the file says, where it is read already.

    Raises:
        InventoryError: ssh would not take it either.
        NetlabError: a file can't be read.
    """
    reader = _Reader(account)
    reader.read(path, read_text(path, _KIND) if text is None else text, (), 0)
    return reader.result(str(path))


class _Reader:
    """Reads files into blocks, one after the other."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._blocks: list[Block] = []
        self._hosts: dict[str, HostLine] = {}
        self._notes: list[str] = []
        self._unused: dict[str, None] = {}
        self._files = 0

    def result(self, source: str) -> SshConfig:
        notes = [*self._notes]
        if self._unused:
            notes.append(f"{source}: changes nothing here: {', '.join(self._unused)}")
        return SshConfig(tuple(self._blocks), tuple(self._hosts.values()), tuple(dict.fromkeys(notes)))

    def read(self, path: Path, text: str, around: tuple[_Patterns, ...], depth: int) -> None:
        """Read a file; `around` are the conditions under which it is included."""
        self._files += 1
        if self._files > _MOST_FILES:
            raise InventoryError(str(path), 0, "", f"the configuration has more than {_MOST_FILES} files")
        self._open(around, _ANY)
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip(" \t\r\f")
            if stripped and not stripped.startswith("#"):
                self._read_line(str(path), number, stripped, around, depth)

    def _open(self, around: tuple[_Patterns, ...], patterns: _Patterns) -> None:
        self._blocks.append(Block((*around, patterns), Settings()))

    def _read_line(
        self, source: str, number: int, text: str, around: tuple[_Patterns, ...], depth: int
    ) -> None:
        found = _LINE.fullmatch(text)
        if found is None:
            raise InventoryError(source, number, "", f"{shown(text)} is no setting: write 'Keyword value'")
        written, value = found["keyword"], found["value"]
        keyword = written.lower()
        try:
            if keyword == "host":
                self._host(source, number, split_words(value), around)
            elif keyword == "match":
                self._match(source, number, value, around)
            elif keyword == "include":
                self._include(source, number, split_words(value), depth)
            else:
                self._setting(source, number, written, value)
        except ValueError as error:
            raise InventoryError(source, number, written if keyword in KNOWN else "", str(error)) from None

    def _host(self, source: str, number: int, patterns: list[str], around: tuple[_Patterns, ...]) -> None:
        if not patterns:
            raise ValueError("names no host")
        self._open(around, tuple(patterns))
        for name in patterns:
            if any(sign in name for sign in "*?!") or not all(matches(p, name) for p in around):
                continue
            try:
                self._hosts.setdefault(name, HostLine(check_machine(name), source, number))
            except ValueError as error:
                self._notes.append(f"{source}:{number}: left out: {error}")

    def _match(self, source: str, number: int, value: str, around: tuple[_Patterns, ...]) -> None:
        if [word.lower() for word in split_words(value)] == ["all"]:
            self._open(around, _ANY)
            return
        self._notes.append(f"{source}:{number}: Match: not followed, but for 'Match all'; use Host")
        self._open(around, _NEVER)

    def _include(self, source: str, number: int, names: list[str], depth: int) -> None:
        if not names:
            raise ValueError("names no file")
        if depth >= _DEEPEST:
            raise ValueError(f"files include each other more than {_DEEPEST} deep: does one include itself?")
        around = self._blocks[-1].conditions
        for name in names:
            for file in self._files_of(name):
                self.read(file, read_text(file, _KIND), around, depth + 1)
        self._blocks.append(Block(around, Settings()))

    def _files_of(self, name: str) -> list[Path]:
        if "\0" in name:
            raise ValueError(f"{shown(name)} is no file's name")
        home = self._account.home
        whole = f"{home}{name[1:]}" if name.startswith("~/") else str(home / ".ssh" / name)
        return [Path(found) for found in sorted(glob.glob(whole))]  # noqa: PTH207 (Path.glob takes no absolute one)

    def _setting(self, source: str, number: int, written: str, value: str) -> None:
        keyword = written.lower()
        if keyword not in KNOWN and (close := did_you_mean(keyword, FOLLOWED)):
            raise ValueError(f"{shown(written)} is no setting of ssh{close}")
        block = self._blocks[-1]
        try:
            said = read_setting(keyword, value)
        except NotFollowedError as error:
            self._notes.append(f"{source}:{number}: {written}: not followed: {error}")
            # As with ssh, the first of ProxyCommand and ProxyJump counts, and the other is not looked at.
            said = Settings(jump=()) if keyword == "proxycommand" else Settings()
        else:
            if keyword not in FOLLOWED:
                self._unused[written] = None
        self._blocks[-1] = replace(block, settings=block.settings.over(said))
