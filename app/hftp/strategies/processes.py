"""A process for each client: fork, as servers did first.

Whatever a client does to its process happens to nobody else. What it costs: a fork a client, and a
process's memory. The parent only accepts and counts; each child is a server for one client, with limits
and an end of its own, and it ends when the parent does, however that ends.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from contextlib import suppress

from hftp.strategies.poll import Poll
from hftp.strategies.sequential import Sequential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hftp.peer import Peer
    from hftp.serving import Server

# What a child tells when its client has left: requests, bytes, and whether it ran out of memory.
_REPORT = struct.Struct("QQQ")


class Processes(Poll):
    """Attends each client in a process."""

    # Each takes a MiB and more.
    most_clients = 1024

    def __init__(self) -> None:
        super().__init__()
        self._peers: dict[int, Peer] = {}  # by process

    def begin(self, server: Server) -> None:
        """Open the pipes that tell children of the parent's end, and the parent of their work."""
        super().begin(server)
        self._lifeline = os.pipe()
        self._reports, self._report = os.pipe()
        os.set_blocking(self._reports, False)

    def welcome(self, peer: Peer) -> None:
        """Fork. The parent closes its copy of the socket: the child's is the connection."""
        pid = self.server.stop.fork(self._lifeline)
        if pid == 0:
            self._attend_alone(peer)
        self._peers[pid] = peer
        del self.server.peers[peer.fd]
        peer.socket.close()

    def _attend_alone(self, peer: Peer) -> NoReturn:
        """Be a server for one client, and end."""
        code = 1
        try:
            server = self.server.for_one_client(Sequential())
            server.adopt(peer)
            server.run()
            counters = server.counters
            os.write(self._report, _REPORT.pack(counters.requests, counters.bytes, counters.out_of_memory))
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())  # why it ends: nothing else would say so
        finally:
            os._exit(code)

    def reap(self) -> None:
        """Count the clients of children that have ended as gone."""
        with suppress(ChildProcessError):
            while True:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                peer = self._peers.pop(pid, None)
                if peer is not None:  # whoever was started before exec() attends no client
                    self.server.depart(peer)
        with suppress(BlockingIOError):
            for report in _REPORT.iter_unpack(os.read(self._reports, 1024 * _REPORT.size)):
                self.server.count(*report)

    def tell(self, number: int) -> None:
        """Send each child the signal."""
        for pid in self._peers:
            os.kill(pid, number)

    def farewell(self, peer: Peer) -> None:
        """Nothing: poll() does not know it."""

    def end(self) -> None:
        """End what is left of them, and close the pipes."""
        self.tell(signal.SIGKILL)
        for fd in (*self._lifeline, self._reports, self._report):
            os.close(fd)
