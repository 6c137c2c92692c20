"""One client as the server sees it: its socket, its session, and what it is waited for.

A strategy decides when a peer has its turn; what happens in a turn is the same for all of them, and here.
Whatever befell a client (it vanished, it was reset) shows when it is read from or sent to, so no strategy
has to look at error events.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from contextlib import suppress

from hftp.constants import LINGER_SECONDS, RECEIVE_BYTES, Status
from hftp.errors import BrokenAnswerError
from hftp.fast import UnsendableFileError, send_file
from hftp.limits import Overdue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque

    from hftp.connection import Connection

# What a peer is waited for. epoll's flags have the same values: EPOLLIN, EPOLLOUT of <sys/epoll.h>.
READ, WRITE, GONE = select.POLLIN, select.POLLOUT, 0

# The beginning of an answer waits for the bytes of the file that follow at once: send(2).
_MORE = getattr(socket, "MSG_MORE", 0)

# struct linger {on, 0 s}: close() sends RST.
_RESET = struct.pack("ii", 1, 0)


class Peer:
    """A client's socket and session.

    Args:
        sock: Connected and non-blocking; the peer closes it.
        origin: Whom it counts for, where clients are limited by address.
        connection: Its session; the peer closes it.
        lingering: Where the server looks for the time when lingering ends, and whose it is.

    Attributes:
        wants: What to wait for: READ, WRITE, or GONE when there is nothing more to do but to close.
        fd: The socket's descriptor.
        lingers_until: Until when its further bytes are dropped after the last answer; 0 before that.
        out_of_memory: Whether there was too little to attend it.
    """

    __slots__ = (
        "_lingering",
        "_mark",
        "_since",
        "connection",
        "fd",
        "lingers_until",
        "origin",
        "out_of_memory",
        "socket",
        "wants",
    )

    def __init__(
        self,
        sock: socket.SocketType,
        origin: bytes | str,
        connection: Connection,
        lingering: deque[tuple[float, int]],
    ) -> None:
        self.socket = sock
        self.fd = sock.fileno()
        self.origin = origin
        self.connection = connection
        self.wants = READ
        self.lingers_until = 0.0
        self.out_of_memory = False
        self._lingering = lingering
        self._mark: tuple[Overdue, int] | None = None  # how far it had come when it was looked at
        self._since = 0.0  # when it had come so far

    def turn(self) -> None:
        """Take what came, and send at once: most answers fit, and need no further event."""
        if self.wants == READ:
            self.receive()
        if self.wants == WRITE:
            self.send()

    def receive(self) -> None:
        """Take what the client sent: one recv()."""
        connection = self.connection
        try:
            data = self.socket.recv(RECEIVE_BYTES)
            if self.lingers_until:
                if not data:
                    self.wants = GONE
                return
            connection.receive_data(data)
        except BlockingIOError:  # nothing came after all
            return
        except OSError:  # it vanished
            self.wants = GONE
            return
        except MemoryError:
            self.run_out_of_memory()
            return
        if connection.wants_output:
            self.wants = WRITE
        elif connection.closing:
            self._take_leave()

    def send(self) -> None:
        """Give the system one piece of the answer, and, where a file follows, some of that."""
        connection = self.connection
        try:
            piece = connection.data_to_send()
            if piece:
                count = self.socket.send(piece, _MORE if connection.file_range else 0)
                connection.bytes_sent(count)
                if count < len(piece):
                    self._note_wants()
                    return
            if connection.file_range:
                connection.file_sent(send_file(self.fd, connection.file_range))
        except BlockingIOError:  # no room after all
            pass
        except UnsendableFileError:
            connection.file_range = None  # so it is read
        except (BrokenAnswerError, OSError):  # the file failed, or the client vanished
            self.reset()
            return
        except MemoryError:
            self.run_out_of_memory()
            return
        self._note_wants()

    def run_out_of_memory(self) -> None:
        """End the session: others may need less. What it was being sent can't be completed."""
        self.out_of_memory = True
        self.reset()

    def _note_wants(self) -> None:
        connection = self.connection
        if connection.wants_output:
            self.wants = WRITE
        elif connection.closing:
            self._take_leave()
        else:
            self.wants = READ

    def _take_leave(self) -> None:
        """End the sending side, and wait a little for the client to end its own, if it may still be sending.

        Closing with bytes unread would send RST, and RST may overtake the answer (RFC 1122, 4.2.2.13).
        """
        self.wants = GONE
        if not self.connection.client_ended:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                return
            self.wants = READ
            self.lingers_until = time.monotonic() + LINGER_SECONDS
            self._lingering.append((self.lingers_until, self.fd))
            self.connection.close()

    # From outside its turn

    def stop(self) -> None:
        """Finish the answer that has begun, and answer nothing more."""
        self.connection.stop()
        if not self.lingers_until:
            self.wants = WRITE if self.connection.wants_output else GONE

    def reset(self) -> None:
        """Have the client see that what it got is not whole: closing sends RST."""
        self.wants = GONE
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:  # some systems say so of a connection that is gone
            return

    def overdue(self, now: float, limits: dict[Overdue, float]) -> Overdue | None:
        """Say which limit the client has passed. Nothing is timed while it is attended: only this looks.

        Args:
            now: The monotonic time, in seconds.
            limits: How long each state may last without progress, in seconds.

        Returns:
            The limit, or None. What is between two calls is not seen, so it may come one interval late.
        """
        connection = self.connection
        if connection.wants_output:
            mark = (Overdue.ANSWER, connection.bytes_taken)
        elif connection.in_request:
            mark = (Overdue.REQUEST, connection.requests)
        else:
            mark = (Overdue.IDLE, connection.requests)
        if mark != self._mark:
            self._mark = mark
            self._since = now
            return None
        return mark[0] if now - self._since >= limits[mark[0]] else None

    def expire(self, limit: Overdue) -> None:
        """End a session that has passed a limit."""
        if limit is Overdue.ANSWER:
            self.reset()
        elif limit is Overdue.REQUEST:
            with suppress(OSError):  # it vanished, or takes nothing
                self.socket.send(self.connection.give_up(Status.BAD_REQUEST))
        self.wants = GONE

    def close(self) -> None:
        """Close the session and the socket."""
        self.connection.close()
        self.socket.close()
