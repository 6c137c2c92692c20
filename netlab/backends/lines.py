"""Lines from a program that may be slow, silent, or without an end of line: bounded in time and in memory."""

from __future__ import annotations

import time
from collections.abc import Callable

from netlab.errors import LabError

# The facts of a host are an agent's longest line: some 100 KiB.
_LINE_MAX_BYTES = 16 << 20


class Lines:
    """What a program writes, line by line. For one reader at a time.

    Args:
        name: the program, for messages.
        read: waits for more until a deadline (of time.monotonic()); returns what came, nothing at the end;
            raises TimeoutError.
    """

    def __init__(self, name: str, read: Callable[[float], bytes]) -> None:
        self._name, self._read = name, read
        self._received = bytearray()
        self.at_end = False

    def readline(self, timeout_s: float) -> bytes:
        """Return the next line, newline included; at the end what is left, and then nothing.

        Raises:
            TimeoutError: no whole line came within `timeout_s` seconds.
            LabError: a line has no end.
        """
        deadline = time.monotonic() + timeout_s
        searched = 0
        while (newline := self._received.find(b"\n", searched)) < 0 and not self.at_end:
            searched = len(self._received)
            if searched > _LINE_MAX_BYTES:
                raise LabError(f"{self._name}: wrote a line of more than {_LINE_MAX_BYTES >> 20} MiB")
            data = self._read(deadline)
            self._received += data
            self.at_end = not data
        # At the end, what is left is the last line, though no newline closes it.
        length = newline + 1 if newline >= 0 else len(self._received)
        line = bytes(self._received[:length])
        del self._received[:length]
        return line
