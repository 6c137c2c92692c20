"""What goes wrong on a host, in one line for the user."""

from __future__ import annotations

import errno


class ProblemError(Exception):
    """Something to tell the user in one line."""


def printable(text: str) -> str:
    """Return a text of strangers in one line."""
    return "".join(char if char.isprintable() else " " for char in text)[:400]


def in_words(error: BaseException) -> str:
    """Write an exception in one line."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return " ".join(
        (str(error) if isinstance(error, ProblemError) else f"{type(error).__name__}: {error}").split()
    )
