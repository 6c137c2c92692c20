"""Facts: the sockets at which a host is reached."""

from __future__ import annotations

import errno
import socket
import struct

from netlab.agent.interfaces import device
from netlab.agent.netlink import IP_FAMILIES, NETLINK_SOCK_DIAG, attributes, dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json


SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
TCP_CLOSE, TCP_LISTEN = 7, 10  # include/net/tcp_states.h
# A UDP socket that is not connected is in the state TCP_CLOSE.
WAITING = {"tcp": (socket.IPPROTO_TCP, 1 << TCP_LISTEN), "udp": (socket.IPPROTO_UDP, 1 << TCP_CLOSE)}
# inet_diag_req_v2: family, protocol, extensions, states, then what socket is meant: an inet_diag_sockid
DIAG_REQUEST = struct.Struct("=BBBxI")
# inet_diag_sockid: source and destination port, source and destination address; interface, cookie
DIAG_PORTS, DIAG_SOCKET = struct.Struct("!HH16s16s"), struct.Struct("=III")
# inet_diag_msg: family, state, timer, retransmits, an inet_diag_sockid; expires, queues, uid, inode
DIAG_MESSAGE, DIAG_MESSAGE_REST = struct.Struct("!BBBBHH16s16s"), struct.Struct("=IIIIIIII")
INET_DIAG_SKV6ONLY = 11  # linux/inet_diag.h


def read_listeners(devices: dict[int, str], protocol: str = "tcp") -> list[Json]:
    """Read the listening TCP sockets of this network namespace, or the UDP ones that are not connected."""
    return [listener(body, devices) for body in dump_listeners(protocol)]


def dump_listeners(protocol: str, port: int = 0) -> list[bytes]:
    """Ask for the sockets at which a service is reached, all or those on one port (sock_diag(7)).

    Raises:
        OSError: ENOENT: the kernel lacks the module tcp_diag, or udp_diag.
    """
    number, states = WAITING[protocol]
    sockets = []
    for family in IP_FAMILIES:
        wanted = DIAG_PORTS.pack(port, 0, b"", b"") + DIAG_SOCKET.pack(0, 0, 0)
        request = DIAG_REQUEST.pack(family, number, 0, states) + wanted
        try:
            sockets += dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request)
        except OSError as error:
            if error.errno == errno.ENOENT:
                lacks = f"this kernel can't list sockets: it lacks the module {protocol}_diag"
                raise OSError(errno.ENOENT, lacks) from None
            raise
    return sockets


def listener(body: bytes, devices: dict[int, str]) -> Json:
    """Decode an inet_diag_msg and its INET_DIAG_* attributes."""
    family, _, _, _, port, _, address, _ = DIAG_MESSAGE.unpack_from(body)
    bound_to = DIAG_MESSAGE_REST.unpack_from(body, DIAG_MESSAGE.size)[0]
    found = attributes(body, DIAG_MESSAGE.size + DIAG_MESSAGE_REST.size)
    return {
        "address": socket.inet_ntop(family, address[:4] if family == socket.AF_INET else address),
        "port": port,
        "v6only": found.get(INET_DIAG_SKV6ONLY) == b"\1",
        "device": device(bound_to, devices),
    }


def inodes_listening(port: int, protocol: str) -> frozenset[int]:
    """Return what tells one listening socket from another, even with the same address: their inodes."""
    sockets = dump_listeners(protocol, port)
    return frozenset(DIAG_MESSAGE_REST.unpack_from(body, DIAG_MESSAGE.size)[7] for body in sockets)
