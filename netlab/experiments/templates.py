"""Templates: what is filled into a service's command and its files, and slips of the pen there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.yamlfile import did_you_mean

# What runs the HFTP program takes the place of a whole argument: it may be more than one word.
HFTP = "{hftp}"
IN_BOTH = ("address", "endpoint", "port", "device", "data", "python")
IN_COMMANDS = (*IN_BOTH, "hftp")
IN_FILES = (*IN_BOTH, "nonce")

# `{port}`, and what is written for it by mistake: `${port}`, `{{port}}`, `{ port }`.
_BRACED = re.compile(r"\$?\{{1,2} *([A-Za-z][\w.-]*) *\}{1,2}")
# How alike a word in a file has to be to one that is filled in, to be that one misspelt: files are written in
# languages of their own, which have words in braces, too.
_MISSPELT = 0.9


def fill(template: str, known: Mapping[str, str]) -> str:
    """Return a template with what is known filled in; other braces stay."""
    for key, value in known.items():
        template = template.replace(f"{{{key}}}", value)
    return template


def slip_in_argument(argument: str) -> str:
    """Return what is wrong with an argument of a command: a word in braces that is not filled in.

    A shell's own `${HOME}` is none, nor are the braces of `awk '{ print }'`.
    """
    for found in _BRACED.finditer(argument):
        if problem := _otherwise_written(found, IN_COMMANDS):
            return problem
        if found[0] == f"{{{found[1]}}}" and found[1] not in IN_COMMANDS:
            hint = did_you_mean(found[1], IN_COMMANDS)
            return f"nothing is called {found[0]}{hint}: there is {_listed(IN_COMMANDS)}"
    if HFTP in argument and argument != HFTP:
        return f"{HFTP} is more than one word: it has to be an argument of its own"
    return ""


def slip_in_file(content: str) -> str:
    """Return what is wrong with a file's content: a word in braces that is nearly one that is filled in."""
    for found in _BRACED.finditer(content):
        if problem := _otherwise_written(found, IN_FILES):
            return problem
        if found[1] not in IN_FILES and (hint := did_you_mean(found[1], IN_FILES, _MISSPELT)):
            return f"nothing is called {found[0]}{hint}: there is {_listed(IN_FILES)}"
    return ""


def untold(command: Sequence[str], options: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a bind that nothing would tell the service, and what is to be done about each.

    Args:
        command: what starts the service with the bind.
        options: what is added to it for a bind that asks for it, by the bind's key.
    """
    problem = "nothing tells the service: put what it takes for it into service.options, such as"
    if not options["device"] and not any("{device}" in argument for argument in command):
        yield "device", f'{problem} device: [--device, "{{device}}"]'
    if not options["v6only"]:
        yield "v6only", f"{problem} v6only: [--v6only]"


def _otherwise_written(found: re.Match[str], known: Iterable[str]) -> str:
    word = found[1].lower()
    if word in known and found[0] != f"{{{word}}}":
        return f"expected {{{word}}}; got {found[0]}"
    return ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"{{{word}}}" for word in words)
