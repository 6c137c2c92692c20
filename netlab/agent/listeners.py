"""Facts: listening sockets."""

from __future__ import annotations

import errno
import socket
import struct

from netlab.agent.interfaces import device
from netlab.agent.netlink import IP_FAMILIES, NETLINK_SOCK_DIAG, attributes, dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from netlab.agent.shapes import Json

    Item = TypeVar("Item")
    Result = TypeVar("Result")


SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
TCP_LISTEN = 10  # include/net/tcp_states.h
# inet_diag_req_v2: family, protocol, extensions, states, then what socket is meant: an inet_diag_sockid
DIAG_REQUEST = struct.Struct("=BBBxI")
# inet_diag_sockid: source and destination port, source and destination address; interface, cookie
DIAG_PORTS, DIAG_SOCKET = struct.Struct("!HH16s16s"), struct.Struct("=III")
# inet_diag_msg: family, state, timer, retransmits, an inet_diag_sockid; expires, queues, uid, inode
DIAG_MESSAGE, DIAG_MESSAGE_REST = struct.Struct("!BBBBHH16s16s"), struct.Struct("=IIIIIIII")
INET_DIAG_SKV6ONLY = 11  # linux/inet_diag.h


def read_listeners(devices: dict[int, str]) -> list[Json]:
    """Read the listening TCP sockets of this network namespace."""
    return [listener(body, devices) for body in dump_listeners()]


def dump_listeners(port: int = 0) -> list[bytes]:
    """Ask for the listening TCP sockets, all or those on one port (sock_diag(7); linux/inet_diag.h).

    Raises:
        OSError: ENOENT: the kernel lacks the module tcp_diag.
    """
    sockets = []
    for family in IP_FAMILIES:
        wanted = DIAG_PORTS.pack(port, 0, b"", b"") + DIAG_SOCKET.pack(0, 0, 0)
        request = DIAG_REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << TCP_LISTEN) + wanted
        try:
            sockets += dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise OSError(
                    errno.ENOENT, "this kernel can't list sockets: it lacks the module tcp_diag"
                ) from None
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


def inodes_listening(port: int) -> frozenset[int]:
    """Return what tells one listening socket from another, even with the same address: their inodes."""
    inodes = (DIAG_MESSAGE_REST.unpack_from(body, DIAG_MESSAGE.size)[7] for body in dump_listeners(port))
    return frozenset(inodes)
