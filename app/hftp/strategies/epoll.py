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
        """Open the system's list."""
        super().begin(server)
        self._epoll = select.epoll()

    def watch(self, fd: int) -> None:
        """Add what is the server's own to the list."""
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Take it off."""
        self._epoll.unregister(fd)

    def run(self) -> None:
        """Wait, give a turn to whoever is ready, keep time, and so on."""
        server, peers = self.server, self.server.peers
        while not server.over:
            for fd, _ in self._epoll.poll(server.wait_s, EVENT_BATCH):
                peer = peers.get(fd)
                if peer is None:
                    server.attend_own(fd)
                    continue
                before = peer.wants
                peer.turn()
                if not peer.wants:
                    server.leave(peer)
                elif peer.wants != before:
                    self._epoll.modify(fd, peer.wants)
            server.keep_time()

    def welcome(self, peer: Peer) -> None:
        """Add a client to the list. Its socket leaves the list when it is closed: epoll(7)."""
        self._epoll.register(peer.fd, peer.wants)

    def end(self) -> None:
        """Close the list."""
        self._epoll.close()
