"""Programs of the host, run to their end."""

from __future__ import annotations

import os
import subprocess

# After that it is taken for hung.
COMMAND_S = 20.0


def command(argv: list[str], given: str = "") -> tuple[int, str, str]:
    """Run a program to its end, in the C locale.

    Args:
        argv: the program and its arguments.
        given: its standard input.

    Returns:
        Its exit code, output and errors; 127, and why, if it can't be started or takes more than `COMMAND_S`.
    """
    try:
        done = subprocess.run(
            argv,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=COMMAND_S,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, "", str(error)
    return done.returncode, done.stdout, done.stderr
