"""Passphrases and passwords: asked for once, on the terminal, and kept in memory only."""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Callable
from pathlib import Path

# Asks a person: is given the question, returns the answer, None where there is nobody to ask.
Ask = Callable[[str], str | None]


def ask_on_terminal(question: str) -> str | None:
    """Ask on the controlling terminal, without an echo."""
    if not sys.stdin.isatty():
        return None
    return getpass.getpass(f"{question}: ")


class Secrets:
    """What was asked for so far. Safe to use from several threads: a question is put once.

    Args:
        ask: puts a question to a person.
    """

    def __init__(self, ask: Ask = ask_on_terminal) -> None:
        self._ask = ask
        self._known: dict[str, str | None] = {}
        self._asking = threading.Lock()

    def passphrase(self, key: Path) -> str | None:
        """Return the passphrase of an encrypted private key; None if nobody knows it."""
        return self._once(f"passphrase of {key}")

    def password(self, user: str) -> str | None:
        """Return an account's password, the same on every machine of the lab; None if nobody knows it."""
        return self._once(f"password of {user} on the machines that ask for one")

    def _once(self, question: str) -> str | None:
        with self._asking:
            if question not in self._known:
                self._known[question] = self._ask(question)
            return self._known[question]

    def __repr__(self) -> str:
        return f"Secrets({len(self._known)} known)"
