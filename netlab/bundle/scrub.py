"""Secrets, removed: what looks like one, and what is known to be one.

What is removed is gone, and said to be. Better that a harmless word goes than that a password stays; but a
secret that neither looks like one nor is in the environment can't be told from a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Any, TypeVar

_T = TypeVar("_T")

REMOVED = "[removed]"

# What is scrubbed is foreign: a repetition that others follow has a bound, so that no text takes long.

# A shorter value of the environment may stand anywhere by chance.
_SHORTEST_SECRET = 6

_NAME = (
    r"[\w.-]{0,40}(?:passwo?r?d|passphrase|pass(?![a-z])|pwd|secret|token|credential|"
    r"api[-_]?key|access[-_]?key|private[-_]?key|signing[-_]?key|authorization)[\w.-]{0,40}"
)
# It may come right after a line end that is written as two letters.
_FIELD = (
    r"(?:\b|(?<=\\[rn]))(?:(?:proxy-)?authorization|(?:set-)?cookie|"
    r"x-[\w-]{0,40}(?:key|token|secret|auth)[\w-]{0,40})"
)
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_SECRET_OPTION = re.compile(rf"--?{_NAME}", re.IGNORECASE)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # PEM (RFC 7468), also one that was cut short; its lines may be written as `\n`.
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        REMOVED,
    ),
    # Header fields of HTTP (RFC 9110, 11.6; RFC 6265): in quotes, as in JSON, and as lines, to their end.
    (re.compile(rf"(?i)({_FIELD}\\?[\"']\s*:\s*\\?([\"']))(?:(?!\2).)*", re.DOTALL), rf"\1{REMOVED}"),
    (re.compile(rf"(?i)({_FIELD}\s*:\s*)[^\r\n]*?(?=\\[rn]|[\r\n]|\Z)"), rf"\1{REMOVED}"),
    # The password in a URL, and a token alone (RFC 3986, 3.2.1).
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']{0,200}:)[^\s/@\"']{1,200}@"), rf"\1{REMOVED}@"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/:@\"']{16,200}@"), rf"\1{REMOVED}@"),
    # name=value, name: value, "name": "value", --name value, "--name", "value".
    (
        re.compile(
            rf"(?i)(\b{_NAME}\\?[\"']?\s*[:=]\s*|--?{_NAME}(?:\s+|[\"'],\s*))"
            r"(\\?\"[^\"]*\"|\\?'[^']*'|[^\s,;&\"'\\]+)"
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{16,}"), rf"\1{REMOVED}"),
    # Tokens that tell by their form what they are: JWT (RFC 7519), and those of large services.
    (re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{1,2000}\.[\w-]*"), REMOVED),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), REMOVED),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|npm_|pypi-)[\w-]{16,}"), REMOVED),
)


class Scrubber:
    """Removes secrets from texts, and from values that have texts in them.

    Args:
        known: secrets by their very value, wherever they stand.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        longest_first = sorted({value for value in known if value}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Return a text without its secrets."""
        if self._known is not None:
            text = self._known.sub(REMOVED, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: _T) -> _T:
        """Return a value (texts, numbers, tuples, lists, mappings, dataclasses) without its secrets."""
        cleaned: _T = self._value(value)
        return cleaned

    def _value(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (tuple, list)):
            return type(value)(self._items(value))
        if isinstance(value, Mapping):
            return {self._value(key): self._entry(key, item) for key, item in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{its.name: self._value(getattr(value, its.name)) for its in fields(value)}
            )
        return value

    def _entry(self, key: object, item: object) -> Any:
        named = isinstance(key, str) and _SECRET_NAME.fullmatch(key) is not None
        return REMOVED if named and isinstance(item, str) and item else self._value(item)

    def _items(self, items: Iterable[Any]) -> Iterable[Any]:
        """Yield items; on a command line what follows `--password` is one."""
        after_option = False
        for item in items:
            yield REMOVED if after_option and isinstance(item, str) else self._value(item)
            after_option = isinstance(item, str) and _SECRET_OPTION.fullmatch(item) is not None


def secrets_on(command: Iterable[str]) -> frozenset[str]:
    """Return what follows the options of a command line that are named like secrets."""
    return frozenset(
        word
        for option, word in pairwise(command)
        if _SECRET_OPTION.fullmatch(option) and len(word) >= _SHORTEST_SECRET
    )


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the values of an environment's variables that are named like secrets."""
    return frozenset(
        value
        for name, value in environment.items()
        if _SECRET_NAME.fullmatch(name) and len(value) >= _SHORTEST_SECRET
    )
