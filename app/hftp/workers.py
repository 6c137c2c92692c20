"""Several processes on one port: the system deals out the clients, and a process that dies is replaced.

The supervisor opens the sockets of all workers, and keeps them open: clients that wait for a worker that
has died are attended by the one in its place.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from hftp.stop import NOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from hftp.stop import Stop

# A worker that dies at once is started again this long after its last start, so that one that can't live
# costs a fork a second.
_RESTART_SECONDS = 1.0

# How much longer than its answers' grace a worker may take to end.
_PATIENCE_SECONDS = 2.0


class Workers:
    """A supervisor and its workers.

    Args:
        listeners: The sockets of each worker.
        work: What a worker does with its sockets, until it is told to stop.
        stop: What ends ``run()``.
        grace_s: How long, in seconds, running answers may take at the end.
        say: Is told in a line when a worker dies.
        reopen: Opens the log anew.
    """

    def __init__(
        self,
        listeners: Sequence[Sequence[socket.socket]],
        work: Callable[[Sequence[socket.socket]], None],
        stop: Stop,
        grace_s: float,
        say: Callable[[str], None],
        reopen: Callable[[], None],
    ) -> None:
        self._listeners = listeners
        self._work = work
        self._stop = stop
        self._grace_s = grace_s
        self._say = say
        self._reopen = reopen
        self._lifeline = os.pipe()
        self._workers: dict[int, int] = {}  # process: which one it is
        self._missing = set(range(len(listeners)))
        self._started_at = dict.fromkeys(self._missing, 0.0)
        self._ends_at = 0.0  # when those that have not ended are killed; 0: they were not asked to

    def run(self) -> None:
        """Keep the workers running until ``stop`` asks for the end; return when all have ended."""
        poll = select.poll()
        for fd in self._stop.filenos():
            poll.register(fd, select.POLLIN)
        try:
            while self._workers or not self._ends_at:
                self._start_missing()
                for fd, _ in poll.poll(self._wait_ms()):
                    # Who has ended comes last: told together with this, workers may be faster, and of two
                    # signals that wait the handler of the later one runs first.
                    for number in sorted(self._stop.take(fd), key=lambda number: number == signal.SIGCHLD):
                        self._obey(number)
                if 0 < self._ends_at <= time.monotonic():
                    self._tell(signal.SIGKILL)
        finally:
            self._tell(signal.SIGKILL)
            for fd in self._lifeline:
                os.close(fd)

    def _wait_ms(self) -> float | None:
        times = [self._started_at[which] + _RESTART_SECONDS for which in self._missing]
        if self._ends_at:
            times.append(max(self._ends_at, time.monotonic() + 0.05))
        return max(0.0, min(times) - time.monotonic()) * 1000 + 1 if times else None

    def _start_missing(self) -> None:
        now = time.monotonic()
        for which in list(self._missing):
            if now - self._started_at[which] >= _RESTART_SECONDS:
                self._started_at[which] = now
                self._start(which)

    def _start(self, which: int) -> None:
        try:
            pid = self._stop.fork(self._lifeline)
        except OSError as error:
            self._say(f"can't start a worker: {error.strerror}: trying again")
            return
        if pid == 0:
            self._become(which)
        self._workers[pid] = which
        self._missing.discard(which)

    def _become(self, which: int) -> None:
        """Be a worker, and end."""
        code = 1
        try:
            mine = self._listeners[which]
            for listeners in self._listeners:
                # Another's socket that stays open here would be dealt clients when that other has ended.
                for listener in listeners if listeners is not mine else ():
                    listener.close()
            self._work(mine)
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())  # why it ends: nothing else would say so
        finally:
            os._exit(code)

    def _obey(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
            return
        if number in (signal.SIGTERM, signal.SIGINT, NOW):
            number = NOW if self._ends_at else signal.SIGTERM
            if not self._ends_at:
                self._ends_at = time.monotonic() + self._grace_s + _PATIENCE_SECONDS
                self._missing.clear()
                for listeners in self._listeners:
                    for listener in listeners:
                        listener.close()
        elif number == signal.SIGHUP:
            self._reopen()  # for those that will take the place of others
        self._tell(number)

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            which = self._workers.pop(pid, None)
            if which is not None and not self._ends_at:  # whoever was started before exec() is no worker
                self._missing.add(which)
                self._say(f"worker {pid} {_how(status)}: another takes its place")

    def _tell(self, number: int) -> None:
        if number:
            for pid in self._workers:
                os.kill(pid, number)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was ended by signal {os.WTERMSIG(status)}"
    return f"ended with code {os.WEXITSTATUS(status)}"
