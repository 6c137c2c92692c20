"""The tokens that ssh expands in its settings: %h, %r, `~` and their like (ssh_config(5), TOKENS)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from netlab.inventory.names import check_path, shown
from netlab.inventory.settings import Account

_TOKEN = re.compile(r"%(.?)")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def expand(text: str, tokens: Mapping[str, str]) -> str:
    """Return text with what its tokens stand for.

    Args:
        text: a setting's value.
        tokens: letter to text; `%%` is always a percent sign.

    Raises:
        ValueError: a token that stands for nothing here.
    """

    def meaning(found: re.Match[str]) -> str:
        letter = found[1]
        if letter == "%":
            return "%"
        if letter not in tokens:
            known = ", ".join(f"%{known}" for known in sorted(tokens))
            raise ValueError(f"{shown(text)}: %{letter} stands for nothing here; {known} and %% do")
        return tokens[letter]

    return _TOKEN.sub(meaning, text)


def expand_path(text: str, tokens: Mapping[str, str], account: Account) -> Path:
    """Return the file that a setting names.

    Args:
        text: with `~` and tokens in it.
        tokens: letter to text.
        account: whose `~`, ${HOME} and ${USER} are meant.

    Raises:
        ValueError: it names none.
    """
    known = {"HOME": str(account.home), "USER": account.user}
    for name in _VARIABLE.findall(text):
        if name not in known:
            raise ValueError(f"{shown(text)}: of the environment's variables, only HOME and USER are read")
    path = _VARIABLE.sub(lambda found: known[found[1]], expand(text, tokens))
    if path == "~" or path.startswith("~/"):
        return Path(check_path(f"{account.home}{path[1:]}"))
    if path.startswith("~"):
        raise ValueError(f"{shown(text)}: of home directories, only one's own is known: write the whole path")
    return Path(check_path(path))
