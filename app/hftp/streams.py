"""The standard streams: they are always there, and what can't be said is not said."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

STDIN, STDOUT, STDERR = 0, 1, 2


def complete() -> None:
    """Open the standard streams that whoever started this process has closed (``>&-``).

    Else the next file or socket would have their number, and what is printed would go to a client. What is
    written to standard output fails as before, so that no result is lost without a word; what is said on
    standard error is lost.
    """
    for descriptor, flags in ((STDIN, os.O_RDONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(STDOUT, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(STDERR, "w", closefd=False)  # noqa: SIM115


def say(line: str) -> None:
    """Tell whoever runs the server, on standard error: at once, or not at all.

    Args:
        line: Without its end.
    """
    with suppress(OSError):
        if has_room(STDERR):
            os.write(STDERR, f"hftp: {line}\n".encode(errors="backslashreplace"))


def announce(lines: list[str]) -> None:
    """Write lines to standard output, if that can be.

    Args:
        lines: Without their ends.
    """
    with suppress(OSError):
        os.write(STDOUT, "".join(f"{line}\n" for line in lines).encode())


def drop(stream: TextIO) -> None:
    """Have what is still buffered for a standard stream go nowhere, also when Python flushes at exit.

    Args:
        stream: ``sys.stdout`` or ``sys.stderr``.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def has_room(descriptor: int) -> bool:
    """Say whether a line can be written without waiting for a reader: PIPE_BUF bytes, pipe(7)."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))
