"""The server: what is the same however its clients are attended.

It owns the listening sockets, lets clients in, looks now and then who takes too long, and knows how to
stop. *When* a client has its turn is the business of a strategy (``hftp.strategies``); *what* happens in
a turn is that of a peer (``hftp.peer``).

Everything here runs in one thread, the strategy's own.
"""

from __future__ import annotations

import errno
import signal
import socket
import time
from collections import deque

from hftp.admission import Admission, origin
from hftp.connection import Connection
from hftp.constants import GRACE_SECONDS
from hftp.counters import Counters
from hftp.fast import ACCEPT_BATCH, CAN_SEND_FILES
from hftp.limits import Limits
from hftp.peer import Peer
from hftp.stop import NOW, WAKE
from hftp.streams import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from hftp.access_log import AccessLog
    from hftp.files import DataDirectory
    from hftp.stop import Stop
    from hftp.strategies.strategy import Strategy

# accept() found nobody: another process was faster, or the client has left the queue already.
# Linux also reports here what befell the connection before it was accepted: accept(2), "Error handling".
_NOBODY = frozenset(
    {
        errno.EINTR,
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.ENOPROTOOPT,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.EOPNOTSUPP,
        errno.ETIMEDOUT,
    }
)
# The system has no room for one more. The client stays in the queue, so its event would come at once again.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_NO_ROOM_FOR = "no room for another client"
_NO_MEMORY = f"{_NO_ROOM_FOR}: out of memory"

# How long no one is accepted when there was no room, unless a client leaves earlier.
_NO_ROOM_SECONDS = 0.2

# What the server keeps back for itself: a block of the interpreter's allocator, which is 1 MiB, fits twice.
_RESERVE_BYTES = 2 * 1024 * 1024

# How long those that were started for clients have for resetting them.
_CUT_SECONDS = 0.5

# How many clients are looked at between two turns of the loop, when it is time to: under a millisecond.
_LOOK_BATCH = 500


class Server:
    """Serves a directory to whoever connects.

    Args:
        listeners: Listening sockets; the server sets them non-blocking, and closes them when it stops.
        directory: What is served; the caller closes it.
        stop: What ends ``run()``.
        strategy: How clients are attended.
        limits: What is taken from them.
        grace_s: How long, in seconds, answers that are being sent may take once it was asked to stop.
        log: Where each request has its line; None for nowhere.

    Attributes:
        peers: The clients, by descriptor.
        counters: What was done so far.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        directory: DataDirectory,
        stop: Stop,
        strategy: Strategy,
        *,
        limits: Limits | None = None,
        grace_s: float = GRACE_SECONDS,
        log: AccessLog | None = None,
    ) -> None:
        self.directory = directory
        self.stop = stop
        self.limits = limits or Limits()
        self.grace_s = grace_s
        self.log = log
        self.peers: dict[int, Peer] = {}
        self.counters = Counters()
        self._strategy = strategy
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._admission = Admission(self.limits, strategy.most_clients)
        self._told = set(stop.filenos())
        self._accepting = False
        self._said_full_at: int | None = None  # how many had been let in when it was said that no more can be
        self._said_out_of_memory = False
        self._reserve: bytes | None = None  # kept while clients are let in, given up when memory is short
        self._resume_at = 0.0  # when accepting is tried again; 0: when a client leaves
        self._cutting = False
        self._ends_at = 0.0  # when the grace ends; 0: it was not asked to stop
        self._lingering: deque[tuple[float, int]] = deque()  # until when, and which descriptor
        self._to_look_at: list[Peer] = []
        self._due_at = 0.0  # what wait_s waits for; 0: for nothing, or not at all
        self._look_at = time.monotonic() + self.limits.look_every_s

    def run(self) -> None:
        """Attend clients until ``stop`` asks for the end; return when every client is gone."""
        for listener in self._listeners.values():
            listener.setblocking(False)
            # As hftp.listen does; others may have opened it: systemd, a test.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._strategy.begin(self)
        for fd in self._told:
            self._strategy.watch(fd)
        self._set_accepting(True)
        try:
            while not self.over:
                try:
                    self._strategy.run()
                except MemoryError:
                    self._use_reserve()
        finally:
            for peer in list(self.peers.values()):
                self.leave(peer)
            self._close_listeners()
            self._strategy.end()

    # What a strategy asks

    @property
    def over(self) -> bool:
        """Whether it was asked to stop, and every client is gone."""
        return not self._listeners and not self._admission.count

    @property
    def wait_s(self) -> float | None:
        """How long to wait for events: until the first thing that happens by itself; None for ever.

        To be asked before each wait: ``keep_time()`` does nothing before that time.
        """
        if self._to_look_at:
            self._due_at = 0.0
            return 0.0
        at = self._look_at if self.peers else 0.0
        for other in (self._resume_at, self._ends_at, self._lingering[0][0] if self._lingering else 0.0):
            if other and (not at or other < at):
                at = other
        self._due_at = at
        return max(at - time.monotonic(), 0.0) if at else None

    # What a strategy tells

    def attend_own(self, fd: int) -> None:
        """Attend what is the server's own: a client waits to be accepted, or a signal came."""
        listener = self._listeners.get(fd)
        if listener is not None:
            if self._accepting:
                self._accept(listener)
        elif fd in self._told:
            for number in self.stop.take(fd):
                self._obey(number)
            if fd not in self.stop.filenos():  # the parent is gone: that is told once
                self._told.discard(fd)
                self._strategy.unwatch(fd)

    def keep_time(self) -> None:
        """Do what it is time for. To be called after each wait, however it ended."""
        now = time.monotonic()
        if now < self._due_at:  # since wait_s nothing has begun that is due by now
            return
        while self._lingering and self._lingering[0][0] <= now:
            _, fd = self._lingering.popleft()
            peer = self.peers.get(fd)
            if peer is not None and 0 < peer.lingers_until <= now:
                self._strategy.expel(peer)
        if self._look_at <= now:
            self._look_at = now + self.limits.look_every_s
            self._to_look_at = list(self.peers.values())
            self.directory.kept.drop()
        if self._to_look_at:
            self._look(now)
        if 0 < self._resume_at <= now:
            self._set_accepting(True)
        if 0 < self._ends_at <= now:
            self._cut()

    def leave(self, peer: Peer) -> None:
        """Close a peer, and forget it; nothing if that was done."""
        if self.peers.get(peer.fd) is not peer:
            return
        del self.peers[peer.fd]
        self._strategy.farewell(peer)
        peer.close()
        if not self.peers:
            self.directory.kept.drop()
        self.count(peer.connection.requests, peer.connection.bytes_taken, peer.out_of_memory)
        self.depart(peer)

    def count(self, requests: int, count: int, out_of_memory: int) -> None:
        """Count what was done for a client that has left, and say once if memory was short.

        Args:
            requests: How many it made.
            count: How many bytes it took.
            out_of_memory: 1 if it was disconnected since there was too little memory for what it asked, or 0.
        """
        self.counters.add(requests, count, out_of_memory)
        if out_of_memory and not self._said_out_of_memory:
            self._said_out_of_memory = True
            say("out of memory: clients that ask for what there is no room for are disconnected")

    def depart(self, peer: Peer) -> None:
        """Have room for another: a client has left, whoever attended it."""
        self._admission.leave(peer.origin)
        if not self._accepting:
            self._set_accepting(True)

    def adopt(self, peer: Peer) -> None:
        """Attend a peer that someone else accepted."""
        self._admission.enter(peer.origin)
        self.peers[peer.fd] = peer
        self._strategy.welcome(peer)

    def for_one_client(self, strategy: Strategy) -> Server:
        """Make a server like this one that nobody can connect to. This one's listeners are closed."""
        self._close_listeners()
        server = Server(
            (),
            self.directory,
            self.stop,
            strategy,
            limits=self.limits,
            grace_s=self.grace_s,
            log=self.log,
        )
        server._lingering = self._lingering  # which the peers of this one know
        server._said_out_of_memory = True  # this one says it
        return server

    # Signals

    def _obey(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if not self._ends_at:
                self._begin_stop(self.grace_s)
            elif not self.stop.is_child:
                self._begin_stop(0.0)
        elif number == NOW:
            self._begin_stop(0.0)
        elif number == signal.SIGUSR1:
            say(self.counters.describe(self.peers.values(), self._admission.count))
        elif number == signal.SIGHUP:
            if self.log is not None:
                self.log.reopen()
            self._strategy.tell(number)
        elif number in (signal.SIGCHLD, WAKE):
            self._strategy.reap()

    # Stopping

    def _begin_stop(self, grace_s: float) -> None:
        self._ends_at = time.monotonic() + grace_s
        self._set_accepting(False)
        self._close_listeners()  # so that new clients are refused, and don't wait for nothing
        self._strategy.tell(signal.SIGTERM if grace_s else NOW)
        for peer in list(self.peers.values()):
            self._strategy.ask_to_leave(peer)

    def _cut(self) -> None:
        for peer in list(self.peers.values()):
            peer.reset()
            self._strategy.expel(peer)
        # Those that were started for clients do the same; who does not is not asked again.
        self._strategy.tell(signal.SIGKILL if self._cutting else NOW)
        self._cutting = True
        self._ends_at = time.monotonic() + _CUT_SECONDS

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    # Accepting

    def _use_reserve(self) -> None:
        """Go on with what was kept back for this, and let nobody in until it can be kept back again."""
        self._reserve = None
        self._hold(_NO_MEMORY, _NO_ROOM_SECONDS)

    def _set_accepting(self, accepting: bool, resume_at: float = 0.0) -> None:
        self._resume_at = resume_at
        if accepting != self._accepting:
            self._accepting = accepting
            for fd in self._listeners:
                if accepting:
                    self._strategy.watch(fd)
                else:
                    self._strategy.unwatch(fd)

    def _accept(self, listener: socket.socket) -> None:
        family = listener.family
        if self._reserve is None:
            try:
                self._reserve = bytes(_RESERVE_BYTES)
            except MemoryError:
                self._hold(_NO_MEMORY, _NO_ROOM_SECONDS)
                return
        for _ in range(ACCEPT_BATCH):
            if self._admission.full:
                self._hold(f"{self._admission.count} of {self._admission.most} places are taken")
                return
            try:
                # What accept() calls, without its layer of Python around each client.
                fd, address = listener._accept()  # type: ignore[attr-defined]
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._hold(f"{_NO_ROOM_FOR}: {error.strerror}", _NO_ROOM_SECONDS)
                    return
                if error.errno == errno.EAGAIN:
                    if self._said_full_at != self.counters.clients:
                        self._said_full_at = None
                    return
                if error.errno not in _NOBODY:
                    raise
                continue
            except MemoryError:
                self._use_reserve()
                return
            if not self._admit(socket.SocketType(family, socket.SOCK_STREAM, 0, fd), address):
                return

    def _hold(self, why: str, seconds: float | None = None) -> None:
        """Let new clients wait in the system's queue until one leaves, or for some seconds; say so once."""
        self._set_accepting(False, 0.0 if seconds is None else time.monotonic() + seconds)
        if self._said_full_at is None and self._strategy.most_clients > 1:
            self._said_full_at = self.counters.clients
            say(f"{why}: those that come now wait until others leave")

    def _admit(self, sock: socket.SocketType, address: Any) -> bool:
        """Let a client in, unless there are too many like it. Returns whether there is room for others."""
        whom = origin(address[0])
        if not self._admission.enter(whom):
            self.counters.refused += 1
            sock.close()
            return True
        try:
            sock.setblocking(False)
            connection = Connection(
                self.directory,
                longest_line=self.limits.line_bytes,
                can_send_files=CAN_SEND_FILES,
                recorder=None if self.log is None else self.log.recorder(address),
            )
            peer = self.peers[sock.fileno()] = Peer(sock, whom, connection, self._lingering)
            self._strategy.welcome(peer)
        except OSError as error:
            self._refuse(sock, whom, f"{_NO_ROOM_FOR}: {error.strerror}")
            return False
        except MemoryError:
            self._reserve = None
            self._refuse(sock, whom, _NO_MEMORY)
            return False
        self.counters.clients += 1
        return True

    def _refuse(self, sock: socket.SocketType, whom: bytes | str, why: str) -> None:
        """Undo what was done to let a client in, and hold the others."""
        peer = self.peers.pop(sock.fileno(), None)
        if peer is not None:
            peer.connection.close()
        sock.close()
        self._admission.leave(whom)
        self.counters.refused += 1
        self._hold(why, _NO_ROOM_SECONDS)

    # Those who take too long

    def _look(self, now: float) -> None:
        for _ in range(min(_LOOK_BATCH, len(self._to_look_at))):
            peer = self._to_look_at.pop()
            if peer.lingers_until or self.peers.get(peer.fd) is not peer:
                continue
            limit = peer.overdue(now, self.limits.seconds)
            if limit is not None:
                self.counters.note_overdue(limit)
                peer.expire(limit)
                self._strategy.expel(peer)
