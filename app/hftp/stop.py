"""How a running server is told something: by a signal, or by another thread."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

# A parent's word to its children: end now. A terminal (Ctrl-C) and systemd (KillMode=control-group) send
# their signal to parent and children alike, so a child that gets SIGTERM twice may have been asked once.
NOW = signal.SIGUSR2

# What ends the server, prints its counters, has it open its log anew; and says that a child has ended.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, NOW, signal.SIGUSR1, signal.SIGHUP, signal.SIGCHLD)

# No signal: another thread asks to look at what it has left.
WAKE = 0


class Stop:
    """What a server was told, as a descriptor that a loop can wait for: a pipe that becomes readable.

    What comes before the loop looks stays in the pipe, so it can't be lost.

    Attributes:
        is_child: Whether it is the copy of one in a parent, who says what is to be done.
    """

    def __init__(self) -> None:
        self._open()
        self._lifeline: int | None = None
        self.is_child = False

    def _open(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def filenos(self) -> list[int]:
        """Give the descriptors that become readable."""
        return [self._reader] if self._lifeline is None else [self._reader, self._lifeline]

    def ask(self, number: int = signal.SIGTERM) -> None:
        """Tell the server what a signal would. Asked twice to stop, it does not wait for running answers."""
        try:
            os.write(self._writer, bytes([number]))
        except BlockingIOError:  # full of what it was told and has not looked at: that includes this
            return

    def take(self, fd: int) -> list[int]:
        """Forget what was told.

        Args:
            fd: One of ``filenos()`` that has become readable. It may be none of them afterwards: then it is
                not to be waited for any more.

        Returns:
            The signals' numbers.
        """
        if fd == self._lifeline:  # its other end is closed: the parent is gone
            self._lifeline = None
            return [signal.SIGTERM]
        try:
            return list(os.read(self._reader, 512))
        except BlockingIOError:
            return []

    def _listen(self) -> None:
        """Have signals told to this, too."""

    def fork(self, lifeline: tuple[int, int]) -> int:
        """Fork. The child has a pipe of its own, and stops by itself when the parent is gone.

        No signal is lost or mistaken meanwhile: what comes for the child before it has its pipe waits.

        Args:
            lifeline: Both ends of a pipe that nobody writes to; the parent keeps them open.

        Returns:
            As ``os.fork()``.

        Raises:
            OSError: There can't be another process now.
        """
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._renew(lifeline)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return pid

    def _renew(self, lifeline: tuple[int, int]) -> None:
        """Make what is the child's own. If it can't, there is no child: it must not go on as its parent."""
        try:
            self.close()
            self._open()
            os.close(lifeline[1])
            self._lifeline = lifeline[0]
            self.is_child = True
            self._listen()
        except (OSError, MemoryError):
            os._exit(1)

    def close(self) -> None:
        """Give the descriptors back."""
        for fd in (*self.filenos(), self._writer):
            os.close(fd)


class StopOnSignals(Stop):
    """Is told by signals. A context manager, for the main thread."""

    def __enter__(self) -> StopOnSignals:
        # The wakeup descriptor is written to by the C handler, at once. The Python one would run too late:
        # poll() is restarted after it (PEP 475), and a signal just before poll() does not interrupt it.
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = [(number, signal.signal(number, lambda *_: None)) for number in _SIGNALS]
        return self

    def _listen(self) -> None:
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers:
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self.close()
