"""A coroutine for each client, in one thread.

The code of one client reads from top to bottom, as with threads; ``await`` marks the only places where
others may have their turn, so nothing has to be locked. What it costs: a task a client, and the event
loop's work, in Python, for each event.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hftp.peer import READ
from hftp.strategies.strategy import Strategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.peer import Peer


class Asyncio(Strategy):
    """Attends each client in a coroutine."""

    def __init__(self) -> None:
        self._watched: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def watch(self, fd: int) -> None:
        """Have the event loop call when it is readable."""
        self._watched.add(fd)
        with suppress(RuntimeError):  # it does not run yet: see _run()
            asyncio.get_running_loop().add_reader(fd, self._attend_own, fd)

    def unwatch(self, fd: int) -> None:
        """Call no more."""
        self._watched.discard(fd)
        with suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(fd)

    def run(self) -> None:
        """Run an event loop to the end."""
        try:
            asyncio.run(self._run())
        except MemoryError:  # the tasks have ended with the loop
            self._tasks.clear()
            for peer in list(self.server.peers.values()):
                peer.run_out_of_memory()
                self.server.leave(peer)
            raise

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()  # what there is to wait for
        for fd in self._watched:
            self.watch(fd)
        while not self.server.over:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self.server.wait_s)
            self._changed.clear()
            self.server.keep_time()

    def _attend_own(self, fd: int) -> None:
        self.server.attend_own(fd)
        self._changed.set()

    def welcome(self, peer: Peer) -> None:
        """Start a task for a client."""
        self._tasks[peer.fd] = self._loop.create_task(self._attend(peer))

    async def _attend(self, peer: Peer) -> None:
        try:
            while peer.wants:
                await self._ready(peer)
                peer.turn()
                if peer.lingers_until:
                    self._changed.set()
        except (MemoryError, OSError):  # the system's list, or a future, has no room
            peer.run_out_of_memory()
        self.server.leave(peer)
        self._changed.set()

    def _ready(self, peer: Peer) -> asyncio.Future[None]:
        """Wait until a peer can be read from, or sent to."""
        ready = self._loop.create_future()
        if peer.wants == READ:
            self._loop.remove_writer(peer.fd)
            self._loop.add_reader(peer.fd, _resolve, ready)
        else:
            self._loop.remove_reader(peer.fd)
            self._loop.add_writer(peer.fd, _resolve, ready)
        return ready

    def farewell(self, peer: Peer) -> None:
        """End its task, unless it is this task that ends."""
        self._loop.remove_reader(peer.fd)
        self._loop.remove_writer(peer.fd)
        task = self._tasks.pop(peer.fd, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
