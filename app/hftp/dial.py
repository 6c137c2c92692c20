"""Connecting: a name with several addresses gets all its chances, and the first that answers is taken.

Theory of operation
-------------------
A host that has IPv6 and IPv4 addresses may be reachable by one of them only, and a packet that is dropped on
the way says nothing. So the addresses are tried in turn, the families alternating, the next one when the last
has failed or has not answered for a quarter of a second; those that have not answered go on being waited for.
That is Happy Eyeballs (RFC 8305), but for resolving: getaddrinfo() gives all addresses at once, in the order
of RFC 6724.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from itertools import chain, zip_longest

from hftp.errors import AnswerTimeoutError, ConnectError, UnknownHostError
from hftp.listen import format_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    # What getaddrinfo() gives: family, type, protocol, canonical name, socket address.
    Address = tuple[int, int, int, str, Any]

# RFC 8305, section 5, Connection Attempt Delay: 250 ms is recommended.
_NEXT_ATTEMPT_SECONDS = 0.25


def dial(host: str, port: int, timeout_s: float) -> socket.socket:
    """Connect to a host.

    Args:
        host: A name or an address.
        port: The server's.
        timeout_s: How long all its addresses have together, in seconds.

    Returns:
        A connected socket, not blocking.

    Raises:
        UnknownHostError: The name has no address.
        ConnectError: No address takes connections: at least one says so.
        AnswerTimeoutError: None said anything in time.

    Source:
        RFC 8305.
    """
    return dial_first(host, port, timeout_s, alternate(_resolve(host, port)))


def dial_first(host: str, port: int, timeout_s: float, addresses: Sequence[Address]) -> socket.socket:
    """Connect to the first of several addresses that answers.

    Args:
        host: Whose they are, for errors.
        port: The server's, likewise.
        timeout_s: How long they have together, in seconds.
        addresses: At least one, in the order in which they are tried.

    Returns:
        A connected socket, not blocking.

    Raises:
        ConnectError: No address takes connections: at least one says so.
        AnswerTimeoutError: None said anything in time.
    """
    return _Race(host, port, timeout_s, list(addresses)).run()


def _resolve(host: str, port: int) -> list[Address]:
    try:
        return list(dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(host, getattr(error, "strerror", None) or "not a host name") from error


def alternate(addresses: Sequence[Address]) -> list[Address]:
    """Order addresses so that their families alternate, beginning with the first one's.

    Args:
        addresses: As preferred, within each family, too.

    Source:
        RFC 8305, section 4.
    """
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    mixed = chain.from_iterable(zip_longest(first, others))
    return [address for address in mixed if address is not None]


class _Race:
    """The attempts to connect, one for each address, of which the first to succeed wins."""

    def __init__(self, host: str, port: int, timeout_s: float, addresses: list[Address]) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._addresses = addresses
        # Also the last of many addresses has a chance before the time is over.
        self._delay_s = min(_NEXT_ATTEMPT_SECONDS, timeout_s / (len(addresses) + 1))
        self._running: dict[int, tuple[socket.socket, str]] = {}  # by descriptor
        self._failed: list[tuple[str, int]] = []
        self._poll = select.poll()

    def run(self) -> socket.socket:
        """Give the winner; close the others."""
        winner = None
        try:
            winner = self._race()
        finally:
            for sock, _ in self._running.values():
                if sock is not winner:
                    sock.close()
        return winner

    def _race(self) -> socket.socket:
        ends_at = time.monotonic() + self._timeout_s
        waiting = list(self._addresses)
        next_at = time.monotonic()
        while waiting or self._running:
            now = time.monotonic()
            if now >= ends_at:
                break
            if waiting and (now >= next_at or not self._running):
                if self._begins(waiting.pop(0)):
                    next_at = now + self._delay_s
                continue
            failures = len(self._failed)
            winner = self._wait((min(ends_at, next_at) if waiting else ends_at) - now)
            if winner is not None:
                return winner
            if len(self._failed) > failures:  # the next one need not wait
                next_at = now
        return self._give_up()

    def _begins(self, address: Address) -> bool:
        """Begin an attempt. Returns whether it goes on, and has not failed at once."""
        family, kind, protocol, _, place = address
        shown = format_address(place)
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # this machine has no such family
            self._failed.append((shown, error.errno or 0))
            return False
        sock.setblocking(False)
        code = sock.connect_ex(place)
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            self._failed.append((shown, code))
            return False
        self._running[sock.fileno()] = (sock, shown)
        self._poll.register(sock, select.POLLOUT)
        return True

    def _wait(self, seconds: float) -> socket.socket | None:
        """Wait for the end of attempts; give one that has succeeded."""
        for fd, _ in self._poll.poll(max(0.0, seconds) * 1000):
            sock, shown = self._running[fd]
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return sock
            self._poll.unregister(fd)
            del self._running[fd]
            sock.close()
            self._failed.append((shown, code))
        return None

    def _give_up(self) -> socket.socket:
        silent = [shown for _, shown in self._running.values()]
        if not self._failed:
            raise AnswerTimeoutError(", ".join(silent), "connection", self._timeout_s)
        attempts = [*self._failed, *((shown, errno.ETIMEDOUT) for shown in silent)]
        raise ConnectError(self._host, self._port, tuple(attempts))
