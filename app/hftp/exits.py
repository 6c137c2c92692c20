"""The exit codes of the command `hftp`."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code says. Scripts may rely on them."""

    OK = 0
    FAILED = 1  # something on this machine: a file that can't be written, say
    USAGE = 2  # a wrong flag or argument; argparse uses the same
    CANNOT_SERVE = 3  # the address, port, device or directory can't be used
    UNKNOWN_HOST = 4  # the name has no address
    UNREACHABLE = 5  # nobody answers there: refused, no route
    TIMEOUT = 6  # no answer in time
    NOT_HFTP = 7  # something else answers
    TRUNCATED = 8  # the connection ended in the middle of an answer
    REFUSED_REQUEST = 9  # the server answered with an error
    INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT, as shells do
    BROKEN_PIPE = 141  # whoever read the output went away: 128 + SIGPIPE
