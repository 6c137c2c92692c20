"""What looks like a secret on a command line, and what is written in its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

MASK = "***"

# Words in the name of an option or of a variable that holds a secret: `--db-password`, `API_TOKEN`.
_WORDS = frozenset(
    {"pass", "passwd", "password", "passphrase", "passcode", "pwd", "pw", "secret", "token", "authorization"}
    | {"apikey", "accesskey", "secretkey", "privatekey", "credential", "credentials", "cookie"}
)
_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey")
_PAIRS = frozenset({"apikey", "accesskey", "secretkey", "privatekey"})

_ASSIGNED = re.compile(r"(?P<name>-{0,2}[A-Za-z][A-Za-z0-9_.-]*)(?P<sign>[=:])(?P<value>.+)", re.DOTALL)
# RFC 3986, 3.2.1: what stands between the colon and the at sign of a URL.
_IN_URL = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://[^/@:\s]*:)[^/@\s]+(?=@)")
# What services hand out: GitHub, GitLab, Slack, AWS, JSON web tokens (RFC 7519).
_HANDED_OUT = re.compile(r"\b(gh[pousr]_|github_pat_|glpat-|xox[abps]-|sk-|AKIA|eyJ)[A-Za-z0-9_.-]{8,}")
# A long run of letters and digits mixed: no word, no number.
_RANDOM = re.compile(r"(?=[A-Za-z0-9+/]*[0-9])(?=[A-Za-z0-9+/]*[A-Za-z])[A-Za-z0-9+]{20,}={0,2}")


def masked(words: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return a command's words with what looks like a secret replaced, and how many were."""
    out: list[str] = []
    option = ""
    for word in words:
        out.append(MASK if _names_a_secret(option) and not word.startswith("-") else _masked_within(word))
        option = word if word.startswith("-") and "=" not in word else ""
    return tuple(out), sum(new != old for new, old in zip(out, words, strict=True))


def _names_a_secret(name: str) -> bool:
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    pairs = {first + second for first, second in pairwise(words)}
    return bool(_WORDS & {*words} or _PAIRS & pairs) or any(word.endswith(_ENDINGS) for word in words)


def _masked_within(word: str) -> str:
    assigned = _ASSIGNED.fullmatch(word)
    if assigned and "://" not in assigned["name"] + assigned["sign"] and _names_a_secret(assigned["name"]):
        return f"{assigned['name']}{assigned['sign']}{MASK}"
    return _RANDOM.sub(MASK, _HANDED_OUT.sub(MASK, _IN_URL.sub(rf"\g<before>{MASK}", word)))
