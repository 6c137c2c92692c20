"""The client's end of a connection: requests go out while answers come in.

Whoever pipelines many requests must not send them all before it reads: the server stops reading while its
answers are not taken, and both would wait for ever. So nothing is sent but what the system takes at once;
the rest goes out while answers are waited for.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from hftp.dial import dial
from hftp.errors import AnswerTimeoutError, NotHFTPError, TruncatedError
from hftp.listen import format_address

if TYPE_CHECKING:
    from collections.abc import Callable

_Received = TypeVar("_Received", int, bytes)

# Longer than any status line, name or number of HFTP: what has no end by then is something else.
MAX_LINE_BYTES = 1024

# What one recv() asks for: several pieces of a loopback connection, and thousands of small answers.
_RECEIVE_BYTES = 256 * 1024


# From how many bytes on requests are sent before an answer is waited for: so that those of a thousand files
# are on their way while others are still being written.
_PUSH_BYTES = 16 * 1024


class Wire:
    """A connection to a server.

    Args:
        host: A name or an address.
        port: The server's.
        timeout_s: How long to wait for the connection, for each line, and for each piece of what is longer,
            in seconds.

    Attributes:
        server: The address that answers and its port, for example ``198.18.1.11:19500``.
        address: That address alone.
        family: Of that address: ``socket.AF_INET`` or ``socket.AF_INET6``.

    Raises:
        HFTPError: Of ``dial()``.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._socket = dial(host, port, timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.family = int(self._socket.family)
        peer = self._socket.getpeername()
        self.server = format_address(peer)
        self.address = str(peer[0])
        self._out = bytearray()  # what the system has not taken yet
        self._in = b""  # what came, from _at on not taken yet
        self._at = 0

    def close(self) -> None:
        """Close the connection, whatever its state."""
        self._socket.close()

    def abort(self) -> None:
        """End the connection; another thread that waits for it goes on."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # Out

    def send(self, text: bytes) -> None:
        """Send requests, at the latest when an answer is waited for.

        Args:
            text: Whole lines.
        """
        self._out += text
        if len(self._out) >= _PUSH_BYTES:
            self._push()

    def _push(self) -> None:
        """Give the system what it takes. Who has closed may have said why: that is read first."""
        if self._out:
            try:
                del self._out[: self._socket.send(self._out)]
            except BlockingIOError:
                pass
            except OSError:
                self._out.clear()

    # In

    def line(self, part: str, limit: int = MAX_LINE_BYTES) -> bytes:
        """Take a line with its end, or as much of it as the limit allows.

        Args:
            part: What it is, for errors.
            limit: The most that is taken, in bytes.

        Raises:
            TruncatedError: The connection ended before the line did.
            AnswerTimeoutError: Nothing came in time.
        """
        ends_at = None
        while True:
            end = self._in.find(b"\n", self._at, self._at + limit) + 1
            if not end and len(self._in) - self._at >= limit:
                end = self._at + limit
            if end:
                line = self._in[self._at : end]
                self._at = end
                return line
            ends_at = ends_at or time.monotonic() + self.timeout_s
            self._fill(part, ends_at)

    def read(self, count: int, part: str) -> bytes | bytearray:
        """Take so many bytes.

        Args:
            count: How many.
            part: What they are, for errors.

        Raises:
            TruncatedError: The connection ended before.
            AnswerTimeoutError: Nothing came in time.
        """
        end = self._at + count
        if end <= len(self._in):
            piece = self._in[self._at : end]
            self._at = end
            return piece
        whole = bytearray(count)
        view = memoryview(whole)
        got = len(self._in) - self._at
        view[:got] = memoryview(self._in)[self._at :]
        self._in, self._at = b"", 0
        while got < count:
            room = view[got:]
            got += self._receive(lambda: self._socket.recv_into(room), part, count, got)  # noqa: B023
        return whole

    def expect(self, expected: bytes, meaning: str) -> None:
        """Take bytes that are known before they come.

        Args:
            expected: What they are.
            meaning: What that is, for errors.

        Raises:
            NotHFTPError: Something else came.
            TruncatedError: The connection ended before.
            AnswerTimeoutError: Nothing came in time.
        """
        # By lines: what is not as expected may be shorter, and nothing more may come.
        got = b""
        while len(got) < len(expected):
            got += self.line(meaning, len(expected) - len(got))
            if not expected.startswith(got):
                raise NotHFTPError(self.server, f"the {meaning}", got)

    def _fill(self, part: str, ends_at: float) -> None:
        """Wait for more, until then, and add it to what there is."""
        rest = self._in[self._at :]
        piece = self._receive(lambda: self._socket.recv(_RECEIVE_BYTES), part, None, len(rest), ends_at)
        self._in, self._at = rest + piece, 0

    def _receive(
        self,
        receive: Callable[[], _Received],
        part: str,
        expected: int | None,
        got: int,
        ends_at: float | None = None,
    ) -> _Received:
        """Let something be received, waiting and sending meanwhile."""
        while True:
            self._push()
            try:
                received = receive()
            except BlockingIOError:
                self._wait(part, ends_at)
                continue
            except OSError as error:
                raise TruncatedError(self.server, part, expected, got, was_reset=True) from error
            if not received:
                raise TruncatedError(self.server, part, expected, got, was_reset=False)
            return received

    def _wait(self, part: str, ends_at: float | None) -> None:
        """Wait until something can come or go. Who sends a line byte by byte gets no more time for each."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._out else 0))
        wait_s = self.timeout_s if ends_at is None else max(0.0, ends_at - time.monotonic())
        if not poll.poll(wait_s * 1000):
            raise AnswerTimeoutError(self.server, part, self.timeout_s)
