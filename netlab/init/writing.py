"""A first `netlab.yaml` as text: short lines, and comments that say what can be changed. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from netlab.init.start import Row, Rule, Start

# The schema that is written beside it, for editors.
SCHEMA_FILE = "netlab.schema.json"

_WIDTH = 100
# What YAML takes for a text as it stands, in a list and as a key. Numbers, dates and words such as `no` begin
# otherwise or are left out below.
_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.+-]*")
_NO_TEXT = re.compile(r"(?i:y|n|yes|no|on|off|true|false|null|\.|\.\.|\.inf|\.nan)|[.+-]?[0-9].*")


def text_of(start: Start) -> str:
    """Return the file's text."""
    return "\n".join(_lines(start)) + "\n"


def _lines(start: Start) -> Iterator[str]:
    yield f"# yaml-language-server: $schema={SCHEMA_FILE}"
    yield from _comment(f"Who should reach what. Made by netlab init {start.origin}.")
    yield "#   netlab check    says whether it is so, and why not"
    for note in start.notes:
        yield "#"
        yield from _comment(note)
    yield ""
    yield from _lab(start)
    yield ""
    yield from _service(start)
    yield ""
    yield from _comment("Where it listens. A row of the matrix each.")
    yield "binds:"
    for row in start.binds:
        yield from _row(row)
    yield ""
    if start.vantages:
        yield from _comment(
            "Who dials. Without this, everybody does, the server's own host (server) included."
        )
        yield from _list("vantages", start.vantages)
        yield ""
    yield from _comment(
        "Who should get through: allow, deny, or an outcome such as refused. The last rule that is about a "
        "dial decides; where none is, it should come out as the facts predict."
    )
    if start.rules:
        yield "expect:"
    for rule in start.rules:
        yield from _rule(rule)


def _lab(start: Start) -> Iterator[str]:
    if isinstance(start.lab, str):
        yield from _comment("Hosts in network namespaces, made for the check: no root, no container.")
        yield f"lab: {_scalar(start.lab)}"
    else:
        yield from _comment("Brought up for the check, and taken down after it.")
        yield f"lab: {_mapping(start.lab)}"


def _service(start: Start) -> Iterator[str]:
    if start.command:
        yield from _comment("{address} and {port} are filled in; so is {python}, the host's own.")
    yield "service:"
    if start.command:
        yield from _list("command", start.command, "  ")
    yield f"  port: {start.port}"
    yield f"  check: {_scalar(start.check)}"


def _row(row: Row) -> Iterator[str]:
    if row.why:
        yield from _comment(row.why, "  ")
    alone = [*row.says] == ["address"]
    said = _scalar(row.says["address"]) if alone else _mapping(row.says)
    yield f"  {_scalar(row.name)}: {said}"


def _rule(rule: Rule) -> Iterator[str]:
    if rule.why:
        yield from _comment(rule.why, "  ")
    if not rule.of:
        yield f"  - {rule.wants}"
        return
    of = {key: names[0] if len(names) == 1 else names for key, names in rule.of.items()}
    said = _value(of["from"]) if [*of] == ["from"] else _mapping(of)
    yield f"  - {rule.wants}: {said}"


def _list(key: str, words: Iterable[str], indent: str = "") -> Iterator[str]:
    """Yield a list on one line, or a word a line where it would be too long."""
    words = [*words]
    line = f"{indent}{key}: {_flow(words)}"
    if len(line) <= _WIDTH:
        yield line
    else:
        yield f"{indent}{key}:"
        yield from (f"{indent}  - {_scalar(word)}" for word in words)


def _comment(text: str, indent: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _mapping(said: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in said.items()) + "}"


def _value(value: object) -> str:
    return _flow(map(str, value)) if isinstance(value, tuple) else _scalar(value)


def _flow(words: Iterable[str]) -> str:
    return "[" + ", ".join(map(_scalar, words)) + "]"


def _scalar(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    word = str(value)
    if _PLAIN.fullmatch(word) and not _NO_TEXT.fullmatch(word):
        return word
    return f'"{"".join(map(_escaped, word))}"'


def _escaped(character: str) -> str:
    """Write a character of a double-quoted text (YAML 1.2, 5.7)."""
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
