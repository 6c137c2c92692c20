"""The loop that attends all clients of a load: one thread, epoll, a heap of times.

It has to be faster than what it measures. So a client's reaction is one bound method, looked up by
descriptor; nothing is allocated for an answer that is as expected; and what the loop itself costs is
measured, too: ``busy_s`` and ``longest_turn_s`` say how long answers may have waited here.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READABLE = select.POLLIN
WRITABLE = select.POLLOUT

clock = time.perf_counter


class _Poll:
    """``select.epoll``'s methods where there is only poll()."""

    def __init__(self) -> None:
        poll = select.poll()
        self.register, self.modify, self.unregister = poll.register, poll.modify, poll.unregister
        self._poll = poll.poll

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """Wait for events, ``timeout`` seconds at most."""
        return self._poll(timeout * 1000)

    def close(self) -> None:
        """Do nothing: it holds no descriptor."""


class Loop:
    """Calls a client when its socket has something for it, or when its time has come.

    Attributes:
        began_at: When ``run()`` began, in ``clock()`` seconds.
        ends_at: When it ends at the latest.
        busy_s: How long it was not waiting, in seconds.
        longest_turn_s: The longest time between two looks at the sockets.
    """

    def __init__(self, seconds: float) -> None:
        self.began_at = clock()
        self.ends_at = self.began_at + seconds
        self.busy_s = 0.0
        self.longest_turn_s = 0.0
        self._poller = select.epoll() if hasattr(select, "epoll") else _Poll()
        self._reactions: dict[int, Callable[[], None]] = {}
        self._times: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()  # so that two equal times need not compare functions

    def watch(self, fd: int, events: int, reaction: Callable[[], None]) -> None:
        """Call a function whenever a descriptor, not watched so far, is ready."""
        self._reactions[fd] = reaction
        self._poller.register(fd, events)

    def change(self, fd: int, events: int, reaction: Callable[[], None]) -> None:
        """Watch a descriptor for something else."""
        self._reactions[fd] = reaction
        self._poller.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Watch a descriptor no more, if it was. Before it is closed."""
        if self._reactions.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def call_at(self, when: float, reaction: Callable[[], None]) -> None:
        """Call a function at a time of ``clock()``."""
        heapq.heappush(self._times, (when, next(self._serial), reaction))

    def run(self, enough: Callable[[], bool]) -> float:
        """Attend the clients.

        Args:
            enough: Is asked every turn whether to end before the time is over.

        Returns:
            How long it took, in seconds.
        """
        poll, reactions = self._poller.poll, self._reactions
        turn_began = clock()
        while turn_began < self.ends_at and not enough():
            events = poll(self._wait_s(turn_began))
            woke = clock()
            for fd, _ in events:
                reactions[fd]()
            if self._times:
                self._keep_time()
            turn_began = clock()
            turn = turn_began - woke
            self.busy_s += turn
            if turn > self.longest_turn_s:
                self.longest_turn_s = turn
        return turn_began - self.began_at

    def close(self) -> None:
        """Give the descriptor back."""
        self._poller.close()

    def _wait_s(self, now: float) -> float:
        until = min(self.ends_at, self._times[0][0]) if self._times else self.ends_at
        return max(0.0, until - now)

    def _keep_time(self) -> None:
        now = clock()
        while self._times and self._times[0][0] <= now:
            _, _, reaction = heapq.heappop(self._times)
            reaction()
