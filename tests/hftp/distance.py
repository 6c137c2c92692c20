"""A server that is far away: a proxy on loopback that delays every byte, in both directions."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What may be under way in one direction: more than a connection's worth in these tests.
_MOST_UNDER_WAY = 64 << 20


@contextlib.contextmanager
def far_away(host: str, port: int, round_trip_s: float) -> Iterator[tuple[str, int]]:
    """Run a proxy in front of a server, and give its address.

    Args:
        host: The server's address.
        port: The server's.
        round_trip_s: How long the way there and back takes, in seconds.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        proxy = _Proxy(listener, (host, port), round_trip_s / 2)
        thread = threading.Thread(target=proxy.run)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            proxy.stop.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname()).close()  # wakes it
            thread.join()


class _Proxy:
    """Moves bytes between pairs of sockets, each piece when its time has come."""

    def __init__(self, listener: socket.socket, server: tuple[str, int], delay_s: float) -> None:
        self.stop = threading.Event()
        self._listener = listener
        self._server = server
        self._delay_s = delay_s
        self._peers: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._arrivals: list[tuple[float, int, int, bytes]] = []
        self._serial = itertools.count()
        self._poll = select.poll()

    def run(self) -> None:
        self._poll.register(self._listener, select.POLLIN)
        while not self.stop.is_set():
            wait_ms = max(0.0, (self._arrivals[0][0] - time.monotonic()) * 1000) if self._arrivals else 200
            for fd, _ in self._poll.poll(wait_ms):
                if fd == self._listener.fileno():
                    self._accept()
                elif fd in self._peers:
                    self._take(fd)
            self._deliver()
        for sock, _ in self._peers.values():
            sock.close()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._server)
        except OSError:
            near.close()
            return
        for sock, peer in ((near, far), (far, near)):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[sock.fileno()] = (sock, peer)
            self._poll.register(sock, select.POLLIN)

    def _take(self, fd: int) -> None:
        sock, peer = self._peers[fd]
        try:
            piece = sock.recv(1 << 20)
        except OSError:
            piece = b""
        if not piece:
            self._poll.unregister(fd)
        arrives_at = time.monotonic() + self._delay_s
        heapq.heappush(self._arrivals, (arrives_at, next(self._serial), peer.fileno(), piece))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._arrivals and self._arrivals[0][0] <= now:
            _, _, fd, piece = heapq.heappop(self._arrivals)
            sock, _ = self._peers[fd]
            with contextlib.suppress(OSError):
                if piece:
                    sock.settimeout(10)
                    sock.sendall(piece)
                else:
                    sock.shutdown(socket.SHUT_WR)
