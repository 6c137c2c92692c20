"""One thread asks epoll who is ready.

What changes against ``poll``: the system keeps the list of those who are waited for, and reports only who
is ready, so that ten thousand idle clients cost nothing; and the answer is sent in the same turn, without
waiting for the event that there is room, which there nearly always is. Only who must wait is registered
for EPOLLOUT.
"""

from __future__ import annotations

import select

from hftp.fast import EVENT_BATCH
from hftp.strategies.strategy import Strategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.peer import Peer
    from hftp.server import Server


class Epoll(Strategy):
    """Attends clients as epoll reports them."""

    def begin(self, server: Server) -> None:
        """Open the system's lists: one of all, and one of what is the server's own, which is in the first."""
        super().begin(server)
        self._epoll = select.epoll()
        self._own = select.epoll()
        self._epoll.register(self._own.fileno(), select.EPOLLIN)

    def watch(self, fd: int) -> None:
        """Add what is the server's own to its list."""
        self._own.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Take it off."""
        self._own.unregister(fd)

    def run(self) -> None:
        """Wait, give a turn to whoever is ready, keep time, and so on."""
        server, peers = self.server, self.server.peers
        while not server.over:
            events = self._epoll.poll(server.wait_s, EVENT_BATCH)
            for fd, _ in events:
                peer = peers.get(fd)
                if peer is not None:
                    self._attend(peer)
                elif fd == self._own.fileno():
                    self._attend_own()
            if len(events) == EVENT_BATCH:  # more are ready: new clients don't wait for all of them
                self._attend_own()
            server.keep_time()

    def _attend_own(self) -> None:
        for fd, _ in self._own.poll(0):
            self.server.attend_own(fd)

    def _attend(self, peer: Peer) -> None:
        before = peer.wants
        peer.turn()
        if not peer.wants:
            self.server.leave(peer)
        elif peer.wants != before:
            self._epoll.modify(peer.fd, peer.wants)

    def welcome(self, peer: Peer) -> None:
        """Add a client to the list, and give it a turn: its first request often came with it.

        Its socket leaves the list when it is closed: epoll(7).
        """
        self._epoll.register(peer.fd, peer.wants)
        self._attend(peer)

    def end(self) -> None:
        """Close the lists."""
        self._own.close()
        self._epoll.close()
