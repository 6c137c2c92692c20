"""Asking: a question in a datagram, again if nothing comes, and whatever answers it."""

from __future__ import annotations

import errno
import select
import socket
import time

from netlab.agent import checks
from netlab.agent.attempt import attempt_at, elapsed, endpoint
from netlab.agent.conversation import AFTERMATH_S, FindingError
from netlab.agent.errorqueue import ERROR_QUEUES, errno_name, icmp_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json, SocketAddress

ASK_AGAIN_S = 0.5  # a datagram may be lost: after this, twice this, and so on
DATAGRAM_BYTES = 65536


def ask(family: int, address: SocketAddress, wanted: Json, timeout_s: float) -> tuple[Json | None, Json]:
    """Ask one address; return what the check found, if it answered, and what happened.

    The question leaves by a connected socket, as most programs have it: the kernel chooses route and source
    as for them, and gives it ICMP errors and what comes from the very address and port that were asked. A
    second socket beside it, on the same address and port, gets what comes from elsewhere.

    Args:
        family: the socket's.
        address: what is asked.
        wanted: the check.
        timeout_s: how long to wait for an answer, and to ask again.
    """
    started = time.monotonic()
    attempt = attempt_at(address)
    found = None
    with socket.socket(family, socket.SOCK_DGRAM) as near, socket.socket(family, socket.SOCK_DGRAM) as far:
        try:
            open_both(near, far, address, attempt)
            exchange = Exchange(near, far, wanted)
            exchange.hold(timeout_s)
            found, attempt["elsewhere"] = exchange.found, exchange.elsewhere
            attempt["timed_out"] = found is None and exchange.elsewhere is None
            code = errno.ETIMEDOUT if attempt["timed_out"] else 0
        except OSError as error:
            code = error.errno or errno.EIO
            attempt["icmp"] = icmp_error(near)
    attempt["connected"] = found is not None
    attempt["errno"] = errno_name(code) if code else None
    attempt["seconds"] = elapsed(started)
    return found, attempt


def open_both(near: socket.socket, far: socket.socket, address: SocketAddress, attempt: Json) -> None:
    """Connect one socket, and bind the other one to the address and port that it was given.

    That is allowed where both say SO_REUSEADDR; were it said before, the kernel could give two dials the same
    port (net/ipv4/udp.c, udp_lib_lport_inuse). Of two such sockets the connected one gets what comes from its
    peer (compute_score).

    Raises:
        OSError: there is no route, or another reason not to dial.
    """
    near.setsockopt(*ERROR_QUEUES[near.family], 1)
    near.connect(address)
    attempt["local"], attempt["peer"] = endpoint(near.getsockname()), endpoint(near.getpeername())
    if attempt["local"] == attempt["peer"]:
        # The port asked was also the one picked for our end: nobody else has it.
        raise OSError(errno.ECONNREFUSED, "it met itself")
    for sock in (near, far):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
    own = near.getsockname()
    if own[0].startswith("fe80:") and not own[3]:
        # A link-local source for an address that is not: of which interface it is, the kernel does not say.
        own = ("::", own[1])
    far.bind(own)


class Exchange:
    """A question, and what comes.

    Attributes:
        found: what the check makes of what answered.
        elsewhere: from where, and what, if an answer came from another address or port than was asked.
    """

    def __init__(self, near: socket.socket, far: socket.socket, wanted: Json) -> None:
        self._near, self._far, self._wanted = near, far, wanted
        self._check = checks.module(wanted["kind"])
        self._question = self._check.question(wanted)
        self._deadline = 0.0
        self.found: Json | None = None
        self.elsewhere: Json | None = None

    def hold(self, timeout_s: float) -> None:
        """Ask until the right answer comes, or the time is over.

        Raises:
            OSError: an ICMP error came, or the kernel refuses to send; after an answer it does not matter.
        """
        try:
            self._ask(timeout_s)
        except OSError:
            if self.found is None and self.elsewhere is None:
                raise

    def _ask(self, timeout_s: float) -> None:
        poll = select.poll()
        poll.register(self._near, select.POLLIN)
        poll.register(self._far, select.POLLIN)
        now = due = time.monotonic()
        self._deadline, pause = now + timeout_s, ASK_AGAIN_S
        while now < self._deadline:
            if now >= due and self.found is None:
                self._near.send(self._question)
                due, pause = now + pause, pause * 2
            for descriptor, _ in poll.poll(max(0.0, min(due, self._deadline) - now) * 1000 + 1):
                self._take(self._near if descriptor == self._near.fileno() else self._far)
            now = time.monotonic()

    def _take(self, sock: socket.socket) -> None:
        """Receive a datagram and judge it.

        The right one ends the wait. After another one, or one from elsewhere, the right one may yet come: it
        is given a moment.
        """
        datagram, source = sock.recvfrom(DATAGRAM_BYTES)
        try:
            said, result = self._check.finding(self._question, datagram, self._wanted), "right"
        except FindingError as finding:
            said, result = finding.text, finding.result
        if sock is self._near:
            self.found = {"result": result, "text": said}
        elif self.elsewhere is None or result == "right":
            self.elsewhere = {"from": endpoint(source), "text": said}
        if sock is self._near or result == "right":
            moment = 0 if sock is self._near and result == "right" else AFTERMATH_S
            self._deadline = min(self._deadline, time.monotonic() + moment)
