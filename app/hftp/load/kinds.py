"""The kinds of clients: what each asks, what it expects, and what trouble it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hftp.constants import Status
from hftp.load.client import LoadClient
from hftp.load.loop import clock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

# How often a vanishing client comes back: ten of them vanish a thousand times a second.
_VANISH_SECONDS = 0.01

_TRICKLE_SECONDS = 1.0
# The shortest line that is answered: a client that sends a byte a second has its answer after 2 seconds.
_TRICKLED = b"x\r\n"

_OK = Status.OK.line


class Small(LoadClient):
    """Asks for the size of a file: an answer of a few bytes."""

    def _prepare(self) -> None:
        self._request = b"get_metadata %b\r\n" % self._target.name.encode("ascii")
        self._beginning = b"%b%d\r\n" % (_OK, self._target.size)
        self._length = len(self._beginning)

    def _connected(self) -> None:
        sock = self._open_socket()
        self._recv, self._write = sock.recv, sock.send
        self._latencies = self._tally.latencies
        self._ask()

    def _reaction(self) -> Callable[[], None]:
        return self._on_small

    def _on_small(self) -> None:
        """React to an answer: the hot path, for the usual case that it came in one piece."""
        try:
            answer = self._recv(4096)
            if answer != self._beginning or self._left != self._length:
                self._take_piece(answer)
                return
            now = clock()
            self._latencies.append(now - self.asked_at)
            self.asked_at = now
            self.answers += 1
            self._write(self._request)
        except BlockingIOError:
            pass
        except OSError:
            self._lose()

    def _take_piece(self, piece: bytes) -> None:
        if not piece:
            self._lose()
            return
        if self._is_wrong(piece, len(piece)):
            self._take_wrong(piece)
            return
        self._left -= len(piece)
        if not self._left:
            self._take_answer()


class RawSlices(LoadClient):
    """Asks for slices as they are, one after another through the file."""

    def _prepare(self) -> None:
        self._size = min(self._shape.slice_bytes, self._target.size)
        self._offset = -self._size
        self._beginning = b"%bContent-Length: %d\r\n\r\n" % (_OK, self._size)
        self._length = len(self._beginning) + self._size
        self._tally.share = self._size / self._length

    def _ask(self) -> None:
        self._offset += self._size
        if self._offset + self._size > self._target.size:
            self._offset = 0
        self._request = self._slice_request()
        super()._ask()

    def _slice_request(self) -> bytes:
        return b"get_slice %b %d %d raw\r\n" % (self._target.name.encode("ascii"), self._offset, self._size)


class Base64Slices(RawSlices):
    """Asks for slices in base64."""

    def _prepare(self) -> None:
        super()._prepare()
        self._beginning = _OK
        self._length = len(_OK) + (self._size + 2) // 3 * 4 + 2
        self._tally.share = self._size / self._length

    def _slice_request(self) -> bytes:
        return b"get_slice %b %d %d\r\n" % (self._target.name.encode("ascii"), self._offset, self._size)


class Connecting(Small):
    """Connects, gives one command, says goodbye, waits for the end, and connects again."""

    def _prepare(self) -> None:
        super()._prepare()
        self._request += b"quit\r\n"
        self._beginning += _OK
        self._length = len(self._beginning)

    def _reaction(self) -> Callable[[], None]:
        return self._on_readable_or_end

    def _on_readable_or_end(self) -> None:
        if self._left:
            self._on_readable()
        elif self._has_ended():
            self.end()
            self.begin()

    def _has_ended(self) -> bool:
        try:
            return not self._open_socket().recv(16)
        except OSError:
            return True

    def _answered(self) -> None:
        """Wait for the end."""


class Idle(Small):
    """Connects and asks nothing, until shortly before the end: is it still served?"""

    def _connected(self) -> None:
        self.asked_at = 0.0
        self._ask_at_last()

    def _reaction(self) -> Callable[[], None]:
        return self._on_readable

    def _ask_at_last(self) -> None:
        """Ask when the end is near; it moves while there are clients that have not begun."""
        patience_s = min(self._shape.answer_patience_s, self._shape.seconds / 4)
        if not self.connected:
            return
        if clock() < self._loop.ends_at - patience_s:
            self._loop.call_at(self._loop.ends_at - patience_s, self._ask_at_last)
        else:
            self._ask()

    def _answered(self) -> None:
        """Ask nothing more."""


class NeverReading(LoadClient):
    """Asks for the whole file, and reads none of it."""

    def _prepare(self) -> None:
        name = self._target.name.encode("ascii")
        self._request = b"get_slice %b 0 %d raw\r\n" % (name, self._target.size)

    def _connected(self) -> None:
        self._ask()
        self.asked_at = 0.0  # it does not wait
        # Neither for bytes: only the connection's end is an event, and poll() tells that always.
        self._loop.change(self._open_socket().fileno(), 0, self._lose)


class Trickling(LoadClient):
    """Sends a byte a second."""

    def _prepare(self) -> None:
        self._beginning = Status.NO_SUCH_COMMAND.line
        self._length = len(self._beginning)

    def _connected(self) -> None:
        self._left = self._length
        self._trickle(self._open_socket(), 0)

    def _trickle(self, sock: socket.SocketType, at: int) -> None:
        if sock is not self._socket:  # lost meanwhile
            return
        if not at:
            self.asked_at = clock()
        self._send(_TRICKLED[at : at + 1])
        following = (at + 1) % len(_TRICKLED)
        self._loop.call_at(clock() + _TRICKLE_SECONDS, lambda: self._trickle(sock, following))

    def _answered(self) -> None:
        self._left = self._length


class Vanishing(LoadClient):
    """Asks for the whole file and is gone, again and again: at once, at the first bytes, by RST or by FIN.

    Its answers are the times it vanished.
    """

    def _prepare(self) -> None:
        name = self._target.name.encode("ascii")
        self._request = b"get_slice %b 0 %d raw\r\n" % (name, self._target.size)
        self._beginning = b"%bContent-Length: %d\r\n\r\n" % (_OK, self._target.size)
        self._length = len(self._beginning) + self._target.size

    def _connected(self) -> None:
        self._ask()
        self.asked_at = 0.0
        if self.answers % 3 == 0:  # before the server has accepted it, perhaps
            self._vanish()

    def _on_readable(self) -> None:
        self._vanish()

    def _vanish(self) -> None:
        self.end(reset=self.answers % 2 == 0)
        self.answers += 1
        self._loop.call_at(clock() + _VANISH_SECONDS, self.begin)


KINDS: dict[str, type[LoadClient]] = {
    "small": Small,
    "raw": RawSlices,
    "base64": Base64Slices,
    "connect": Connecting,
    "idle": Idle,
    "never-reading": NeverReading,
    "trickling": Trickling,
    "vanishing": Vanishing,
}
