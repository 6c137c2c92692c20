"""What a server has done so far, in numbers."""

from __future__ import annotations

import os
import time

from hftp.limits import Overdue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from hftp.peer import Peer


class Counters:
    """Numbers since the start.

    Attributes:
        clients: How many were let in.
        refused: How many were not: there were too many from their address, or no room after all.
        out_of_memory: How many were disconnected since there was too little memory for what they asked.
        requests: How many were answered for clients that have left.
        bytes: How many those took.
    """

    def __init__(self) -> None:
        self.clients = 0
        self.refused = 0
        self.out_of_memory = 0
        self.requests = 0
        self.bytes = 0
        self._overdue = dict.fromkeys(Overdue, 0)
        self._began_at = time.monotonic()

    def add(self, requests: int, count: int, out_of_memory: int) -> None:
        """Count what was done for a client that has left.

        Args:
            requests: How many it made.
            count: How many bytes it took.
            out_of_memory: 1 if it was disconnected since there was too little memory, or 0.
        """
        self.requests += requests
        self.bytes += count
        self.out_of_memory += out_of_memory

    def note_overdue(self, limit: Overdue) -> None:
        """Count a client that passed a limit."""
        self._overdue[limit] += 1

    def describe(self, present: Iterable[Peer], count: int) -> str:
        """Write the counters in a line.

        Args:
            present: The clients that have not left.
            count: How many there are, by whomever they are attended.

        Returns:
            Words and numbers: ``process 4711, up 60 s, clients 2 of 100, ...``.
        """
        connections = [peer.connection for peer in list(present)]
        requests = self.requests + sum(connection.requests for connection in connections)
        taken = self.bytes + sum(connection.bytes_taken for connection in connections)
        overdue = ", ".join(f"{limit.value} {number}" for limit, number in self._overdue.items())
        return (
            f"process {os.getpid()}, up {time.monotonic() - self._began_at:.0f} s, "
            f"clients {count} now and {self.clients} in all, requests {requests}, bytes {taken}, "
            f"refused {self.refused}, out of memory {self.out_of_memory}, overdue: {overdue}"
        )
