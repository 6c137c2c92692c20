"""Runs a command on a terminal of its own, as somebody who types: a program, and what it says.

It answers the first question with a secret, and looks meanwhile at the arguments and the environment of
every process for it. The last line of its output says how the command ended, how often it asked, and where
the secret was seen.
"""

from __future__ import annotations

import os
import pty
import select
import sys
from pathlib import Path


def seen_in(secret: bytes) -> set[str]:
    """Return where every process shows a secret: `cmdline`, `environ`."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            for name in ("cmdline", "environ"):
                try:
                    if secret in (entry / name).read_bytes():
                        found.add(name)
                except OSError:  # it has ended, or is another account's
                    pass
    return found


def main(secret_file: str, question: str, *argv: str) -> None:
    """Run a command, and print what it printed.

    Args:
        secret_file: the file with the secret: no argument may have it.
        question: a part of the question that it answers.
        argv: the command.
    """
    secret = Path(secret_file).read_bytes()
    child, terminal = pty.fork()
    if not child:
        os.execvp(argv[0], argv)
    transcript, answered, seen = b"", False, set[str]()
    while True:
        if select.select([terminal], [], [], 0.02)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # its last process has closed it
                break
            transcript += piece
            if not answered and question.encode() in transcript:
                answered = True
                os.write(terminal, secret + b"\n")
        seen |= seen_in(secret)
    _, status = os.waitpid(child, 0)
    sys.stdout.write(transcript.decode(errors="replace"))
    times = transcript.count(question.encode())
    code = os.waitstatus_to_exitcode(status)
    sys.stdout.write(f"ENDED {code} QUESTIONS {times} SEEN {sorted(seen)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
