"""A program on a host, seen from the controller."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab.backends.lines import Lines
from netlab.backends.netns.follower import Follower
from netlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_BYTES = 1 << 16  # a pipe's capacity: pipe(7)
_START_WITHIN_S = 30.0
_SEND_WITHIN_S = 30.0
_GRACE_S = 1.0  # between SIGTERM and SIGKILL


class PipeChannel:
    """The standard input, output and error of a program, over pipes. It takes over their descriptors.

    Args:
        name: the host and the program, for messages.
        stdin: write end of its standard input.
        stdout: read end of its standard output.
        stderr: read end of its standard error.
        status: read end of the pipe on which the lab init tells of its start and end.
        kill: sends a signal to a program of the lab, by its process id there.
        forget: called once the pipes are closed.
    """

    def __init__(
        self,
        name: str,
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        status: int,
        kill: Callable[[int, int], None],
        forget: Callable[[PipeChannel], None],
    ) -> None:
        self._name, self._stdin, self._stdout = name, stdin, stdout
        self._kill, self._forget = kill, forget
        self._pid = 0
        self._lines = Lines(name, self._read)
        self._closed = False
        self._writing, self._reading = threading.Lock(), threading.Lock()
        os.set_blocking(stdin, False)
        self._follower = Follower(name, stderr, status)

    def wait_started(self) -> None:
        """Wait until the program runs.

        Raises:
            LabError: it can't be started.
        """
        try:
            self._pid = self._follower.started(_START_WITHIN_S)
        except OSError as error:
            raise LabError(f"{self._name}: can't be started: {error}") from error

    def send(self, data: bytes) -> None:
        """Write all of `data` to the program's standard input.

        Raises:
            LabError: the program is gone, or doesn't read.
        """
        rest = memoryview(data)
        deadline = time.monotonic() + _SEND_WITHIN_S
        with self._writing:
            while rest:
                rest = rest[self._write(rest, deadline) :]

    def readline(self, timeout_s: float) -> bytes:
        """Return the next line of its standard output, newline included; empty at its end.

        Raises:
            TimeoutError: no whole line came within `timeout_s` seconds.
            LabError: a line has no end.
        """
        with self._reading:
            return self._lines.readline(timeout_s)

    def wait(self, timeout_s: float) -> int:
        """Wait for the program's end: return its exit code, or minus the number of the signal that ended it.

        Raises:
            TimeoutError: it still runs.
            LabError: it ended with the lab.
        """
        code = self._follower.ended(timeout_s)
        if code is None:
            raise LabError(f"{self._name}: ended with the lab")
        return code

    def send_signal(self, number: int) -> None:
        """Send the program's process group a signal.

        Raises:
            LabError: the lab is gone.
        """
        self._kill(self._pid, number)

    def diagnostics(self) -> str:
        """Return what the program wrote to standard error so far (the last 4 KiB)."""
        if self._lines.at_end:
            self._follower.join(_GRACE_S)  # its last words are still on their way
        return self._follower.tail().decode(errors="replace")

    def close(self) -> None:
        """End the program and its process group: SIGTERM, a second later SIGKILL. Safe to repeat."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._runs(0):
                with suppress(LabError):
                    self._kill(self._pid, number)
                self._runs(_GRACE_S)
        self.release()

    def release(self) -> None:
        """Close the pipes, once the program has ended. Safe to repeat."""
        with self._writing, self._reading:
            if self._closed:
                return
            self._closed = self._lines.at_end = True
            os.close(self._stdin)
            os.close(self._stdout)
        # A process that made itself a session of its own may live on, and have the pipe, until the lab's end.
        self._follower.join(_GRACE_S)
        self._forget(self)

    def _runs(self, timeout_s: float) -> bool:
        try:
            self._follower.ended(timeout_s)
        except TimeoutError:
            return True
        return False

    def _read(self, deadline: float) -> bytes:
        if not _is_ready(self._stdout, select.POLLIN, deadline):
            raise TimeoutError(f"{self._name}: no answer in time")
        return os.read(self._stdout, _READ_BYTES)

    def _write(self, rest: memoryview, deadline: float) -> int:
        if self._closed:
            raise LabError(f"{self._name}: is closed")
        if not _is_ready(self._stdin, select.POLLOUT, deadline):
            raise LabError(f"{self._name}: does not read its input")
        try:
            return os.write(self._stdin, rest)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            self._follower.join(_GRACE_S)
            *_, last = (
                "nothing on standard error",
                *self._follower.tail().decode(errors="replace").splitlines(),
            )
            raise LabError(f"{self._name}: reads no more; it said: {last}") from None


def _is_ready(descriptor: int, event: int, deadline: float) -> bool:
    """Wait until a descriptor is ready, or at its end; whether it was so before the deadline."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
