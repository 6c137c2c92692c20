"""One thread asks epoll who is ready.

What changes against ``poll``: the system keeps the list of those who are waited for, and reports only who
is ready, so that ten thousand idle clients cost nothing; and the answer is sent in the same turn, without
waiting for the event that there is room, which there nearly always is. Only who must wait is registered
for EPOLLOUT.
"""

from __future__ import annotations

import select

from hftp.fast import EVENT_BATCH
from hftp.peer import READ, WRITE
from hftp.strategies.strategy import Strategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.peer import Peer
    from hftp.serving import Server


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
        server = self.server
        while not server.over:
            events = self._epoll.poll(server.wait_s, EVENT_BATCH)
            own = self._attend_each(events)
            # With as many events there may be more: new clients don't wait for all of them.
            if own or len(events) == EVENT_BATCH:
                self._attend_own()
            server.keep_time()

    def _attend_each(self, events: list[tuple[int, int]]) -> bool:
        """Take what each has sent, and then answer each: what one was told of a file is true for the next.

        Returns:
            Whether there is something for the server itself.
        """
        peers, asking, taking, own = self.server.peers, [], [], False
        for fd, _ in events:
            peer = peers.get(fd)
            if peer is None:
                own = True
            elif peer.wants == READ:
                peer.receive()
                asking.append(peer)
            else:
                taking.append(peer)
        with self.server.directory.moment:
            for peer in asking:
                if peer.wants == WRITE:
                    peer.send()
                if peer.wants != READ:
                    self._note(peer)
            for peer in taking:
                peer.send()
                if peer.wants != WRITE:
                    self._note(peer)
        return own

    def _note(self, peer: Peer) -> None:
        """Wait for something else from now on, or for nothing more."""
        if peer.wants:
            self._epoll.modify(peer.fd, peer.wants)
        else:
            self.server.leave(peer)

    def _attend_own(self) -> None:
        for fd, _ in self._own.poll(0):
            self.server.attend_own(fd)

    def welcome(self, peer: Peer) -> None:
        """Give a client a turn: its first request often came with it. Add it to the list if it stays.

        Its socket leaves the list when it is closed: epoll(7).
        """
        peer.turn()
        if peer.wants:
            self._epoll.register(peer.fd, peer.wants)
        else:
            self.server.leave(peer)

    def end(self) -> None:
        """Close the lists."""
        self._own.close()
        self._epoll.close()
