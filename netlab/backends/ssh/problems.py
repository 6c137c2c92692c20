"""What goes wrong on the way to a machine, in one line for the user."""

from __future__ import annotations

import paramiko

from netlab.errors import LabError
from netlab.printable import printable

# What paramiko raises where a connection is lost, also when it is asked to end in good order. To click, an
# EOFError that nobody takes is somebody who presses Ctrl-D.
CONNECTION_ERRORS = (paramiko.SSHException, OSError, EOFError)


class ConnectError(LabError):
    """A machine can't be logged in to.

    Args:
        where: the machine, or the jump host on the way to it.
        problem: what went wrong, and what to do about it.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


def in_words(error: BaseException) -> str:
    """Return a foreign error's own words in one printable line; its class, where it has none."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join(text.split())) or type(error).__name__
