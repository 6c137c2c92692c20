"""A hostile server on loopback. Its turn comes when the client waits: all runs are alike, and take no time.

What it says was written before: it does not look at what is asked. The sizes that the client counts in
(blocks, pieces) are made small, so that a few hundred bytes are many of them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

import hftp.client
import hftp.download
import hftp.mirror
from hftp.wire import Wire
from tests.hftp.serving import PATIENCE_SECONDS, reset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK_BYTES = 48
COMPARED_BYTES = 24

# Which module's number becomes how small.
_SMALL = [
    (hftp.client, "BLOCK_BYTES", BLOCK_BYTES),
    (hftp.client, "PIECE_BYTES", 16),
    (hftp.download, "BLOCK_BYTES", BLOCK_BYTES),
    (hftp.download, "_COMPARED_BYTES", COMPARED_BYTES),
    (hftp.mirror, "_SMALL_BYTES", BLOCK_BYTES),
]


class Ending:
    """What a server does when it has said all: a byte of a program."""

    CLOSE, RESET, SILENCE = range(3)


class Server(Protocol):
    """Decides what a client's connections are told."""

    def accept(self) -> Speaker:
        """Attend one more connection."""


class Speaker(Protocol):
    """Decides what one connection is told."""

    def speak(self, sock: socket.socket) -> bool:
        """Say something more, or end the connection. False: nothing will come any more."""


class ServerOfBytes:
    """Says what was written before.

    Args:
        streams: What each connection is told, the first one's first. Later ones are told nothing.
        cuts: How many bytes each piece has; what is left is one piece.
        ending: An ``Ending``.
    """

    def __init__(self, streams: Sequence[bytes], cuts: bytes, ending: int) -> None:
        self._streams = deque(streams)
        self._cuts = cuts
        self._ending = ending

    def accept(self) -> Speaker:
        """Attend one more connection."""
        return _Recitation(self._streams.popleft() if self._streams else b"", self._cuts, self._ending)


class _Recitation:
    def __init__(self, stream: bytes, cuts: bytes, ending: int) -> None:
        self._pieces = deque[bytes]()
        for length in cuts:
            self._pieces.append(stream[:length])
            stream = stream[length:]
        self._pieces = deque(piece for piece in (*self._pieces, stream) if piece)
        self._ending = ending
        self._ended = False

    def speak(self, sock: socket.socket) -> bool:
        if self._pieces:
            sock.sendall(self._pieces.popleft())
            return True
        if self._ended or self._ending == Ending.SILENCE:
            return False
        self._ended = True
        if self._ending == Ending.RESET:
            reset(sock)
        else:
            sock.shutdown(socket.SHUT_WR)
        return True


@contextlib.contextmanager
def network(server: Server) -> Iterator[int]:
    """Have every client of this process connect to a server, and count in small numbers.

    Yields:
        The port to connect to, on 127.0.0.1.
    """
    lock = threading.Lock()
    ends: list[socket.socket] = []

    class WireToIt(Wire):
        def __init__(self, host: str, port: int, timeout_s: float) -> None:
            with lock:  # so that both ends are of one connection
                super().__init__(host, port, PATIENCE_SECONDS)
                self._far, _ = listener.accept()
                ends.append(self._far)
                self._speaker = server.accept()

        def _wait(self, part: str, ends_at: float | None) -> None:
            """Instead of waiting, let the server speak; wait for what can't fail to come."""
            if self._speaker.speak(self._far):
                super()._wait(part, None)
            else:
                super()._wait(part, time.monotonic())

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        changed((hftp.client, "Wire", WireToIt), *_SMALL),
    ):
        try:
            yield listener.getsockname()[1]
        finally:
            for sock in ends:  # with RST: thousands a second would use up the ports otherwise (TIME_WAIT)
                if sock.fileno() >= 0:
                    reset(sock)


@contextlib.contextmanager
def changed(*changes: tuple[object, str, object]) -> Iterator[None]:
    """Give names of modules other values for a while: module, name, value."""
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
