"""What a server takes from its clients. Each limit says why it is what it is; docs/server.md says more."""

from __future__ import annotations

import sys
from enum import Enum

from hftp.constants import MAX_LINE_BYTES

# A tenth of the places is kept from any one address, so that nobody alone can take them all.
_SHARE_FOR_OTHERS = 10

# How long a connection without a request is kept: what FTP servers use (vsftpd: idle_session_timeout).
IDLE_SECONDS = 300.0

# How long a request line may take, begun to ended. It fits one segment: this is a hundred times what a
# lost and resent one takes. nginx gives a request's head 60.
REQUEST_SECONDS = 30.0

# How long a client may take nothing of its answer: what nginx uses (send_timeout).
ANSWER_SECONDS = 60.0

# What listings may hold that slow clients are still taking: 100 listings of 10,000 names of 60 bytes.
# Slices hold nothing.
MEMORY_BYTES = 64 * 1024 * 1024


class Overdue(Enum):
    """What a client may take too long for."""

    IDLE = "idle"
    REQUEST = "request"
    ANSWER = "answer"


class Limits:
    """The limits of a server.

    Attributes:
        clients: How many connections are held; None for as many as there are descriptors for.
        clients_by_address: How many of them from one IPv4 address or IPv6 /64 network; None for nine tenths.
        line_bytes: How long a request line may be.
        seconds: How long each state of a connection may last without progress.
    """

    __slots__ = ("clients", "clients_by_address", "line_bytes", "seconds")

    def __init__(
        self,
        *,
        clients: int | None = None,
        clients_by_address: int | None = None,
        line_bytes: int = MAX_LINE_BYTES,
        idle_s: float = IDLE_SECONDS,
        request_s: float = REQUEST_SECONDS,
        answer_s: float = ANSWER_SECONDS,
    ) -> None:
        self.clients = clients
        self.clients_by_address = clients_by_address
        self.line_bytes = line_bytes
        self.seconds = {Overdue.IDLE: idle_s, Overdue.REQUEST: request_s, Overdue.ANSWER: answer_s}

    @property
    def look_every_s(self) -> float:
        """How often clients are looked at: so often that none has much more time than it should."""
        return max(min(self.seconds.values()) / 8, 0.02)

    def share(self, clients: int) -> int:
        """Say how many of so many places one address may have."""
        return self.clients_by_address or max(1, clients - clients // _SHARE_FOR_OTHERS)


NO_LIMIT = sys.maxsize
