"""How a running server is told to stop: by a signal, or by another thread."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """A request to stop that a loop can poll: a pipe that becomes readable.

    What is asked before the loop looks stays in the pipe, so it can't be lost.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """Give the descriptor that becomes readable."""
        return self._reader

    def ask(self) -> None:
        """Ask the server to stop. Asked twice, it does not wait for running answers."""
        os.write(self._writer, b"\0")

    def take(self) -> int:
        """Forget what was asked.

        Returns:
            How many times it was asked since the last call.
        """
        try:
            return len(os.read(self._reader, 64))
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._reader)
        os.close(self._writer)


class StopOnSignals(Stop):
    """Asks by itself when SIGTERM or SIGINT comes. A context manager, for the main thread."""

    def __enter__(self) -> StopOnSignals:
        # The wakeup descriptor is written to by the C handler, at once. The Python one would run too late:
        # poll() is restarted after it (PEP 475), and a signal just before poll() does not interrupt it.
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = [(number, signal.signal(number, lambda *_: None)) for number in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers:
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self.close()
