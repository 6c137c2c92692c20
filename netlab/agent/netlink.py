"""Netlink: the kernel's own language, in which it tells its tables.

netlink(7): a dump request is answered by messages, in as many datagrams as it takes, up to NLMSG_DONE. Each
is a header and a body; a body is a fixed structure, which differs by kind, and then attributes: length,
type, value. Everything is in the machine's byte order, save addresses and ports.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4  # linux/netlink.h
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
NLMSG_ERROR, NLMSG_DONE = 2, 3
MESSAGE_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence number, port
ATTRIBUTE_HEADER = struct.Struct("=HH")  # nlattr: length, type
ATTRIBUTE_TYPE_MASK = 0x3FFF  # the two upper bits are flags: NLA_F_NESTED, NLA_F_NET_BYTEORDER
NATIVE_U32 = struct.Struct("=I")
NATIVE_S32 = struct.Struct("=i")
DUMP_ATTEMPTS = 10
IP_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}


class ChangedMeanwhileError(Exception):
    """What was dumped changed in the middle of it (NLM_F_DUMP_INTR): parts may be missing, or there twice."""


def dump(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """Ask the kernel for all objects of a kind; return the bodies of the messages that it answers with.

    Args:
        protocol: `NETLINK_ROUTE` or `NETLINK_SOCK_DIAG`.
        kind: the request's type: RTM_GETROUTE, SOCK_DIAG_BY_FAMILY.
        body: the fixed structure of that type, and attributes that narrow it down.

    Raises:
        OSError: the kernel refuses, or what it tells keeps changing (EAGAIN).
    """
    for attempt in range(DUMP_ATTEMPTS):
        time.sleep(attempt * 0.01)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
            length = MESSAGE_HEADER.size + len(body)
            sock.sendto(MESSAGE_HEADER.pack(length, kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body, (0, 0))
            try:
                return list(answers(sock))
            except ChangedMeanwhileError:
                continue
    raise OSError(errno.EAGAIN, "the kernel's tables keep changing while they are read")


def dump_if_supported(kind: int, request: bytes) -> list[bytes]:
    """Dump, or return nothing where the kernel is built without IPv6 or without policy routing."""
    try:
        return dump(NETLINK_ROUTE, kind, request)
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
            return []
        raise


def answers(sock: socket.socket) -> Iterator[bytes]:
    """Yield the bodies of the messages that answer a dump request."""
    interrupted = False
    while True:
        datagram = sock.recv(65536)  # the kernel fills 32 KiB at most (netlink_recvmsg, max_recvmsg_len)
        offset = 0
        while offset + MESSAGE_HEADER.size <= len(datagram):
            length, kind, flags, _, _ = MESSAGE_HEADER.unpack_from(datagram, offset)
            body = datagram[offset + MESSAGE_HEADER.size : offset + length]
            interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
            if kind in (NLMSG_ERROR, NLMSG_DONE):
                raise_errno(body)
                if interrupted:
                    raise ChangedMeanwhileError
                return
            yield body
            offset += aligned(length)


def raise_errno(body: bytes) -> None:
    """Raise the error that begins a NLMSG_ERROR or NLMSG_DONE, a negative errno; 0 is none."""
    (code,) = NATIVE_S32.unpack_from(body) if len(body) >= NATIVE_S32.size else (0,)
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def aligned(length: int) -> int:
    """NLMSG_ALIGN and RTA_ALIGN: messages and attributes begin at multiples of four."""
    return (length + 3) & ~3


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes that follow the fixed structure of a message, type -> value.

    Args:
        body: of the message.
        offset: where the structure ends, in bytes.

    Source: rtnetlink(7), struct rtattr; of what is cut short, what is whole.
    """
    found = {}
    while offset + ATTRIBUTE_HEADER.size <= len(body):
        length, kind = ATTRIBUTE_HEADER.unpack_from(body, offset)
        if length < ATTRIBUTE_HEADER.size:
            break
        found[kind & ATTRIBUTE_TYPE_MASK] = body[offset + ATTRIBUTE_HEADER.size : offset + length]
        offset += aligned(length)
    return found


def number(found: dict[int, bytes], kind: int, default: int = 0) -> int:
    """Return an attribute that is an unsigned 32-bit number in the machine's byte order.

    Args:
        found: what `attributes` returned.
        kind: the attribute's type.
        default: where the kernel did not tell it.
    """
    return NATIVE_U32.unpack(found[kind])[0] if kind in found else default


def text(value: bytes) -> str:
    """Return an attribute that is a string: it ends with a NUL."""
    return value.rstrip(b"\0").decode("utf-8", "replace")


def prefix(family: int, address: bytes, length: int) -> str:
    """Write a network; an absent address is that of the default route."""
    size = 4 if family == socket.AF_INET else 16
    return f"{socket.inet_ntop(family, address or bytes(size))}/{length}"
