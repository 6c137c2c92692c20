"""A socket's error queue: which ICMP message ended an attempt, and who sent it (ip(7))."""

from __future__ import annotations

import errno
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json


IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h
MSG_ERRQUEUE = 0x2000  # linux/socket.h
SOCK_EXTENDED_ERR = struct.Struct(
    "=IBBBxII"
)  # linux/errqueue.h: errno, origin, type, code, info, data; then sockaddr
SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 = 2, 3
ERROR_QUEUES = {
    socket.AF_INET: (socket.IPPROTO_IP, IP_RECVERR),
    socket.AF_INET6: (socket.IPPROTO_IPV6, IPV6_RECVERR),
}


def errno_name(code: int) -> str:
    """Name an errno: `ECONNREFUSED`."""
    return errno.errorcode.get(code, f"errno {code}")


def icmp_error(sock: socket.socket) -> Json | None:
    """Take the ICMP message, if there is one, off a socket's error queue (ip(7); linux/errqueue.h)."""
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 1024, MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, value in ancillary:
        if (level, kind) == ERROR_QUEUES[sock.family] and len(value) >= SOCK_EXTENDED_ERR.size:
            _, origin, icmp_type, code, _, _ = SOCK_EXTENDED_ERR.unpack_from(value)
            if origin in (SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6):
                version = 4 if origin == SO_EE_ORIGIN_ICMP else 6
                sender = offender(value[SOCK_EXTENDED_ERR.size :])
                return {"version": version, "type": icmp_type, "code": code, "from": sender}
    return None


def offender(address: bytes) -> str | None:
    """Return the IP in a sockaddr_in or sockaddr_in6: who sent the message (SO_EE_OFFENDER)."""
    (family,) = struct.unpack_from("=H", address) if len(address) >= 16 else (0,)
    if family == socket.AF_INET:
        return socket.inet_ntop(family, address[4:8])
    if family == socket.AF_INET6 and len(address) >= 24:
        return socket.inet_ntop(family, address[8:24])
    return None
