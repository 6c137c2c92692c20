"""A client of a load: it connects, asks, counts the answer, asks again. Kinds differ in what they ask.

An answer's length is known before it comes, from the file's size, so that nothing needs to be parsed: it
is counted. What begins otherwise than it should is a wrong answer; it is reported, and the connection ended.
"""

from __future__ import annotations

import errno
import socket
import struct
from array import array
from typing import TYPE_CHECKING

from hftp.constants import Status
from hftp.load.loop import READABLE, WRITABLE, clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from hftp.load.loop import Loop
    from hftp.load.shape import Shape, Target

# What one recv() takes of a slice. All clients share the buffer: nobody looks at what is in it.
_BUFFER_BYTES = 1 << 20
_buffer = bytearray(_BUFFER_BYTES)
_view = memoryview(_buffer)

# How long a client that was turned away, or lost its connection, stays away.
_RETRY_SECONDS = 0.1

# How much of a wrong answer is shown.
_SHOWN_BYTES = 60

# struct linger {on, 0 s}: close() sends RST.
_RESET = struct.pack("ii", 1, 0)

# IP_BIND_ADDRESS_NO_PORT of <linux/in.h>: connect() chooses the port, knowing the peer, so that each address
# has all ports for each server.
_BIND_ADDRESS_NO_PORT = 24

_OK = Status.OK.line


class Tally:
    """What the clients of one kind have seen.

    Attributes:
        kind: Its name.
        latencies: From each request to the end of its answer, in seconds; the first one from connect().
        received: Bytes of answers.
        share: How many bytes of the file are in a byte of an answer.
        lost: How often a server ended a connection, or took none.
        wrong: The beginnings of wrong answers; the first few of them.
        clients: All of this kind.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.latencies = array("d")
        self.received = 0
        self.share = 0.0
        self.lost = 0
        self.wrong: list[bytes] = []
        self.clients: list[LoadClient] = []


class LoadClient:
    """A client that connects, asks, and asks again when it has its answer.

    Attributes:
        answers: How many it got.
        asked_at: When it asked for what it waits for, in ``clock()`` seconds; 0 while it waits for nothing.
        connected: Whether it has a connection.
    """

    def __init__(self, loop: Loop, tally: Tally, target: Target, shape: Shape) -> None:
        self.answers = 0
        self.asked_at = 0.0
        self.connected = False
        self._loop = loop
        self._tally = tally
        self._target = target
        self._shape = shape
        self._socket: socket.SocketType | None = None
        self._request = b""
        self._beginning = _OK  # of every answer
        self._left = self._length = 0  # bytes of the answer that are to come; its whole length
        self._prepare()
        tally.clients.append(self)

    # What a kind changes

    def _prepare(self) -> None:
        """Set what is asked, and how the answer begins and how long it is."""

    def _connected(self) -> None:
        self._ask()

    def _answered(self) -> None:
        self._ask()

    # Connecting

    def begin(self) -> None:
        """Connect."""
        self.asked_at = self.asked_at or clock()  # who was lost while waiting is still waiting
        # Without socket.socket's layer of Python, which costs more than the system call.
        sock = socket.SocketType(self._target.family, socket.SOCK_STREAM)
        self._socket = sock
        sock.setblocking(False)
        source = self._target.source()
        if source is not None:
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        code = sock.connect_ex((self._target.host, self._target.port))
        if code not in (0, errno.EINPROGRESS):
            self._lose()
            return
        self._loop.watch(sock.fileno(), WRITABLE, self._on_connected)

    def _on_connected(self) -> None:
        sock = self._open_socket()
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._lose()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connected = True
        self._loop.change(sock.fileno(), READABLE, self._reaction())
        self._connected()

    def _reaction(self) -> Callable[[], None]:
        return self._on_readable

    def end(self, reset: bool = False) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            sock, self._socket = self._socket, None
            self.connected = False
            self._loop.forget(sock.fileno())
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()

    def _lose(self) -> None:
        """Note that the server did not want this client, and come back later."""
        self._tally.lost += 1
        self.end()
        self._loop.call_at(clock() + _RETRY_SECONDS, self.begin)

    def _open_socket(self) -> socket.SocketType:
        assert self._socket is not None, "a client reacts only while it has a connection"
        return self._socket

    # Asking

    def _ask(self) -> None:
        self.asked_at = self.asked_at or clock()
        self._left = self._length
        self._send(self._request)

    def _send(self, text: bytes) -> None:
        try:
            self._open_socket().send(text)  # a line of some bytes: it fits
        except OSError:
            self._lose()

    def _on_readable(self) -> None:
        try:
            count = self._open_socket().recv_into(_buffer, _BUFFER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self._lose()
            return
        if self._is_wrong(_buffer, count):
            self._take_wrong(bytes(_view[: min(count, _SHOWN_BYTES)]))
            return
        self._tally.received += count
        self._left -= count
        if self._left <= 0:
            self._take_answer()

    def _is_wrong(self, piece: bytes | bytearray, count: int) -> bool:
        got = self._length - self._left
        if count > self._left:
            return True
        expected = self._beginning[got : got + count]
        return not piece.startswith(expected)

    def _take_answer(self) -> None:
        now = clock()
        self._tally.latencies.append(now - self.asked_at)
        self.asked_at = 0.0
        self.answers += 1
        self._answered()

    def _take_wrong(self, text: bytes) -> None:
        if len(self._tally.wrong) < 5:
            self._tally.wrong.append(text[:_SHOWN_BYTES])
        self._lose()
