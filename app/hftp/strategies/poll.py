"""One thread asks poll() who is ready: the report's answer, to the letter.

- The listening socket is registered for POLLIN; its event means that a client waits: accept it, and
  register it for POLLIN.
- POLLIN of a client means that bytes came: take them, and switch it to POLLOUT.
- POLLOUT of a client means that there is room: send what answers them; then close and unregister if it
  has said goodbye, or switch back to POLLIN.

Nobody is waited for, and a large answer is sent in pieces, one an event, between which everyone else has
a turn. What it costs: each request takes two events and two changes of the registration, and each call of
poll() looks at every client, idle or not.
"""

from __future__ import annotations

import select
from contextlib import suppress

from hftp.peer import READ
from hftp.strategies.strategy import Strategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.peer import Peer


class Poll(Strategy):
    """Attends clients as poll() reports them."""

    def __init__(self) -> None:
        self._poll = select.poll()

    def watch(self, fd: int) -> None:
        """Register what is the server's own for POLLIN."""
        self._poll.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Report it no more."""
        self._poll.unregister(fd)

    def run(self) -> None:
        """Wait, attend whoever is ready, keep time, and so on."""
        server = self.server
        while not server.over:
            wait_s = server.wait_s
            for fd, _ in self._poll.poll(None if wait_s is None else wait_s * 1000 + 1):
                peer = server.peers.get(fd)
                if peer is None:
                    server.attend_own(fd)
                else:
                    self._attend(peer)
            server.keep_time()

    def _attend(self, peer: Peer) -> None:
        if peer.wants == READ:
            peer.receive()
        else:
            peer.send()
        if peer.wants:
            self._poll.modify(peer.fd, peer.wants)
        else:
            self.server.leave(peer)

    def welcome(self, peer: Peer) -> None:
        """Register a client for POLLIN."""
        self._poll.register(peer.fd, peer.wants)

    def farewell(self, peer: Peer) -> None:
        """Unregister a client."""
        with suppress(KeyError):  # there was no memory to register it
            self._poll.unregister(peer.fd)
