"""Who is let in: how many clients there may be, and how many from one address."""

from __future__ import annotations

import resource
import socket

from hftp.limits import NO_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.limits import Limits

# Descriptors that are not for clients: standard streams, listeners, the directory, a listing; some to spare.
_RESERVED_DESCRIPTORS = 24
# A client needs one for its socket, and may need one for the file that it is sent. For so many files
# descriptors are kept free: who sends more at a time runs out of other things first.
_MOST_FILES = 4096

_MAPPED_IPV4 = bytes(10) + b"\xff\xff"
_IPV6_NETWORK_BYTES = 8


class Admission:
    """Counts clients, in all and by where they come from.

    Args:
        limits: How many there may be.
        most: How many the strategy can attend.

    Attributes:
        count: How many there are.
        most: How many there may be.
    """

    def __init__(self, limits: Limits, most: int = NO_LIMIT) -> None:
        self.most = min(limits.clients or NO_LIMIT, most, _room_for_clients())
        self.count = 0
        self._share = limits.share(self.most)
        self._by_origin: dict[bytes | str, int] = {}

    @property
    def full(self) -> bool:
        """Whether no more clients are to be accepted now."""
        return self.count >= self.most

    def enter(self, origin: bytes | str) -> bool:
        """Count a client, unless there are as many as there may be from where it comes."""
        count = self._by_origin.get(origin, 0)
        if count >= self._share:
            return False
        self._by_origin[origin] = count + 1
        self.count += 1
        return True

    def leave(self, origin: bytes | str) -> None:
        """Count a client no more."""
        self.count -= 1
        count = self._by_origin[origin] - 1
        if count:
            self._by_origin[origin] = count
        else:
            del self._by_origin[origin]


def origin(host: str) -> bytes | str:
    """Say whom an address counts for.

    Args:
        host: As ``accept()`` gives it.

    Returns:
        An IPv4 address, also of one who came by ``::``; of an IPv6 address the first 64 bits, since who has
        one address there has them all (RFC 4291, 2.5.1).
    """
    if ":" not in host:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if packed.startswith(_MAPPED_IPV4):
        return socket.inet_ntop(socket.AF_INET, packed[len(_MAPPED_IPV4) :])
    return packed[:_IPV6_NETWORK_BYTES]


def _room_for_clients() -> int:
    """Say how many clients this process has descriptors for."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return NO_LIMIT
    free = limit - _RESERVED_DESCRIPTORS
    return max(1, free // 2, free - _MOST_FILES)
