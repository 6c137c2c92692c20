"""Dialling: a name's addresses one after the other, as an ordinary program goes about it."""

from __future__ import annotations

import errno
import select
import socket
import time

from netlab.agent import checks
from netlab.agent.asked import PROTOCOLS, is_port, is_protocol, is_text, required
from netlab.agent.errorqueue import ERROR_QUEUES, errno_name, icmp_error
from netlab.agent.names import ResolutionError, address_text, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from netlab.agent.shapes import Endpoint, Json, SocketAddress


# The errnos with which a connection ends that was open: reset, or closed and then reset. While it is being
# opened a reset is ECONNREFUSED (net/ipv4/tcp_input.c, tcp_reset).
CONNECTED = (0, errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)

RESET_AT_ONCE = {"result": "reset", "text": "the connection was reset as soon as it was open"}


def validate(probe: Json) -> None:
    """Raise RequestError unless a probe says everything that it needs."""
    required(probe, "id", is_text, "a text")
    required(probe, "address", is_text, "a name or an address")
    required(probe, "port", is_port, "a port, 1 to 65535")
    protocol = required(probe, "protocol", is_protocol, PROTOCOLS)
    checks.validate(required(probe, "check", lambda value: isinstance(value, dict), "an object"), protocol)


def dial(probe: Json, timeout_s: float) -> Json:
    """Resolve, dial one address after the other until one answers, and check what answers.

    Args:
        probe: `id`, `address`, `port`, `protocol`, `check`.
        timeout_s: bounds each attempt to connect, and the check; the resolver has timeouts of its own.
    """
    started = time.monotonic()
    result: Json = {"id": probe["id"], "resolved": [], "resolve_error": None, "attempts": [], "check": None}
    try_address = way_of(probe["protocol"])
    try:
        found = resolve(probe["address"], probe["port"])
    except ResolutionError as error:
        found, result["resolve_error"] = [], str(error)
    result["resolved"] = [address_text(address) for _, address in found]
    for family, address in found:
        result["check"], attempt = try_address(family, address, probe["check"], timeout_s)
        result["attempts"].append(attempt)
        if result["check"] is not None:
            break
    result["seconds"] = elapsed(started)
    return result


def way_of(protocol: str) -> Callable[[int, SocketAddress, Json, float], tuple[Json | None, Json]]:
    """Return what tries an address; how to ask with datagrams is imported when somebody does."""
    if protocol == "tcp":
        return connect_and_check
    from netlab.agent.asking import ask

    return ask


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


def elapsed(started: float) -> float:
    """Return the seconds since a reading of the monotonic clock."""
    return round(time.monotonic() - started, 6)


def attempt_at(address: SocketAddress) -> Json:
    """Return what is known of an attempt before it is made."""
    where = {"address": address_text(address), "port": address[1]}
    return {**where, "timed_out": False, "icmp": None, "local": None, "peer": None}


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


def endpoint(address: Any) -> Endpoint | None:
    """Return a socket's address and port; None when it has none yet."""
    return (address[0], address[1]) if address[1] else None
