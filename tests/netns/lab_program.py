"""Runs on a host of a lab, with the standard library alone: sets the kernel up, opens sockets, answers.

stdin: one line of JSON, `{"sysctls": {path below /proc/sys: value}, "links": [...], "addresses": [...],
"routes": [...], "rules": [...], "sockets": [...]}`; the dictionaries are the keyword arguments of the
functions below. stdout: one line of JSON, the errnos of what the kernel refused: `[["route", 3, "EINVAL"]]`.
Then each connection, and each datagram, is answered with the number of the socket that took it.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWRULE = 16, 20, 24, 25, 32
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x200, 0x400
IFA_LOCAL, IFA_ADDRESS, IFA_FLAGS, IFA_F_NODAD = 2, 1, 8, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
FRA_DST, FRA_SRC, FRA_PRIORITY, FRA_TABLE = 1, 2, 6, 15
ROUTE_TYPES = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
ACTIONS = {"lookup": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
SCOPE_LINK, SCOPE_HOST = 253, 254
IP_PKTINFO = 8  # linux/in.h; in_pktinfo: interface, the local address to answer from, the address it was for
IN_PKTINFO, IN6_PKTINFO = struct.Struct("=I4s4s"), struct.Struct("=16sI")


def pack(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def split(prefix: str) -> tuple[int, bytes, int]:
    address, _, length = prefix.partition("/")
    family, packed = pack(address)
    return family, packed, int(length)


def attribute(kind: int, value: int | bytes) -> bytes:
    data = struct.pack("=I", value) if isinstance(value, int) else value
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def ask(kind: int, body: bytes, flags: int = NLM_F_CREATE | NLM_F_EXCL) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        length = 16 + len(body)
        flags |= NLM_F_REQUEST | NLM_F_ACK
        sock.sendto(struct.pack("=IHHII", length, kind, flags, 1, 0) + body, (0, 0))
        (code,) = struct.unpack_from("=i", sock.recv(4096), 16)
    if code:
        raise OSError(-code, "netlink")


def link(device: str, up: bool) -> None:
    ask(RTM_NEWLINK, struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(device), int(up), 1), 0)


def address(device: str, prefix: str) -> None:
    family, packed, length = split(prefix)
    head = struct.pack("=BBBBI", family, length, 0, 0, socket.if_nametoindex(device))
    flags = attribute(IFA_FLAGS, IFA_F_NODAD) if family == socket.AF_INET6 else b""
    ask(RTM_NEWADDR, head + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed) + flags)


def route(
    to: str,
    via: str | None = None,
    device: str | None = None,
    kind: str = "unicast",
    table: int = 254,
    metric: int | None = None,
    source: str | None = None,
    delete: bool = False,
) -> None:
    family, packed, length = split(to)
    scope = SCOPE_HOST if kind == "local" else SCOPE_LINK if via is None and kind == "unicast" else 0
    body = struct.pack("=BBBBBBBBI", family, length, 0, 0, 0, 3, scope, ROUTE_TYPES[kind], 0)
    body += attribute(RTA_TABLE, table)
    if length:
        body += attribute(RTA_DST, packed)
    if via is not None:
        body += attribute(RTA_GATEWAY, pack(via)[1])
    if device is not None:
        body += attribute(RTA_OIF, socket.if_nametoindex(device))
    if metric is not None:
        body += attribute(RTA_PRIORITY, metric)
    if source is not None:
        body += attribute(RTA_PREFSRC, pack(source)[1])
    if delete:
        ask(RTM_DELROUTE, body, 0)
    else:
        ask(RTM_NEWROUTE, body)


def rule(
    family: int,
    priority: int,
    action: str = "lookup",
    table: int = 0,
    source: str | None = None,
    destination: str | None = None,
) -> None:
    _, from_packed, from_length = split(source) if source else (0, b"", 0)
    _, to_packed, to_length = split(destination) if destination else (0, b"", 0)
    number = socket.AF_INET if family == 4 else socket.AF_INET6
    body = struct.pack("=BBBBBBBBI", number, to_length, from_length, 0, 0, 0, 0, ACTIONS[action], 0)
    body += attribute(FRA_PRIORITY, priority)
    if table:
        body += attribute(FRA_TABLE, table)
    if source:
        body += attribute(FRA_SRC, from_packed)
    if destination:
        body += attribute(FRA_DST, to_packed)
    ask(RTM_NEWRULE, body)


def sysctl(name: str, value: str) -> None:
    descriptor = os.open("/proc/sys/" + name, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def listener(
    address: str,
    port: int,
    v6only: bool | None = None,
    device: str | None = None,
    reuse: Sequence[str] = (),
    protocol: str = "tcp",
    from_dialled: bool = False,
) -> socket.socket:
    """Return a listening socket; of UDP, perhaps one that is told to which address a datagram was sent."""
    host, _, scope = address.partition("%")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        for option in reuse:
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        if v6only is not None:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        if device is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        index = socket.if_nametoindex(scope) if scope else 0
        sock.bind((host, port, 0, index) if family == socket.AF_INET6 else (host, port))
        if from_dialled and family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif from_dialled:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        if protocol == "tcp":
            sock.listen(64)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def answer(sock: socket.socket, text: bytes) -> None:
    """Answer who is waiting; a datagram from the address that it was sent to, if the socket is told it."""
    if sock.type == socket.SOCK_STREAM:
        accepted, _ = sock.accept()
        with accepted:
            accepted.send(text)
        return
    _, ancillary, _, asker = sock.recvmsg(2048, 256)
    sock.sendmsg([text], [source(*said) for said in ancillary], 0, asker)


def source(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """Return what an answer has to say for its source (ip(7), ipv6(7)); routes choose the interface."""
    if level == socket.IPPROTO_IPV6:
        address, index = IN6_PKTINFO.unpack(data)
        return level, kind, IN6_PKTINFO.pack(address, index if address[:2] == b"\xfe\x80" else 0)
    _, local, _ = IN_PKTINFO.unpack(data)
    return level, kind, IN_PKTINFO.pack(0, local, bytes(4))


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    refused = []

    def attempt(what: str, number: int, step: Callable[..., Any], *arguments: str, **named: Any) -> Any:
        try:
            return step(*arguments, **named)
        except OSError as error:
            refused.append([what, number, errno.errorcode.get(error.errno or 0, str(error))])
            return None

    for number, (name, value) in enumerate(plan.get("sysctls", {}).items()):
        attempt("sysctl", number, sysctl, name, value)
    for what, step in (("link", link), ("address", address), ("route", route), ("rule", rule)):
        for number, said in enumerate(plan.get({"address": "addresses"}.get(what, what + "s"), [])):
            attempt(what, number, step, **said)
    poll = select.epoll()
    numbers = {}
    for number, said in enumerate(plan.get("sockets", [])):
        sock = attempt("socket", number, listener, **said)
        if sock is not None:
            numbers[sock.fileno()] = number, sock
            poll.register(sock.fileno(), select.EPOLLIN)
    sys.stdout.write(json.dumps(refused) + "\n")
    sys.stdout.flush()
    poll.register(0, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == 0:
                return
            number, sock = numbers[descriptor]
            with suppress(OSError):
                answer(sock, b"socket %d\n" % number)


if __name__ == "__main__":
    main()
