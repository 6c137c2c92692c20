"""What a strategy is."""

from __future__ import annotations

import abc

from hftp.limits import NO_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.peer import Peer
    from hftp.serving import Server


class Strategy(abc.ABC):
    """Decides when each client has its turn.

    The methods without a docstring of their own in a strategy do as said here.

    Attributes:
        most_clients: How many it can attend at a time.
        server: Whose clients these are, from ``begin()`` on.
    """

    most_clients = NO_LIMIT
    server: Server

    def begin(self, server: Server) -> None:
        """Get ready."""
        self.server = server

    @abc.abstractmethod
    def watch(self, fd: int) -> None:
        """Have ``server.attend_own(fd)`` called whenever this descriptor is readable."""

    @abc.abstractmethod
    def unwatch(self, fd: int) -> None:
        """Do so no more."""

    @abc.abstractmethod
    def run(self) -> None:
        """Attend everyone until ``server.over``."""

    @abc.abstractmethod
    def welcome(self, peer: Peer) -> None:
        """Attend this client, too, from now on.

        Raises:
            OSError: The system has no room for another. The server closes it.
            MemoryError: The same.
        """

    def farewell(self, peer: Peer) -> None:
        """Attend it no more: its socket is about to be closed."""

    def expel(self, peer: Peer) -> None:
        """Have a client leave now: its time is over."""
        self.server.leave(peer)

    def ask_to_leave(self, peer: Peer) -> None:
        """Have a client leave when it has got the answer that has begun."""
        peer.stop()
        if not peer.wants:
            self.server.leave(peer)

    def reap(self) -> None:
        """Look who has ended among those that were started for clients."""

    def tell(self, number: int) -> None:
        """Pass a signal on to those that were started for clients."""

    def end(self) -> None:
        """Give back what it holds. Every client is gone."""
