"""Templates: what is filled into a service's command and its files, and slips of the pen there. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from netlab.yamlfile import did_you_mean

# What runs the HFTP program takes the place of a whole argument: it may be more than one word.
HFTP = "{hftp}"
IN_BOTH = ("address", "endpoint", "port", "device", "data", "python")
IN_COMMANDS = (*IN_BOTH, "hftp")
IN_FILES = (*IN_BOTH, "nonce")

# A word that is filled in, unless a backslash says that it is to stay: `\{port}` becomes `{port}`.
_WORD = re.compile(r"(?<!\\)\{([A-Za-z][\w.-]*)\}")
# `{port}`, and what is written for it by mistake: `${port}`, `{{port}}`, `{ port }`.
# After a backslash it is none.
_BRACED = re.compile(r"([$%@]?)(?<!\\)\{{1,2} *([A-Za-z][\w.-]*) *\}{1,2}")
# How alike a word in another language's text has to be to one that is filled in, to be that one misspelt:
# such a language has words in braces, too.
_MISSPELT = 0.9


def fill(template: str, known: Mapping[str, str]) -> str:
    r"""Return a template with what is known filled in; other braces stay, and `\{port}` until `{data}` is."""
    return _WORD.sub(lambda found: known.get(found[1], found[0]), template)


def kept(text: str) -> str:
    """Return the template that text with braces of its own comes of, as it stands."""
    return _WORD.sub(r"\\\g<0>", text)


def asks_for(template: str, word: str) -> bool:
    """Whether a word is filled into a template."""
    return any(found[1] == word for found in _WORD.finditer(template))


def slip_in_argument(argument: str) -> str:
    """Return what is wrong with an argument of a command: a word in braces that is not filled in.

    A shell's own `${HOME}` is none, nor is curl's `%{http_code}`. An argument with spaces is taken for a
    program's text, as after `sh -c`: see `slip_in_text`.
    """
    if asks_for(argument, "hftp") and argument != HFTP:
        return f"{HFTP} is more than one word: it has to be an argument of its own"
    if " " in _BRACED.sub("", argument).strip() or "\n" in argument:
        return slip_in_text(argument, IN_COMMANDS)
    for found in _BRACED.finditer(argument):
        word = found[2].lower()
        if not found[1] and word in IN_COMMANDS and found[0] != f"{{{word}}}":
            return f"expected {{{word}}}; got {found[0]}{_escaped(found)}"
        if found[0] == f"{{{found[2]}}}" and found[2] not in IN_COMMANDS:
            return _unknown(found, did_you_mean(found[2], IN_COMMANDS), IN_COMMANDS)
    return slip_in_text(argument, IN_COMMANDS)


def slip_in_text(text: str, known: Collection[str] = IN_FILES) -> str:
    """Return what is wrong with text in another language: a word that is nearly one that is filled in.

    A shell's `${PORT}` is none, nor JavaScript's `{ port }`, nor Jinja's `{{ port }}`.
    """
    for found in _BRACED.finditer(text):
        word, written = f"{{{found[2]}}}", found[0].lstrip("%@")
        if found[2] in known:
            if (
                word in written and written != word
            ):  # `${port}`, `{{port}}`: only the inner part would be filled in
                return f"expected {word}; got {written}{_escaped(found)}"
        elif written == word and (hint := did_you_mean(found[2], known, _MISSPELT)):
            return _unknown(found, hint, known)
    return ""


def untold(command: Sequence[str], options: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a bind that nothing would tell the service, and what is to be done about each.

    Args:
        command: what starts the service with the bind.
        options: what is added to it for a bind that asks for it, by the bind's key.
    """
    problem = "nothing tells the service: put what it takes for it into service.options, such as"
    if not options["device"] and not any(asks_for(argument, "device") for argument in command):
        yield "device", f'{problem} device: [--device, "{{device}}"]'
    if not options["v6only"]:
        yield "v6only", f"{problem} v6only: [--v6only]"


def _unknown(found: re.Match[str], hint: str, known: Iterable[str]) -> str:
    there = ", ".join(f"{{{word}}}" for word in known)
    return f"nothing is called {{{found[2]}}}{hint}: there is {there}{_escaped(found)}"


def _escaped(found: re.Match[str]) -> str:
    """Return how to have the braces themselves, unless blanks do for that already."""
    word = f"{{{found[2]}}}"
    return f"; to have it as it stands: {found[0].replace(word, chr(92) + word)}" if word in found[0] else ""
