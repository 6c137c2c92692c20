"""A thread for each client.

Each waits for its own client only, so that the code of one client reads from top to bottom. What it
costs: a stack a client, a switch between threads an event, and care with whatever threads share. Here
they share nothing that changes: a thread touches only its own peer, and the server's thread closes it.
"""

from __future__ import annotations

import _thread
import errno
import select
import signal
import socket
from collections import deque
from contextlib import suppress

from hftp.fast import share_one_heap
from hftp.stop import WAKE
from hftp.strategies.poll import Poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.peer import Peer


class Threads(Poll):
    """Attends each client in a thread. The server's own thread only accepts and keeps time."""

    # Each takes 10 KiB and more, and a place among the system's processes.
    most_clients = 4096

    def __init__(self) -> None:
        super().__init__()
        share_one_heap()
        self._done: deque[Peer] = deque()
        self._woken = False  # whether the server's thread was, and has not looked yet
        self._unbegun: set[Peer] = set()  # whose threads have not begun, and won't if they have no memory
        self._stopping = False  # whether nothing more is to be answered

    def welcome(self, peer: Peer) -> None:
        """Start a thread for a client."""
        self._unbegun.add(peer)
        try:
            # Not by threading: that waits for the thread to run, for ever if it has no memory to begin with.
            _thread.start_new_thread(self._attend_alone, (peer,))
        except RuntimeError as error:
            self._unbegun.discard(peer)
            raise OSError(errno.EAGAIN, "no more threads can be started") from error

    def _attend_alone(self, peer: Peer) -> None:
        self._unbegun.discard(peer)
        try:
            self._attend(peer)
        except MemoryError:
            peer.run_out_of_memory()
        finally:
            self._done.append(peer)
            self._wake()

    def _attend(self, peer: Peer) -> None:
        waiter = select.poll()
        while peer.wants:
            waiter.register(peer.fd, peer.wants)
            waiter.poll()
            lingered = peer.lingers_until
            if self._stopping:
                peer.stop()
            peer.turn()
            if peer.lingers_until and not lingered:  # the server's thread ends that
                self._wake()

    def _wake(self) -> None:
        """Have the server's thread look at what has changed, which it does after it has cleared the mark."""
        if not self._woken:
            self._woken = True
            self.server.stop.ask(WAKE)

    def reap(self) -> None:
        """Close the peers whose threads have ended."""
        self._woken = False
        while self._done:
            self.server.leave(self._done.popleft())

    def tell(self, number: int) -> None:
        """When nothing else has helped, leave without those whose threads don't end: memory failed them."""
        if number == signal.SIGKILL:
            for peer in list(self.server.peers.values()):
                self.server.leave(peer)

    def farewell(self, peer: Peer) -> None:
        """Nothing: poll() does not know it."""

    def expel(self, peer: Peer) -> None:
        """Wake its thread, which finds the connection ended."""
        if peer in self._unbegun:
            self._unbegun.discard(peer)
            self.server.leave(peer)
            return
        with suppress(OSError):
            peer.socket.shutdown(socket.SHUT_RDWR)

    def ask_to_leave(self, peer: Peer) -> None:
        """Have its thread finish the answer that has begun, and wake it if it waits for a request."""
        self._stopping = True
        with suppress(OSError):
            peer.socket.shutdown(socket.SHUT_RD)
