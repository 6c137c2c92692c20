"""The server: listening sockets and clients, attended by one thread with poll().

How can one server attend several clients at once? It asks the system which of them have something for
it, and never waits for one of them:

- the listening socket is registered for POLLIN; its event means that a client waits: accept it;
- a client is registered for POLLIN; its event means that bytes came: take them, answer what they ask;
- while an answer does not fit what the client's system takes, the client is registered for POLLOUT
  *instead*: its event means that there is room for another piece. Its requests wait meanwhile.

Each event gets one recv() and one send(), so that a large answer is sent in pieces between which
everyone else has a turn.
"""

from __future__ import annotations

import errno
import resource
import select
import socket
import struct
import sys
import time

from hftp.connection import Connection
from hftp.constants import GRACE_SECONDS, RECEIVE_BYTES
from hftp.errors import BrokenAnswerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from hftp.files import DataDirectory
    from hftp.stop import Stop

# accept() found nobody: another process was faster, or the client has left the queue already.
# Linux also reports here what befell the connection before it was accepted: accept(2), "Error handling".
_NOBODY = frozenset(
    {
        errno.EAGAIN,
        errno.EINTR,
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.ENOPROTOOPT,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ETIMEDOUT,
    }
)
# The system has no room for one more. The client stays in the queue, so its event would come at once again.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# How many clients are accepted before those that are here have their turn.
_ACCEPT_BATCH = 64

# How long no one is accepted when there was no room, unless a client leaves earlier.
_NO_ROOM_SECONDS = 0.2

# Descriptors that are not for clients: standard streams, listeners, the directory, a listing; some to spare.
_RESERVED_DESCRIPTORS = 24
# A client needs one for its socket, and may need one for the file that it is sent. For so many files
# descriptors are kept free: who sends more at a time runs out of other things first.
_MOST_FILES = 4096

# How long a client's further bytes are still read, and dropped, after the last answer. Closing with bytes
# unread would send RST, and RST may overtake the answer (RFC 1122, 4.2.2.13; RFC 9293, 3.6).
_LINGER_SECONDS = 2.0

_LINGER_BYTES = 64 * 1024

# struct linger {on, 0 s}: close() sends RST.
_RESET = struct.pack("ii", 1, 0)


class _Client:
    """A socket, its session, and what poll() watches it for."""

    __slots__ = ("connection", "events", "leaves_at", "socket")

    def __init__(self, sock: socket.socket, connection: Connection) -> None:
        self.socket = sock
        self.connection = connection
        self.events = select.POLLIN
        self.leaves_at = 0.0  # when lingering ends; 0: it has not begun


class Server:
    """Serves a directory to whoever connects.

    Args:
        listeners: Listening sockets; the server sets them non-blocking, and closes them when it stops.
        directory: What is served; the caller closes it.
        stop: What ends ``run()``.
        grace_s: How long, in seconds, answers that are being sent may take once it was asked to stop.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        directory: DataDirectory,
        stop: Stop,
        grace_s: float = GRACE_SECONDS,
    ) -> None:
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._directory = directory
        self._stop = stop
        self._grace_s = grace_s
        self._poll = select.poll()
        self._clients: dict[int, _Client] = {}
        self._lingering: dict[int, _Client] = {}  # in the order in which their time ends
        self._most_clients = _room_for_clients()
        self._accepting = False
        self._resume_at = 0.0  # when accepting is tried again; 0: when a client leaves
        self._ends_at: float | None = None  # when the grace ends, once it was asked to stop

    def run(self) -> None:
        """Attend clients until ``stop`` asks for the end; return when every client is gone."""
        for listener in self._listeners.values():
            listener.setblocking(False)
        self._poll.register(self._stop.fileno(), select.POLLIN)
        self._set_accepting(True)
        try:
            while self._ends_at is None or self._clients:
                self._turn()
        finally:
            for fd in list(self._clients):
                self._drop(fd)
            for listener in self._listeners.values():
                listener.close()

    def _turn(self) -> None:
        ready = []
        for fd, _ in self._poll.poll(self._wait_ms()):
            if fd in self._clients:
                self._attend(fd, self._clients[fd])
            else:
                ready.append(fd)
        # New clients come last: no event of this turn can be taken for one of theirs, on a reused descriptor.
        for fd in ready:
            if fd == self._stop.fileno():
                self._begin_stop()
            elif self._accepting and fd in self._listeners:
                self._accept(self._listeners[fd])
        self._keep_time()

    # Time

    def _wait_ms(self) -> int | None:
        """Say how long poll() may wait: until the first thing that happens by itself."""
        times = []
        if self._lingering:
            times.append(next(iter(self._lingering.values())).leaves_at)
        if self._resume_at:
            times.append(self._resume_at)
        if self._ends_at is not None:
            times.append(self._ends_at)
        if not times:
            return None
        return max(0, int((min(times) - time.monotonic()) * 1000) + 1)

    def _keep_time(self) -> None:
        if not (self._lingering or self._resume_at or self._ends_at is not None):
            return
        now = time.monotonic()
        while self._lingering:
            fd, client = next(iter(self._lingering.items()))
            if client.leaves_at > now:
                break
            self._drop(fd)
        if self._resume_at and self._resume_at <= now:
            self._set_accepting(True)
        if self._ends_at is not None and self._ends_at <= now:
            for fd in list(self._clients):
                self._drop(fd, reset=True)

    # Stopping

    def _begin_stop(self) -> None:
        asked = self._stop.take()
        if not asked:
            return
        grace_s = 0.0 if asked > 1 or self._ends_at is not None else self._grace_s
        self._ends_at = time.monotonic() + grace_s
        self._set_accepting(False)
        for listener in self._listeners.values():
            listener.close()  # so that new clients are refused, and don't wait for nothing
        for fd, client in list(self._clients.items()):
            client.connection.stop()
            if not client.connection.wants_output and not client.leaves_at:
                self._drop(fd)

    # Accepting

    def _set_accepting(self, accepting: bool, resume_at: float = 0.0) -> None:
        self._resume_at = resume_at
        accepting = accepting and self._ends_at is None
        if accepting != self._accepting:
            self._accepting = accepting
            for fd in self._listeners:
                if accepting:
                    self._poll.register(fd, select.POLLIN)
                else:
                    self._poll.unregister(fd)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPT_BATCH):
            if len(self._clients) >= self._most_clients:
                self._set_accepting(False)
                return
            try:
                sock, _ = listener.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._set_accepting(False, time.monotonic() + _NO_ROOM_SECONDS)
                elif error.errno not in _NOBODY:
                    raise
                if error.errno in (errno.EAGAIN, *_NO_ROOM):
                    return
                continue
            self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        try:
            sock.setblocking(False)
            # An answer is given to the system as a whole: there is nothing to wait for (RFC 9293, 3.7.4).
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # gone already; some systems say so here
            sock.close()
            return
        fd = sock.fileno()
        self._clients[fd] = _Client(sock, Connection(self._directory))
        self._poll.register(fd, select.POLLIN)

    # Attending

    def _attend(self, fd: int, client: _Client) -> None:
        """Give a client its turn. Whatever happened to it shows when it is read from or sent to."""
        try:
            if client.leaves_at:
                self._linger(fd, client)
            else:
                self._exchange(fd, client)
        except BlockingIOError:
            # Nothing came after all, or there is no room now: what is sent next waits for its event.
            self._watch(fd, client)
        except BrokenAnswerError:
            self._drop(fd, reset=True)
        except OSError:  # it vanished
            self._drop(fd)

    def _exchange(self, fd: int, client: _Client) -> None:
        connection = client.connection
        if connection.wants_input:
            connection.receive_data(client.socket.recv(RECEIVE_BYTES))
        piece = connection.data_to_send()
        if piece:
            connection.bytes_sent(client.socket.send(piece))
        if connection.finished:
            self._take_leave(fd, client)
        else:
            self._watch(fd, client)

    def _watch(self, fd: int, client: _Client) -> None:
        events = select.POLLOUT if client.connection.wants_output else select.POLLIN
        if events != client.events:
            client.events = events
            self._poll.modify(fd, events)

    # Leaving

    def _take_leave(self, fd: int, client: _Client) -> None:
        """End the sending side, and wait a little for the client to end its own."""
        if client.connection.client_ended:
            self._drop(fd)
            return
        client.socket.shutdown(socket.SHUT_WR)
        client.connection.close()
        client.leaves_at = time.monotonic() + _LINGER_SECONDS
        self._lingering[fd] = client
        self._watch(fd, client)

    def _linger(self, fd: int, client: _Client) -> None:
        if not client.socket.recv(_LINGER_BYTES):
            self._drop(fd)

    def _drop(self, fd: int, reset: bool = False) -> None:
        client = self._clients.pop(fd)
        self._lingering.pop(fd, None)
        self._poll.unregister(fd)
        client.connection.close()
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.socket.close()
        if not self._accepting:
            self._set_accepting(True)


def _room_for_clients() -> int:
    """Say how many clients this process has descriptors for."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    free = limit - _RESERVED_DESCRIPTORS
    return max(1, free // 2, free - _MOST_FILES)


if __name__ == "__main__":
    from hftp.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
