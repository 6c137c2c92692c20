"""Follow a program: keep the end of what it says on standard error, and learn what becomes of it."""

from __future__ import annotations

import os
import select
import threading

from netlab.backends.netns.wire import EXITED, FAILED, STARTED

_READ_BYTES = 1 << 16  # a pipe's capacity: pipe(7)
_TAIL_BYTES = 4096


class Follower:
    """A thread that reads two pipes until both end. It takes over their descriptors.

    Without it, a program that talks a lot would stand still because nobody listens.

    Args:
        name: of the program, for the thread's.
        stderr: read end of its standard error.
        status: read end of the pipe on which the lab init tells of its start and end: see `wire`.
    """

    def __init__(self, name: str, stderr: int, status: int) -> None:
        self._stderr, self._status = stderr, status
        self._tail, self._news = b"", b""
        self._told: dict[str, str] = {}
        self._no_more_news = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow, name=f"follower of {name}", daemon=True)
        self._thread.start()

    def started(self, timeout_s: float) -> int:
        """Wait until the program runs; return its process id in the lab.

        Raises:
            OSError: it can't be started.
            TimeoutError: it is not known.
        """
        told = self._wait_told({STARTED, FAILED}, timeout_s)
        if STARTED not in told:
            raise OSError(told.get(FAILED, "the lab is down"))
        return int(told[STARTED])

    def ended(self, timeout_s: float) -> int | None:
        """Wait until the program has ended; return its exit code, as in `subprocess`, or None if unknown.

        Raises:
            TimeoutError: it still runs.
        """
        code = self._wait_told({EXITED}, timeout_s).get(EXITED)
        return None if code is None else int(code)

    def tail(self) -> bytes:
        """Return the end of what it wrote to standard error so far, 4 KiB at most."""
        return self._tail

    def join(self, timeout_s: float) -> None:
        """Wait until there is nothing more to read."""
        self._thread.join(timeout_s)

    def _wait_told(self, words: set[str], timeout_s: float) -> dict[str, str]:
        with self._changed:
            if not self._changed.wait_for(lambda: words & self._told.keys() or self._no_more_news, timeout_s):
                raise TimeoutError
            return dict(self._told)

    def _follow(self) -> None:
        take = {self._stderr: self._take_diagnostics, self._status: self._take_news}
        poll = select.poll()
        for descriptor in take:
            poll.register(descriptor, select.POLLIN)
        while take:
            for descriptor, _ in poll.poll():
                chunk = os.read(descriptor, _READ_BYTES)
                take[descriptor](chunk)
                if not chunk:
                    poll.unregister(descriptor)
                    os.close(descriptor)
                    del take[descriptor]

    def _take_diagnostics(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]

    def _take_news(self, chunk: bytes) -> None:
        *lines, self._news = (self._news + chunk).split(b"\n")
        with self._changed:
            for line in lines:
                word, _, text = line.decode().partition(" ")
                self._told[word] = text
            self._no_more_news = not chunk
            self._changed.notify_all()
