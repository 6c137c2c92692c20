"""Connecting: one attempt by TCP, and the check of what answers."""

from __future__ import annotations

import errno
import select
import socket
import time

from netlab.agent import checks
from netlab.agent.attempt import attempt_at, elapsed, endpoint
from netlab.agent.errorqueue import ERROR_QUEUES, errno_name, icmp_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json, SocketAddress

# The errnos with which a connection ends that was open: reset, or closed and then reset. While it is being
# opened a reset is ECONNREFUSED (net/ipv4/tcp_input.c, tcp_reset).
CONNECTED = (0, errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)

RESET_AT_ONCE = {"result": "reset", "text": "the connection was reset as soon as it was open"}


def connect_and_check(
    family: int, address: SocketAddress, wanted: Json, timeout_s: float
) -> tuple[Json | None, Json]:
    """Connect to one address; return what the check found, if it connected, and what happened."""
    sock, attempt = connect(family, address, timeout_s)
    if sock is None:
        return None, attempt
    with sock:
        if attempt["errno"]:
            return RESET_AT_ONCE, attempt
        return checks.check(sock, wanted, timeout_s), attempt


def connect(family: int, address: SocketAddress, timeout_s: float) -> tuple[socket.socket | None, Json]:
    """Try to connect; return the socket, if it did, and what happened."""
    started = time.monotonic()
    attempt = attempt_at(address)
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        code = connection_error(sock, address, timeout_s, attempt)
    except OSError as error:
        code = error.errno or errno.EIO
    attempt["connected"] = code in CONNECTED
    attempt["errno"] = errno_name(code) if code else None
    attempt["seconds"] = elapsed(started)
    if sock is not None and not attempt["connected"]:
        attempt["icmp"] = icmp_error(sock)
        sock.close()
        sock = None
    return sock, attempt


def connection_error(sock: socket.socket, address: SocketAddress, timeout_s: float, attempt: Json) -> int:
    """Connect without blocking for longer than `timeout_s`; return the errno, 0 when it connected.

    With IP_RECVERR the kernel keeps the ICMP message that ends the attempt, and says who sent it (ip(7);
    net/ipv4/tcp_ipv4.c, tcp_v4_err). Once connected it is switched off: it would also end the connection for
    an ICMP error that other programs never notice.
    """
    queue = ERROR_QUEUES[sock.family]
    sock.setsockopt(*queue, 1)
    sock.settimeout(0)
    code = sock.connect_ex(address)
    attempt["local"] = endpoint(sock.getsockname())
    if code == errno.EINPROGRESS:
        if not wait_connected(sock, timeout_s):
            attempt["timed_out"] = True
            return errno.ETIMEDOUT
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        return code
    attempt["peer"] = endpoint(sock.getpeername())
    if attempt["peer"] == attempt["local"]:
        # The port dialled was also the one picked for our end: it met itself (RFC 9293, 3.5, figure 7).
        return errno.ECONNREFUSED
    sock.setsockopt(*queue, 0)
    return 0


def wait_connected(sock: socket.socket, timeout_s: float) -> bool:
    """Wait until a socket has connected, or failed to; return whether it came to that in time."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(timeout_s * 1000))
