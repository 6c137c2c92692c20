"""A program on this very machine: the controller as a host among others."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress

from netlab.backends.lines import Lines
from netlab.errors import LabError

_READ_BYTES = 1 << 16
_DIAGNOSTICS_BYTES = 4096
_GRACE_S = 1.0


class LocalChannel:
    """The standard input and output of a child process.

    Args:
        argv: the program and its arguments.

    Raises:
        LabError: it can't be started.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        # It lives as long as the channel, not as long as a block.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._lines = Lines(argv[0], self._read)
        try:
            self._process = subprocess.Popen(
                argv, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        except OSError as error:
            self._errors.close()
            raise LabError(f"{argv[0]} can't be started here: {error.strerror}") from None

    def send(self, data: bytes) -> None:
        """Write all of `data` to the program's standard input.

        Raises:
            LabError: the program is gone.
        """
        assert self._process.stdin is not None
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        except (OSError, ValueError):
            raise LabError("a program of this machine reads no more") from None

    def readline(self, timeout_s: float) -> bytes:
        """Return the next line of its standard output, newline included; empty at its end.

        Raises:
            TimeoutError: no whole line came within `timeout_s` seconds.
            LabError: a line has no end.
        """
        return self._lines.readline(timeout_s)

    def diagnostics(self) -> str:
        """Return what the program wrote to standard error so far (the last 4 KiB)."""
        if self._errors.closed:
            return ""
        size = os.fstat(self._errors.fileno()).st_size
        start = max(0, size - _DIAGNOSTICS_BYTES)
        return os.pread(self._errors.fileno(), size - start, start).decode(errors="replace")

    def close(self) -> None:
        """Close its standard input, and see to it that the program ends. Safe to repeat."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _read(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError("no answer in time from a program of this machine")
        return os.read(self._process.stdout.fileno(), _READ_BYTES)
