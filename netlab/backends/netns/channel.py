"""A program on a host, seen from the controller: pipes, and what became of it."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab.backends.netns.wire import EXITED, STARTED
from netlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_BYTES = 1 << 16  # a pipe's capacity: pipe(7)
_LINE_MAX_BYTES = 16 << 20  # an agent's longest line is its facts, some 100 KiB
_DIAGNOSTICS_BYTES = 4096
_SEND_WITHIN_S = 30.0
_START_WITHIN_S = 30.0
_GRACE_S = 1.0  # between SIGTERM and SIGKILL


class PipeChannel:
    """The standard input, output and error of a program, over pipes. It takes over the descriptors.

    Args:
        name: the host and the program, for messages.
        stdin: write end of its standard input.
        stdout: read end of its standard output.
        stderr: read end of its standard error.
        status: read end of the pipe on which the lab init tells of its start and end.
        kill: sends a signal to a process of the lab, by its id there.
    """

    def __init__(
        self, name: str, stdin: int, stdout: int, stderr: int, status: int, kill: Callable[[int, int], None]
    ) -> None:
        self._name, self._stdin, self._stdout, self._status = name, stdin, stdout, status
        self._kill = kill
        self._pid = 0
        self._returncode: int | None = None
        self._received = bytearray()
        self._news = bytearray()
        self._closed = False
        self._writing, self._reading, self._waiting = threading.Lock(), threading.Lock(), threading.Lock()
        self._diagnostics = b""
        os.set_blocking(stdin, False)
        # A program that talks a lot must not stand still because nobody listens.
        self._listener = threading.Thread(
            target=self._listen, args=(stderr,), name=f"stderr of {name}", daemon=True
        )
        self._listener.start()

    def started(self) -> None:
        """Wait until the program runs.

        Raises:
            LabError: it can't be started.
        """
        word, text = self._next_news(_START_WITHIN_S)
        if word != STARTED:
            raise LabError(f"{self._name}: can't be started: {text or 'the lab is down'}")
        self._pid = int(text)

    @property
    def pid(self) -> int:
        """Its process id in the lab's PID namespace."""
        return self._pid

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
        deadline = time.monotonic() + timeout_s
        with self._reading:
            return _read_line(self._stdout, self._received, deadline, self._name) if not self._closed else b""

    def wait(self, timeout_s: float) -> int:
        """Wait for the program's end: return its exit code, or the negative number of the signal that ended it.

        Raises:
            TimeoutError: it still runs.
            LabError: it ended with the lab, nobody knows how.
        """
        with self._waiting:
            if self._returncode is None:
                if self._closed:
                    raise LabError(f"{self._name}: ended with the lab")
                word, text = self._next_news(timeout_s)
                if word != EXITED:
                    raise LabError(f"{self._name}: ended with the lab")
                self._returncode = int(text)
            return self._returncode

    def diagnostics(self) -> str:
        """Return what the program wrote to standard error so far (the last 4 KiB)."""
        return self._diagnostics.decode(errors="replace")

    def close(self) -> None:
        """End the program (SIGTERM, and SIGKILL a second later), and with it its process group. Safe to repeat."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self._closed and not self._ended(0):
                with suppress(LabError):
                    self._kill(self._pid, number)
                if self._ended(_GRACE_S):
                    break
        self.release()

    def release(self) -> None:
        """Close the pipes, once the program has ended. Safe to repeat."""
        with self._writing, self._reading, self._waiting:
            if self._closed:
                return
            self._closed = True
            for descriptor in (self._stdin, self._stdout, self._status):
                os.close(descriptor)
        # It ends with the last process that has the pipe: one that made itself a session of its own may go
        # on.
        self._listener.join(_GRACE_S)

    def _ended(self, timeout_s: float) -> bool:
        try:
            self.wait(timeout_s)
        except TimeoutError:
            return False
        except LabError:
            return True
        return True

    def _next_news(self, timeout_s: float) -> tuple[str, str]:
        line = _read_line(self._status, self._news, time.monotonic() + timeout_s, self._name)
        word, _, text = line.decode().rstrip("\n").partition(" ")
        return word, text

    def _write(self, rest: memoryview, deadline: float) -> int:
        if self._closed or not _wait(self._stdin, select.POLLOUT, deadline):
            raise LabError(f"{self._name}: {'has ended' if self._closed else 'does not read its input'}")
        try:
            return os.write(self._stdin, rest)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise LabError(f"{self._name}: does not take input any more: {self._last_diagnostic()}") from None

    def _last_diagnostic(self) -> str:
        return next(reversed(self.diagnostics().split("\n")[:-1]), "it said nothing on standard error")

    def _listen(self, stderr: int) -> None:
        with open(stderr, "rb", buffering=0) as stream:  # noqa: PTH123 (a descriptor has no path)
            while chunk := stream.read(_READ_BYTES):
                self._diagnostics = (self._diagnostics + chunk)[-_DIAGNOSTICS_BYTES:]


def _read_line(descriptor: int, received: bytearray, deadline: float, name: str) -> bytes:
    """Take a line from `received`, which holds what was read beyond earlier lines, reading on as needed."""
    searched = 0
    while (end := received.find(b"\n", searched)) < 0:
        searched = len(received)
        if searched > _LINE_MAX_BYTES:
            raise LabError(f"{name}: wrote a line of more than {_LINE_MAX_BYTES >> 20} MiB")
        if not _wait(descriptor, select.POLLIN, deadline):
            raise TimeoutError(f"{name}: no answer in time")
        chunk = os.read(descriptor, _READ_BYTES)
        if not chunk:
            end = len(received) - 1
            break
        received += chunk
    line = bytes(received[: end + 1])
    del received[: end + 1]
    return line


def _wait(descriptor: int, event: int, deadline: float) -> bool:
    """Wait until a descriptor is ready, or at its end; whether it was so before the deadline."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
