"""The agent: what runs on each host of a lab, to read its facts, start the service under test, and dial.

One file of standard-library Python (3.8 or later), sent over a pipe to an interpreter that has nothing
installed (`netlab.session` does that), so that a namespace, a container and a machine far away are all asked
the same way.

    requests   stdin, one JSON object a line    {"id": 1, "op": "hello"}
    answers    stdout, one JSON object a line   {"id": 1, "ok": {...}}  or  {"id": 1, "error": "one line"}

It ends when its stdin does, and takes the service and its directory along. No request ends it.

Theory of operation. Requests are attended one after the other. `facts` asks the kernel in its own language,
netlink (rtnetlink(7), sock_diag(7)), since `ip` and `ss` are absent from many images and tell less. `probe`
gives each probe a thread, which goes about it as an ordinary program would. `serve` starts one program, in a
process group of its own.

A lab starts an agent on each host, all at once, so what this file imports, and its length, cost time in every
run: `typing`, `pathlib`, `contextlib`, `subprocess`, `tempfile` and `shutil` are left out for that reason.
"""

# `pathlib` and `contextlib` are left out, see above:
# ruff: noqa: PTH102, PTH106, PTH108, PTH112, PTH114, PTH118, PTH123, SIM105

from __future__ import annotations

import binascii
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

TYPE_CHECKING = False  # type checkers take a variable of this name for true, and `typing` needn't be imported
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType
    from typing import Any, BinaryIO, TypeVar

    Json = dict[str, Any]
    Endpoint = tuple[str, int]
    SocketAddress = tuple[str, int] | tuple[str, int, int, int]
    Item = TypeVar("Item")
    Result = TypeVar("Result")

LINE_LIMIT_BYTES = 16 * 1024 * 1024  # a request names some hundreds of targets: far below
OUTPUT_BYTES = 4096  # of the service: enough for why it did not start
STOP_PATIENCE_S = 0.5  # between SIGTERM and SIGKILL; an agent may itself be given a second to end


class RequestError(Exception):
    """A request can't be followed: which field, and what is allowed in it."""


# --- What a request may say ------------------------------------------------------------------------------


def required(request: Json, key: str, valid: Callable[[Any], bool], allowed: str) -> Any:
    """Return a request's field, or raise RequestError with what is allowed there."""
    value = request.get(key)
    if not valid(value):
        raise RequestError(f"{key}: expected {allowed}, got {json.dumps(value)[:60]}")
    return value


def is_text(value: Any) -> bool:
    """Whether it is a text that can be passed to the kernel: not empty, without NUL."""
    return isinstance(value, str) and bool(value) and "\0" not in value


def is_texts(value: Any) -> bool:
    """Whether it is a list of such texts."""
    return isinstance(value, list) and all(is_text(item) for item in value)


def is_string(value: Any) -> bool:
    """Whether it is a text, or none."""
    return isinstance(value, str) and "\0" not in value


def is_bytes(value: Any) -> bool:
    """Whether it is bytes in hexadecimal, at least one."""
    try:
        return isinstance(value, str) and bool(binascii.a2b_hex(value))
    except ValueError:
        return False


def is_days(value: Any) -> bool:
    """Whether it is a number of days, a century at most."""
    return type(value) is int and 0 <= value <= 36525


def is_argv(value: Any) -> bool:
    """Whether it is a program and its arguments, which may be empty."""
    return isinstance(value, list) and is_text(value[0] if value else None) and all(map(is_string, value))


def is_port(value: Any) -> bool:
    """Whether it is a TCP port."""
    return type(value) is int and 0 < value < 65536


def is_seconds(value: Any) -> bool:
    """Whether it is a time to wait."""
    return type(value) in (int, float) and 0 < value <= 3600


def is_files(value: Any) -> bool:
    """Whether it is an object from file names, without a directory, to texts."""
    return isinstance(value, dict) and all(
        is_text(name) and "/" not in name and name not in (".", "..") and isinstance(content, str)
        for name, content in value.items()
    )


def is_tools(value: Any) -> bool:
    """Whether it is an object from file names to base64."""
    try:
        return is_files(value) and all(binascii.a2b_base64(content) is not None for content in value.values())
    except ValueError:
        return False


def is_objects(value: Any) -> bool:
    """Whether it is a list of objects."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


# --- Netlink ---------------------------------------------------------------------------------------------
#
# netlink(7): a dump request is answered by messages, in as many datagrams as it takes, up to NLMSG_DONE. Each
# is a header and a body; a body is a fixed structure, which differs by kind, and then attributes: length,
# type, value. Everything is in the machine's byte order, save addresses and ports.

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
    """Read the attributes from `offset` to the body's end, type -> value (rtnetlink(7), struct rtattr)."""
    found = {}
    while offset + ATTRIBUTE_HEADER.size <= len(body):
        length, kind = ATTRIBUTE_HEADER.unpack_from(body, offset)
        if length < ATTRIBUTE_HEADER.size:
            break
        found[kind & ATTRIBUTE_TYPE_MASK] = body[offset + ATTRIBUTE_HEADER.size : offset + length]
        offset += aligned(length)
    return found


def number(found: dict[int, bytes], kind: int, default: int = 0) -> int:
    """Return an attribute that is a 32-bit number."""
    return NATIVE_U32.unpack(found[kind])[0] if kind in found else default


def text(value: bytes) -> str:
    """Return an attribute that is a string: it ends with a NUL."""
    return value.rstrip(b"\0").decode("utf-8", "replace")


def prefix(family: int, address: bytes, length: int) -> str:
    """Write a network; an absent address is that of the default route."""
    size = 4 if family == socket.AF_INET else 16
    return f"{socket.inet_ntop(family, address or bytes(size))}/{length}"


# --- Facts: interfaces and addresses ---------------------------------------------------------------------

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETRULE = 18, 22, 26, 34  # linux/rtnetlink.h
LINK_MESSAGE = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
IFF_UP, IFF_LOOPBACK = 0x1, 0x8  # linux/if.h
IFLA_IFNAME = 3  # linux/if_link.h
ADDRESS_MESSAGE = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8  # linux/if_addr.h
IFA_F_OPTIMISTIC, IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x04, 0x08, 0x40
RT_SCOPE_LINK = 253  # linux/rtnetlink.h
DETECTION_S = (
    3.0  # duplicate address detection takes a second, after a random delay of up to one (RFC 4862, 5.4)
)


def read_interfaces() -> list[Json]:
    """Read the interfaces and what addresses they have (rtnetlink(7), RTM_GETLINK and RTM_GETADDR)."""
    links = [interface(body) for body in dump(NETLINK_ROUTE, RTM_GETLINK, LINK_MESSAGE.pack(0, 0, 0, 0, 0))]
    by_index = {link["index"]: link for link in links}
    for body in dump(NETLINK_ROUTE, RTM_GETADDR, ADDRESS_MESSAGE.pack(0, 0, 0, 0, 0)):
        index, address = interface_address(body)
        if address and index in by_index:
            by_index[index]["addresses"].append(address)
    return links


def wait_settled() -> None:
    """Wait until no address, but for link-local ones, is in duplicate address detection any more.

    In a moment it would be in use: who reads now and dials then would wonder.
    """
    deadline = time.monotonic() + DETECTION_S
    while time.monotonic() < deadline:
        asked = ADDRESS_MESSAGE.pack(socket.AF_INET6, 0, 0, 0, 0)
        if not any(is_in_detection(body) for body in dump(NETLINK_ROUTE, RTM_GETADDR, asked)):
            return
        time.sleep(0.05)


def is_in_detection(body: bytes) -> bool:
    """Whether a RTM_NEWADDR is about an address that may yet come into use."""
    _, _, flags, scope, _ = ADDRESS_MESSAGE.unpack_from(body)
    flags = number(attributes(body, ADDRESS_MESSAGE.size), IFA_FLAGS, flags)
    settled = flags & (IFA_F_OPTIMISTIC | IFA_F_DADFAILED) or not flags & IFA_F_TENTATIVE
    return scope < RT_SCOPE_LINK and not settled


def interface(body: bytes) -> Json:
    """Decode a RTM_NEWLINK: ifinfomsg and IFLA_*."""
    _, _, index, flags, _ = LINK_MESSAGE.unpack_from(body)
    return {
        "index": index,
        "name": text(attributes(body, LINK_MESSAGE.size).get(IFLA_IFNAME, b"")),
        "up": bool(flags & IFF_UP),
        "loopback": bool(flags & IFF_LOOPBACK),
        "addresses": [],
    }


def interface_address(body: bytes) -> tuple[int, str | None]:
    """Decode a RTM_NEWADDR, ifaddrmsg and IFA_*, into the interface's index and the address, if it is in use.

    On a point-to-point interface IFA_ADDRESS is the other end's; IFA_LOCAL, where present, is always ours. An
    IPv6 address that duplicate address detection has not cleared yet is none: the kernel neither accepts
    packets for it nor lets a program bind it (net/ipv6/addrconf.c, ipv6_chk_addr_and_flags).
    """
    family, length, flags, _, index = ADDRESS_MESSAGE.unpack_from(body)
    found = attributes(body, ADDRESS_MESSAGE.size)
    flags = number(found, IFA_FLAGS, flags)
    address = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
    tentative = flags & IFA_F_TENTATIVE and not flags & IFA_F_OPTIMISTIC
    if family not in IP_FAMILIES or address is None or tentative:
        return index, None
    return index, prefix(family, address, length)


# --- Facts: routes and policy rules ----------------------------------------------------------------------

# rtmsg: family, destination and source prefix length, tos, table, protocol, scope, type, flags
ROUTE_MESSAGE = struct.Struct("=BBBBBBBBI")
NEXT_HOP = struct.Struct("=HBBi")  # rtnexthop: length, flags, hops, interface index
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
RTA_MULTIPATH, RTA_TABLE, RTA_VIA = 9, 15, 18
RTM_F_CLONED = 0x200  # not configured but learnt, such as a path MTU
ROUTE_TYPES = {
    1: "unicast",
    2: "local",
    3: "broadcast",
    4: "anycast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
    9: "throw",
    10: "nat",
}

# fib_rule_hdr: family, destination and source prefix length, tos, table, action, flags
RULE_MESSAGE = struct.Struct("=BBBBBxxBI")
FRA_DST, FRA_SRC, FRA_PRIORITY, FRA_TABLE = 1, 2, 6, 15  # linux/fib_rules.h
FIB_RULE_INVERT = 0x2
RULE_ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
RULE_CONDITIONS = {
    3: "iif",
    10: "fwmark",
    12: "tun_id",
    17: "oif",
    19: "l3mdev",
    20: "uidrange",
    22: "ipproto",
    23: "sport",
    24: "dport",
    25: "dscp",
    26: "flowlabel",
}
RULE_SUPPRESSIONS = {13: "suppress_ifgroup", 14: "suppress_prefixlength"}  # always there: 0xffffffff is none


def read_routes(devices: dict[int, str]) -> list[Json]:
    """Read the entries of all routing tables, IPv4 and IPv6 (rtnetlink(7), RTM_GETROUTE).

    Routes over nexthop objects (`ip nexthop`) come with their next hops spelled out, as long as the sysctl
    net.ipv4.nexthop_compat_mode is left at 1.
    """
    routes: list[Json] = []
    for family in IP_FAMILIES:
        request = ROUTE_MESSAGE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        for body in dump_if_supported(RTM_GETROUTE, request):
            # For a family that it lacks, the kernel dumps all those that it has.
            if body[0] == family:
                routes.extend(route_entries(body, devices))
    return routes


def dump_if_supported(kind: int, request: bytes) -> list[bytes]:
    """Dump, or return nothing where the kernel is built without IPv6 or without policy routing."""
    try:
        return dump(NETLINK_ROUTE, kind, request)
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
            return []
        raise


def route_entries(body: bytes, devices: dict[int, str]) -> Iterator[Json]:
    """Decode a RTM_NEWROUTE, rtmsg and RTA_*, into an entry for each of its next hops."""
    family, length, _, _, table, _, _, kind, flags = ROUTE_MESSAGE.unpack_from(body)
    if flags & RTM_F_CLONED:
        return
    found = attributes(body, ROUTE_MESSAGE.size)
    for hop in next_hops(found):
        yield {
            "table": number(found, RTA_TABLE, table),
            "type": ROUTE_TYPES.get(kind, str(kind)),
            "destination": prefix(family, found.get(RTA_DST, b""), length),
            "gateway": gateway(family, hop),
            "device": device(number(hop, RTA_OIF), devices),
            "source": socket.inet_ntop(family, found[RTA_PREFSRC]) if RTA_PREFSRC in found else None,
            "metric": number(found, RTA_PRIORITY),
        }


def next_hops(found: dict[int, bytes]) -> Iterator[dict[int, bytes]]:
    """Yield the attributes of each next hop: the route's own, or those in RTA_MULTIPATH (rtnexthop)."""
    hops = found.get(RTA_MULTIPATH)
    if hops is None:
        yield found
        return
    offset = 0
    while offset + NEXT_HOP.size <= len(hops):
        length, _, _, index = NEXT_HOP.unpack_from(hops, offset)
        if length < NEXT_HOP.size:
            break
        hop = attributes(hops[: offset + length], offset + NEXT_HOP.size)
        hop[RTA_OIF] = NATIVE_U32.pack(index)
        yield hop
        offset += aligned(length)


def gateway(family: int, hop: dict[int, bytes]) -> str | None:
    """Return a next hop's address: RTA_GATEWAY, or RTA_VIA (struct rtvia) where it is of the other family."""
    if RTA_GATEWAY in hop:
        return socket.inet_ntop(family, hop[RTA_GATEWAY])
    if RTA_VIA in hop:
        (via_family,) = struct.unpack_from("=H", hop[RTA_VIA])
        return socket.inet_ntop(via_family, hop[RTA_VIA][2:])
    return None


def device(index: int, devices: dict[int, str]) -> str | None:
    """Name an interface; one that appeared since the interfaces were read is named by its index."""
    return devices.get(index, f"if{index}") if index else None


def read_rules() -> list[Json]:
    """Read the policy rules, IPv4 and IPv6 (ip-rule(8), RTM_GETRULE)."""
    rules: list[Json] = []
    for family in IP_FAMILIES:
        request = RULE_MESSAGE.pack(family, 0, 0, 0, 0, 0, 0)
        rules.extend(rule(body) for body in dump_if_supported(RTM_GETRULE, request) if body[0] == family)
    return rules


def rule(body: bytes) -> Json:
    """Decode a RTM_NEWRULE: fib_rule_hdr and FRA_*."""
    family, dst_len, src_len, tos, table, action, flags = RULE_MESSAGE.unpack_from(body)
    found = attributes(body, RULE_MESSAGE.size)
    conditions = [name for kind, name in RULE_CONDITIONS.items() if kind in found]
    conditions += [
        name for kind, name in RULE_SUPPRESSIONS.items() if number(found, kind, 0xFFFFFFFF) != 0xFFFFFFFF
    ]
    conditions += ["tos"] * bool(tos) + ["not"] * bool(flags & FIB_RULE_INVERT)
    return {
        "family": IP_FAMILIES[family],
        "priority": number(found, FRA_PRIORITY),
        "action": RULE_ACTIONS.get(action, str(action)),
        "table": number(found, FRA_TABLE, table),
        "source": prefix(family, found[FRA_SRC], src_len) if FRA_SRC in found else None,
        "destination": prefix(family, found[FRA_DST], dst_len) if FRA_DST in found else None,
        "conditions": conditions,
    }


# --- Facts: listening sockets ----------------------------------------------------------------------------

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


# --- Facts: sysctls and names ----------------------------------------------------------------------------

# What decides who is reached (Documentation/networking/ip-sysctl.rst); {} is each interface, and `all`.
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_l3mdev_accept",
    "net.ipv6.bindv6only",
    "net.ipv6.ip_nonlocal_bind",
)
INTERFACE_SYSCTLS = (
    "net.ipv4.conf.{}.accept_local",
    "net.ipv4.conf.{}.arp_ignore",
    "net.ipv4.conf.{}.forwarding",
    "net.ipv4.conf.{}.route_localnet",
    "net.ipv4.conf.{}.rp_filter",
    "net.ipv6.conf.{}.disable_ipv6",
    "net.ipv6.conf.{}.forwarding",
)


def read_sysctls(devices: Sequence[str]) -> dict[str, str]:
    """Read those that this kernel has; a dot in an interface's name becomes a slash, as sysctl(8) has it."""
    names = list(SYSCTLS)
    for name in ["all", *devices]:
        names += [pattern.format(name.replace(".", "/")) for pattern in INTERFACE_SYSCTLS]
    values = ((name, sysctl(name)) for name in names)
    return {name: value for name, value in values if value is not None}


def sysctl(name: str) -> str | None:
    """Return a sysctl's value; None where the kernel, or this user, has none of that name."""
    path = "/proc/sys/" + name.translate({ord("."): "/", ord("/"): "."})
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, 256).decode("ascii", "replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)


class ResolutionError(Exception):
    """getaddrinfo(3) failed; its text is the error's name: `EAI_NONAME`."""


def resolve(name: str, port: int = 0) -> list[tuple[int, SocketAddress]]:
    """Return what getaddrinfo(3) makes of a name, for TCP, in its order: families and socket addresses.

    Raises:
        ResolutionError: it makes nothing of it.
    """
    try:
        # Only a name beyond ASCII is worth the import of Python's IDNA codec, which a str would cause.
        host = name.encode("ascii") if name.isascii() else name
        found = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ResolutionError(resolver_error_name(error.errno)) from None
    except UnicodeError:  # an empty label, or one over 63 bytes: no name at all
        raise ResolutionError("EAI_NONAME") from None
    # An `int` in a socket address: of a family that this Python was built without.
    return [(family, address) for family, _, _, _, address in found if isinstance(address[0], str)]


def resolver_error_name(code: int | None) -> str:
    """Return the name of an error of getaddrinfo(3), such as `EAI_NONAME`."""
    names = [name for name in dir(socket) if name.startswith("EAI_") and getattr(socket, name) == code]
    return names[0] if names else f"EAI {code}"


def address_text(address: SocketAddress) -> str:
    """Write a socket address's IP, with the scope that a link-local one has: `fe80::1%eth0`."""
    if len(address) < 4 or not address[3]:
        return address[0]
    try:
        scope = socket.if_indextoname(address[3])
    except OSError:
        scope = str(address[3])
    return f"{address[0].partition('%')[0]}%{scope}"


def resolution(name: str) -> Json:
    """Return what a name resolves to here."""
    try:
        found = resolve(name)
    except ResolutionError as error:
        return {"addresses": [], "error": str(error)}
    return {"addresses": [address_text(address) for _, address in found], "error": ""}


# --- Dialling --------------------------------------------------------------------------------------------

AT_ONCE = 64
THREAD_STACK_BYTES = 512 * 1024  # a resolver's plug-ins (nsswitch.conf(5)) need some
ANSWER_LIMIT_BYTES = 65536
AFTERMATH_S = 0.3  # for what follows at once, on any network that a person would wait for
LEAVE_S = 0.5  # for a server to take note of `quit`; the verdict is known by then

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


# The errnos with which a connection ends that was open: reset, or closed and then reset. While it is being
# opened a reset is ECONNREFUSED (net/ipv4/tcp_input.c, tcp_reset).
CONNECTED = (0, errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)


def concurrently(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Apply a function to each item, up to 64 at once; return the results in the items' order.

    This thread works too, so that something comes out even where no other can be started.
    """
    results: dict[int, Result] = {}
    failures: list[BaseException] = []
    waiting = list(enumerate(items))[::-1]

    def work() -> None:
        while waiting and not failures:
            try:
                index, item = waiting.pop()
            except IndexError:  # another thread was quicker
                return
            try:
                results[index] = function(item)
            except Exception as error:
                failures.append(error)

    threads = []
    threading.stack_size(THREAD_STACK_BYTES)
    for _ in range(min(AT_ONCE, len(items)) - 1):
        thread = threading.Thread(target=work, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # a limit on processes: pids cgroup, RLIMIT_NPROC
            break
        threads.append(thread)
    work()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(items))]


def dial(probe: Json, timeout_s: float) -> Json:
    """Resolve, connect to one address after the other until one answers, and check what answers.

    Args:
        probe: `id`, `address`, `port`, `check`.
        timeout_s: bounds each attempt to connect, and the check; the resolver has timeouts of its own.
    """
    started = time.monotonic()
    result: Json = {"id": probe["id"], "resolved": [], "resolve_error": None, "attempts": [], "check": None}
    try:
        found = resolve(probe["address"], probe["port"])
    except ResolutionError as error:
        found, result["resolve_error"] = [], str(error)
    result["resolved"] = [address_text(address) for _, address in found]
    for family, address in found:
        sock, attempt = connect(family, address, timeout_s)
        result["attempts"].append(attempt)
        if sock is not None:
            with sock:
                result["check"] = (
                    check(sock, probe["check"], timeout_s) if not attempt["errno"] else RESET_AT_ONCE
                )
            break
    result["seconds"] = elapsed(started)
    return result


def elapsed(started: float) -> float:
    """Return the seconds since a reading of the monotonic clock."""
    return round(time.monotonic() - started, 6)


def connect(family: int, address: SocketAddress, timeout_s: float) -> tuple[socket.socket | None, Json]:
    """Try to connect; return the socket, if it did, and what happened."""
    started = time.monotonic()
    attempt: Json = {"address": address_text(address), "port": address[1], "timed_out": False}
    attempt.update({"icmp": None, "local": None, "peer": None})
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


# --- Checks: is it the right application that answers? ---------------------------------------------------


class FindingError(Exception):
    """A check came to its end without finding the right application.

    Args:
        result: `wrong`, `reset`, `closed` or `silent`.
        text: what came, for people.
    """

    def __init__(self, result: str, text: str) -> None:
        super().__init__(result, text)
        self.result, self.text = result, text


class Conversation:
    """What a check talks over: bounded in time and in what it takes."""

    def __init__(self) -> None:
        self.received = bytearray()  # and not read yet

    def send(self, data: bytes) -> None:
        """Send all of it."""
        raise NotImplementedError

    def receive(self) -> None:
        """Wait for more bytes and keep them in `received`."""
        raise NotImplementedError

    def line(self) -> bytes:
        """Return the next line, without its CRLF."""
        while b"\n" not in self.received:
            self.receive()
        line, _, rest = bytes(self.received).partition(b"\n")
        self.received[:] = rest
        return line[:-1] if line.endswith(b"\r") else line

    def take(self, count: int) -> bytes:
        """Return the next bytes, exactly as many as that."""
        while len(self.received) < count:
            self.receive()
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def pieces(self, count: int | None) -> Iterator[bytes]:
        """Yield what comes as it comes: so many bytes, or all up to the end of the connection."""
        while count is None or count > 0:
            if not self.received:
                try:
                    self.receive()
                except FindingError as finding:
                    if count is None and finding.result == "closed":
                        return
                    raise
            piece = bytes(self.received[:count])
            del self.received[: len(piece)]
            count = None if count is None else count - len(piece)
            yield piece


class Connection(Conversation):
    """A conversation over a connected socket."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._total = 0

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._bounded(lambda: self._sock.sendall(data))

    def hurry(self, timeout_s: float) -> None:
        """Wait for no longer than that from now on, and in no case for longer than before."""
        self._deadline = min(self._deadline, time.monotonic() + timeout_s)

    def receive(self) -> None:
        """Wait for more bytes and keep them in `received`."""
        data = self._bounded(lambda: self._sock.recv(4096))
        if not data:
            result = "reset" if self._reset_follows() else "closed"
            raise FindingError(result, f"the connection was {result} after {amount(self._total)}")
        self._total += len(data)
        if self._total > ANSWER_LIMIT_BYTES:
            raise FindingError("wrong", f"more than {ANSWER_LIMIT_BYTES} bytes came")
        self.received += data

    def _reset_follows(self) -> bool:
        """Whether an RST follows the FIN: the other end has hung up without reading what it was sent.

        Which of the two comes first is chance; that both come is not (RFC 1122, 4.2.2.13).
        """
        poll = select.poll()
        poll.register(self._sock, 0)  # POLLERR and POLLHUP come unasked
        return bool(poll.poll(AFTERMATH_S * 1000))

    def stay(self) -> None:
        """Wait a moment for bytes or for the end, and be content if neither comes.

        To somebody who has ended it a line is sent: who no longer listens either answers it with a reset.
        A check that has asked something sees this without more ado.
        """
        deadline, self._deadline = self._deadline, time.monotonic() + AFTERMATH_S
        try:
            self.receive()
        except FindingError as finding:
            if finding.result == "closed":
                self.send(b"\r\n")
                if self._reset_follows():
                    raise FindingError("reset", "the connection was closed, and then reset") from finding
            if finding.result != "silent":
                raise
        finally:
            self._deadline = deadline

    def again(self, sock: socket.socket) -> Connection:
        """Connect once more to the same place, by another socket of the same family."""

        def connect() -> None:
            sock.settimeout(self._sock.gettimeout())
            sock.connect(self._sock.getpeername())

        self._bounded(connect)
        return Connection(sock, max(0.001, self._deadline - time.monotonic()))

    @property
    def family(self) -> int:
        """The socket's address family."""
        return self._sock.family

    def _bounded(self, step: Callable[[], Result]) -> Result:
        try:
            self._sock.settimeout(max(0.001, self._deadline - time.monotonic()))
            return step()
        except socket.timeout:
            patience = f"within {self._timeout_s:g} s"
            raise FindingError(
                "silent", f"nothing more came {patience}, after {amount(self._total)}"
            ) from None
        except (ConnectionResetError, BrokenPipeError):
            raise FindingError("reset", f"the connection was reset after {amount(self._total)}") from None
        except OSError as error:
            said = f"{errno_name(error.errno or 0)} after {amount(self._total)}"
            raise FindingError("silent", said) from None


def amount(count: int) -> str:
    """Write how much came."""
    return f"{count} bytes" if count else "no byte"


def shown(data: bytes | bytearray) -> str:
    """Write bytes from a stranger in one short printable line."""
    return ascii(bytes(data[:60]))[1:] + ("..." if len(data) > 60 else "")


RESET_AT_ONCE = {"result": "reset", "text": "the connection was reset as soon as it was open"}


def check(sock: socket.socket, wanted: Json, timeout_s: float) -> Json:
    """Find out whether the application at the other end is the right one."""
    try:
        said = CHECKS[wanted["kind"]](Connection(sock, timeout_s), wanted)
    except FindingError as finding:
        return {"result": finding.result, "text": finding.text}
    return {"result": "right", "text": said}


def check_hftp(talk: Connection, wanted: Json) -> str:
    """An HFTP server is right if it lists our file and a slice of all of it is what we expect."""
    name, expected = wanted["file"], wanted["expect"].encode()
    ask_hftp(talk, "get_file_listing")
    names = list(iter(talk.line, b""))
    if name.encode() not in names:
        raise FindingError("wrong", f"an HFTP server without {name}: another one")
    ask_hftp(talk, f"get_metadata {name}")
    size = talk.line()
    if size != str(len(expected)).encode():
        raise FindingError("wrong", f"an HFTP server whose {name} is another: {shown(size)} bytes")
    ask_hftp(talk, f"get_slice {name} 0 {len(expected)}")
    piece = talk.line()
    if piece != binascii.b2a_base64(expected, newline=False):
        raise FindingError("wrong", f"an HFTP server whose {name} is another: {shown(piece)}")
    leave_hftp(talk)
    return "the answer has this run's nonce"


def ask_hftp(talk: Conversation, request: str) -> None:
    """Send a request and read the status line of its answer, which must be `0 OK`."""
    talk.send(request.encode() + b"\r\n")
    while not talk.received:
        talk.receive()
    # Another protocol's greeting shows in its first byte; it may have no line end to wait for.
    if not talk.received[:1].isdigit():
        raise FindingError("wrong", f"not an HFTP server: it said {shown(talk.received)}")
    status = talk.line()
    code = status.partition(b" ")[0]
    if not code.isdigit():
        raise FindingError("wrong", f"not an HFTP server: it said {shown(status)}")
    if code != b"0":
        raise FindingError("wrong", f"{request.split()[0]} was answered with {shown(status)}")


def leave_hftp(talk: Connection) -> None:
    """Say `quit`, and let the server close first: that leaves it nothing to clean up."""
    try:
        talk.hurry(LEAVE_S)
        talk.send(b"quit\r\n")
        while True:
            talk.receive()
    except FindingError:
        pass


def check_tcp(talk: Connection, wanted: Json) -> str:
    """That it connected is enough, if it stays so: a proxy with nothing behind it hangs up at once."""
    talk.stay()
    return "nothing was asked"


def check_banner(talk: Connection, wanted: Json) -> str:
    """A server that speaks first is right if what it says has the expected text in it."""
    return await_bytes(talk, wanted["expect"].encode())


def check_send_expect(talk: Connection, wanted: Json) -> str:
    """A server is right if it answers what it is sent with what is expected."""
    talk.send(binascii.a2b_hex(wanted["send"]))
    return await_bytes(talk, binascii.a2b_hex(wanted["expect"]))


def await_bytes(talk: Conversation, expected: bytes) -> str:
    """Wait until some bytes are in what came."""
    try:
        while expected not in talk.received:
            talk.receive()
    except FindingError as finding:
        if not talk.received:
            raise
        unexpected = f"it said {shown(talk.received)}, expected {shown(expected)}"
        raise FindingError("wrong", unexpected) from finding
    return f"it said {shown(talk.received)}"


# --- Checks: HTTP ----------------------------------------------------------------------------------------


def check_http(talk: Connection, wanted: Json) -> str:
    """An HTTP server is right if its answer has an expected status, and the expected text in its body."""
    asked = "GET " + wanted["path"]
    if wanted["tls"] is None:
        return ask_http(talk, asked, wanted)
    secure, certificate = secured(talk, wanted["tls"])
    said = ask_http(secure, asked, wanted)
    secure.leave()
    return f"{said}; {certificate}"


def ask_http(talk: Conversation, asked: str, wanted: Json) -> str:
    """Ask for a path, and judge the answer (RFC 9112)."""
    fields = ("Host: " + wanted["host"], "User-Agent: netlab", "Accept: */*", "Connection: close")
    talk.send("\r\n".join((asked + " HTTP/1.1", *fields, "", "")).encode())
    status, headers = http_head(talk)
    said = f"HTTP {status} to {asked}"
    if not any(status == one or one == status[:1] + "xx" for one in wanted["status"]):
        to = f" (to {shown(headers[b'location'])})" if b"location" in headers else ""
        raise FindingError("wrong", f"{said}{to}, expected {' or '.join(wanted['status'])[:60]}")
    text = wanted["body"].encode()
    body = bytearray()
    if text:
        for piece in http_body(talk, status, headers):
            body += piece
            if text in body:
                return f"{said}, with {shown(text)} in it"
        raise FindingError("wrong", f"{said} without {shown(text)} in it: it begins {shown(body)}")
    return said


def http_head(talk: Conversation) -> tuple[str, dict[bytes, bytes]]:
    """Return an answer's status code and fields; interim answers are passed over (RFC 9110, 15.2)."""
    while True:
        # Another protocol's greeting shows at its beginning; it may have no line end to wait for.
        while b"HTTP/".startswith(bytes(talk.received)):
            talk.receive()
        if not talk.received.startswith(b"HTTP/"):
            raise FindingError("wrong", f"not an HTTP server: it said {shown(talk.received)}")
        line = talk.line()
        code = line.partition(b" ")[2][:3]
        if not (len(code) == 3 and code.isdigit()):
            raise FindingError("wrong", f"not an HTTP server: it said {shown(line)}")
        headers = {}
        for field in iter(talk.line, b""):
            name, _, value = field.partition(b":")
            headers[name.lower()] = value.strip()
        if not code.startswith(b"1") or code == b"101":
            return code.decode(), headers


def http_body(talk: Conversation, status: str, headers: dict[bytes, bytes]) -> Iterator[bytes]:
    """Yield an answer's content as it comes (RFC 9112, 6.3)."""
    length = headers.get(b"content-length")
    if status in ("204", "304"):
        return
    if headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
        while True:
            size = http_number(talk.line().partition(b";")[0].strip(), 16)
            if not size:
                return
            yield from talk.pieces(size)
            talk.line()
    yield from talk.pieces(None if length is None else http_number(length, 10))


def http_number(digits: bytes, base: int) -> int:
    """Read a length that a stranger wrote."""
    try:
        if len(digits) > 15 or not digits.isalnum():
            raise ValueError
        return int(digits, base)
    except ValueError:
        raise FindingError("wrong", f"an HTTP answer whose length is {shown(digits)}") from None


# --- Checks: TLS -----------------------------------------------------------------------------------------


class Secured(Conversation):
    """A conversation within TLS, which is held within another one.

    Raises:
        FindingError: it does not come to TLS.
        ssl.SSLCertVerificationError: the certificate does not chain to one that is trusted.
    """

    def __init__(self, below: Conversation, context: Any, name: str) -> None:
        import ssl

        super().__init__()
        self._below = below
        self._first = b""  # that came: whether it is TLS at all
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._step(self.tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._step(lambda: self.tls.write(data))

    def receive(self) -> None:
        """Wait for more bytes and keep them in `received`."""
        data = self._step(lambda: self.tls.read(4096))
        if not data:
            raise FindingError("closed", "TLS was closed")
        self.received += data

    def leave(self) -> None:
        """Say that this is the end, so that the server has nothing to complain of."""
        import ssl

        try:
            self.tls.unwrap()
        except ssl.SSLError:  # the other end has not said so yet
            pass
        try:
            self._below.send(self._outgoing.read())
        except FindingError:
            pass

    def _step(self, step: Callable[[], Result]) -> Result:
        """Do a step of TLS, sending what it has to say, and receiving what it waits for."""
        import ssl

        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                raise
            except ssl.SSLError as error:
                reason = error.reason or "unknown"
                if self._first[:1] in (b"\x15", b"\x16"):  # an alert, a handshake (RFC 8446, 5.1)
                    raise FindingError("wrong", f"TLS fails: {reason}") from None
                raise FindingError("wrong", f"not TLS: it said {shown(self._first)}") from None
            finally:
                self._below.send(self._outgoing.read())
            self._below.receive()
            self._first = self._first or bytes(self._below.received[:60])
            self._incoming.write(bytes(self._below.received))
            self._below.received.clear()


def check_tls(talk: Connection, wanted: Json) -> str:
    """A TLS server is right if its certificate is."""
    secure, certificate = secured(talk, wanted)
    secure.leave()
    return certificate


def secured(talk: Connection, wanted: Json) -> tuple[Secured, str]:
    """Begin TLS, and look at the certificate; return the conversation within, and what was seen."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # by `troubles`, so that all of them are told at once
    if not wanted["verify"]:
        context.verify_mode = ssl.CERT_NONE
    elif wanted["ca"]:
        context.load_verify_locations(cadata=wanted["ca"])
    else:
        context.load_default_certs()
    try:
        secure = Secured(talk, context, wanted["name"])
    except ssl.SSLCertVerificationError as error:
        # The module shows no certificate that it does not trust, but to those who don't ask it to.
        context.verify_mode = ssl.CERT_NONE
        untrusted = f"not trusted ({error.verify_message})"
        said = certificate_text(seen_again(talk, context, wanted["name"]), wanted, untrusted)
        raise FindingError("wrong", said) from None
    seen = secure.tls.getpeercert(True) or b""
    said = f"{secure.tls.version()}, {certificate_text(seen, wanted, '')}"
    if troubles(*decode_certificate(seen), wanted):
        raise FindingError("wrong", said)
    return secure, said


def seen_again(talk: Connection, context: Any, name: str) -> bytes:
    """Connect once more, and return the certificate that is shown."""
    with socket.socket(talk.family, socket.SOCK_STREAM) as sock:
        return Secured(talk.again(sock), context, name).tls.getpeercert(True) or b""


def certificate_text(der: bytes, wanted: Json, untrusted: str) -> str:
    """Say what certificate it is, and what is wrong with it."""
    names, begins, ends = decode_certificate(der)
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    dates = " to ".join(f"{moment[:4]}-{moment[4:6]}-{moment[6:8]}" for moment in (begins, ends))
    wrong = troubles(names, begins, ends, wanted)
    # An expired one is not trusted, either: that is said already.
    wrong += [untrusted] * bool(untrusted and "expired" not in untrusted and "not yet valid" not in untrusted)
    said = f"a certificate for {listed or 'no name'}, {dates}"
    return f"{said}: {'; '.join(wrong or [untrusted])}" if wrong or untrusted else said


def troubles(names: list[str], begins: str, ends: str, wanted: Json) -> list[str]:
    """Return what is wrong with a certificate, apart from who signed it."""
    found = []
    now, then = (
        time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + days * 86400)) for days in (0, wanted["days"])
    )
    if not any(covers(name, wanted["name"]) for name in names):
        found.append(f"not for {shown(wanted['name'].encode())}")
    if begins > now:
        found.append("not valid yet")
    if ends < now:
        found.append("expired")
    elif ends < then:
        found.append(f"expires in less than {wanted['days']} days")
    return found


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's name stands for a name (RFC 9525, 6.3) or an address."""
    pattern, name = (canonical(text) for text in (pattern, name))
    first, _, rest = pattern.partition(".")
    wild = first == "*" and "." in rest and not rest.rpartition(".")[2].isdigit()  # no addresses
    return pattern == name or (wild and rest == name.partition(".")[2])


def canonical(name: str) -> str:
    """Write a name, or an address, in the one way in which it is compared."""
    for family in IP_FAMILIES:
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, name.partition("%")[0]))
        except OSError:
            continue
    return name.lower().rstrip(".")


# X.690, 8.1; RFC 5280, 4.1 and 4.2.1.6
DER_UTC_TIME, DER_VERSION, DER_EXTENSIONS, DER_DNS_NAME, DER_IP_ADDRESS = 0x17, 0xA0, 0xA3, 0x82, 0x87
DER_SUBJECT_ALT_NAME = b"\x55\x1d\x11"  # 2.5.29.17


def decode_certificate(der: bytes) -> tuple[list[str], str, str]:
    """Return a certificate's names, and since and until when it is valid, as `20261231235959` in UTC.

    The module `ssl` decodes only what it has verified.
    """
    try:
        fields = elements(elements(elements(der)[0][1])[0][1])
        fields = fields[fields[0][0] == DER_VERSION :]  # then: number, algorithm, issuer, validity, subject
        begins, ends = (moment(kind, value) for kind, value in elements(fields[3][1]))
        names = [name for kind, value in fields if kind == DER_EXTENSIONS for name in alt_names(value)]
    except (IndexError, ValueError):
        raise FindingError("wrong", "a certificate that can't be read") from None
    return names, begins, ends


def elements(der: bytes) -> list[tuple[int, bytes]]:
    """Split DER into its elements: tags and contents."""
    found = []
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length > 0x7F:
            length, at = int.from_bytes(der[at : at + length - 0x80], "big"), at + length - 0x80
        found.append((tag, der[at : at + length]))
        at += length
    return found


def moment(kind: int, value: bytes) -> str:
    """Write a UTCTime or a GeneralizedTime, both of which end in a Z, with four digits for the year."""
    digits = value[:-1].decode("ascii")
    if kind == DER_UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits  # RFC 5280, 4.1.2.5.1
    if len(digits) != 14 or not digits.isdigit():
        raise ValueError(digits)
    return digits


def alt_names(extensions: bytes) -> Iterator[str]:
    """Yield the names and addresses that a certificate is for, printable whatever is in it."""
    for _, extension in elements(elements(extensions)[0][1]):
        parts = elements(extension)
        if parts[0][1] == DER_SUBJECT_ALT_NAME:
            for kind, value in elements(elements(parts[-1][1])[0][1]):
                if kind == DER_DNS_NAME:
                    yield shown(value)[1:-1]
                elif kind == DER_IP_ADDRESS and len(value) in (4, 16):
                    yield socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


# --- Checks: DNS -----------------------------------------------------------------------------------------

DNS_HEADER = struct.Struct("!HHHHHH")  # RFC 1035, 4.1.1: id, flags, and four counts
DNS_FIXED, DNS_RECORD = struct.Struct("!HH"), struct.Struct("!HHIH")  # type, class, time to live, length
DNS_RESPONSE, DNS_TRUNCATED, DNS_RECURSION_DESIRED, DNS_IN = 0x8000, 0x0200, 0x0100, 1
DNS_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
DNS_ERRORS = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def check_dns(talk: Connection, wanted: Json) -> str:
    """A DNS server is right if it knows the answer; over TCP a length goes first (RFC 1035, 4.2.2)."""
    query = dns_query(wanted)
    talk.send(struct.pack("!H", len(query)) + query)
    (length,) = struct.unpack("!H", talk.take(2))
    return dns_finding(query, talk.take(length), wanted)


def dns_query(wanted: Json) -> bytes:
    """Write a query (RFC 1035, 4.1)."""
    header = DNS_HEADER.pack(int.from_bytes(os.urandom(2), "big"), DNS_RECURSION_DESIRED, 1, 0, 0, 0)
    labels = [label.encode("ascii", "replace")[:63] for label in wanted["name"].split(".") if label]
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return header + name + DNS_FIXED.pack(DNS_TYPES[wanted["type"]], DNS_IN)


def dns_finding(query: bytes, answer: bytes, wanted: Json) -> str:
    """Judge what a DNS server answers to a query."""
    asked = f"{wanted['type']} {wanted['name']}"
    try:
        number, flags, _, count, _, _ = DNS_HEADER.unpack_from(answer)
        question = answer[DNS_HEADER.size : len(query)]
        if number != int.from_bytes(query[:2], "big") or not flags & DNS_RESPONSE:
            raise ValueError
        code = flags & 0xF
        if not code and question.lower() != query[DNS_HEADER.size :].lower():
            raise ValueError
        found = dns_records(answer, len(query), count, DNS_TYPES[wanted["type"]]) if not code else []
    except (IndexError, ValueError, struct.error, OSError):
        raise FindingError("wrong", f"no DNS answer to {asked}: it said {shown(answer)}") from None
    listed = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    said = f"DNS has {listed or DNS_ERRORS.get(code, f'error {code}' if code else 'no record')} for {asked}"
    said += " (cut short)" if flags & DNS_TRUNCATED else ""
    expected = wanted["answer"]
    if expected and canonical(expected) not in (canonical(one) for one in found):
        raise FindingError("wrong", f"{said}, expected {shown(expected.encode())}")
    if not found:
        raise FindingError("wrong", said)
    return said


def dns_records(message: bytes, at: int, count: int, kind: int) -> list[str]:
    """Return the answers of one type; names on the way to them (CNAME) are passed over."""
    found = []
    for _ in range(count):
        _, at = dns_name(message, at)
        its_kind, _, _, length = DNS_RECORD.unpack_from(message, at)
        at += DNS_RECORD.size
        if its_kind == kind:
            found.append(dns_value(message, at, length, kind))
        at += length
    return found


def dns_value(message: bytes, at: int, length: int, kind: int) -> str:
    """Write what a record says (RFC 1035, 3.3 and 3.4; RFC 3596, 2.2)."""
    value = message[at : at + length]
    if kind == DNS_TYPES["A"]:
        return socket.inet_ntop(socket.AF_INET, value)
    if kind == DNS_TYPES["AAAA"]:
        return socket.inet_ntop(socket.AF_INET6, value)
    if kind == DNS_TYPES["TXT"]:
        texts = bytearray()
        while value:
            texts += value[1 : 1 + value[0]]
            value = value[1 + value[0] :]
        return shown(texts)[1:-1]
    if kind == DNS_TYPES["MX"]:
        (preference,) = struct.unpack_from("!H", value)
        return f"{preference} {dns_name(message, at + 2)[0]}"
    return dns_name(message, at)[0]


def dns_name(message: bytes, at: int) -> tuple[str, int]:
    """Return a name, and where it ends; it may go on further up in the message (RFC 1035, 4.1.4)."""
    labels, end = bytearray(), 0
    while message[at]:
        length = message[at]
        if length >= 0xC0:
            end = end or at + 2
            before = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            if before >= at:  # only ever back, or it might have no end
                raise ValueError(before)
            at = before
        else:
            labels += message[at + 1 : at + 1 + length] + b"."
            at += 1 + length
    return shown(labels.rstrip(b"."))[1:-1], end or at + 1


CHECKS: dict[str, Callable[[Connection, Json], str]] = {
    "hftp": check_hftp,
    "tcp": check_tcp,
    "banner": check_banner,
    "send-expect": check_send_expect,
    "http": check_http,
    "tls": check_tls,
    "dns": check_dns,
}

# What a check may say: for each of its fields, what is valid, and that in words.
TEXT, STRING, BYTES = (is_text, "a text"), (is_string, "a text or none"), (is_bytes, "bytes in hexadecimal")
CHECK_FIELDS: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    "hftp": {"file": TEXT, "expect": TEXT},
    "tcp": {},
    "banner": {"expect": TEXT},
    "send-expect": {"send": BYTES, "expect": BYTES},
    "http": {
        "path": TEXT,
        "host": TEXT,
        "status": (is_texts, "a list of texts"),
        "body": STRING,
        "tls": (lambda value: value is None or isinstance(value, dict), "an object or null"),
    },
    "tls": {
        "name": TEXT,
        "ca": STRING,
        "verify": (lambda value: isinstance(value, bool), "true or false"),
        "days": (is_days, "days, up to 36525"),
    },
    "dns": {
        "name": TEXT,
        "type": (lambda value: is_text(value) and value in DNS_TYPES, "one of " + ", ".join(DNS_TYPES)),
        "answer": STRING,
    },
}


def validate_probe(probe: Json) -> None:
    """Raise RequestError unless a probe says everything that it needs."""
    required(probe, "id", is_text, "a text")
    required(probe, "address", is_text, "a name or an address")
    required(probe, "port", is_port, "a port, 1 to 65535")
    wanted = required(probe, "check", lambda value: isinstance(value, dict), "an object")
    kind = required(
        wanted, "kind", lambda value: is_text(value) and value in CHECKS, "one of " + ", ".join(CHECKS)
    )
    validate_check(kind, wanted)


def validate_check(kind: str, wanted: Json) -> None:
    """Raise RequestError unless a check has its fields, and they what is valid there."""
    for key, (valid, allowed) in CHECK_FIELDS[kind].items():
        required(wanted, key, valid, allowed)
    if wanted.get("tls"):
        validate_check("tls", wanted["tls"])


# --- The service under test ------------------------------------------------------------------------------


class Service:
    """The program under test: a process group, a private directory, and what it printed.

    Args:
        argv: the program and its arguments, in which `{data}` stands for the directory, and `{tools}` for one
            inside it.
        files: what to put there: name -> content, with the same to be filled in.
        tools: what to put into `{tools}`: name -> base64.

    Raises:
        OSError: the directory can't be made, or the program can't be started.
    """

    def __init__(self, argv: list[str], files: dict[str, str], tools: dict[str, str]) -> None:
        self._directory = make_private_directory()
        places = {"{data}": self._directory, "{tools}": os.path.join(self._directory, ".tools")}
        self._output = -1
        self._pid = 0
        try:
            self._output = make_unlinked_file(self._directory)
            for name, content in files.items():
                write_file(os.path.join(self._directory, name), filled(content, places).encode())
            os.mkdir(places["{tools}"], 0o700)
            for name, content in tools.items():
                write_file(os.path.join(places["{tools}"], name), binascii.a2b_base64(content))
            self._pid = self._spawn([filled(item, places) for item in argv])
        except BaseException:
            self.stop()
            raise

    def _spawn(self, argv: list[str]) -> int:
        return os.posix_spawnp(
            argv[0],
            argv,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, self._output, 1),
                (os.POSIX_SPAWN_DUP2, self._output, 2),
            ],
            setpgroup=0,
            # Python ignores SIGPIPE, and this agent SIGINT: the program is to find them as from a shell.
            setsigdef=[signal.SIGPIPE, signal.SIGINT],
        )

    def exit_code(self) -> int | None:
        """Return how it ended, a signal as a negative number; None while it runs.

        The process stays a zombie until `stop`, so that its group's number can't pass to another meanwhile.
        """
        ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def output(self) -> str:
        """Return the beginning of what it printed, to either stream."""
        return os.pread(self._output, OUTPUT_BYTES, 0).decode("utf-8", "replace")

    def stop(self) -> None:
        """End the process group, gently first, and remove the directory. Safe to repeat."""
        if self._pid:
            os.killpg(self._pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_PATIENCE_S
            while self.exit_code() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            os.killpg(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        remove_tree(self._directory)


def filled(item: str, places: dict[str, str]) -> str:
    """Return an argument with the directories' paths in it."""
    for placeholder, path in places.items():
        item = item.replace(placeholder, path)
    return item


def make_private_directory() -> str:
    """Make a directory that only this user can enter, where temporary files go.

    Raises:
        OSError: there is no place to make one; the last one's error.
    """
    failure = None
    for place in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"):
        path = os.path.join(place or "/tmp", "netlab-" + os.urandom(8).hex())
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            failure = error
        else:
            return path
    raise failure or OSError(errno.ENOENT, "no directory for temporary files")


def make_unlinked_file(directory: str) -> int:
    """Return the descriptor of a file that has no name any more: it is gone with its last user."""
    path = os.path.join(directory, "output")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return descriptor


def write_file(path: str, content: bytes) -> None:
    """Write a new file."""
    with open(path, "xb") as file:
        file.write(content)


def remove_tree(directory: str) -> None:
    """Remove a directory with what is in it, as far as this user may."""
    for parent, directories, files in os.walk(directory, topdown=False):
        for name in files + directories:
            remove(os.path.join(parent, name))
    remove(directory)


def remove(path: str) -> None:
    """Remove a file, a link or an empty directory; what can't be removed stays."""
    try:
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    except OSError:
        pass


def wait_listening(service: Service, port: int, before: frozenset[int], timeout_s: float) -> bool:
    """Wait until the service listens on a port where those `before` did already, or has ended; return which.

    It listens when two looks in a row show the same new sockets: it may open several, one after the other.
    The pauses grow with the wait: many agents wait at once, and each look costs time that the services need
    to start.
    """
    started = time.monotonic()
    seen: frozenset[int] = frozenset()
    while True:
        ended = service.exit_code() is not None
        new = inodes_listening(port) - before
        waited_s = time.monotonic() - started
        if ended or waited_s > timeout_s:
            return bool(new)
        if new and new == seen:
            return True
        seen = new
        time.sleep(min(0.05, 0.005 + (0 if new else waited_s / 10)))


# --- The agent -------------------------------------------------------------------------------------------


class Agent:
    """Answers requests; holds the service, the only thing that outlives one."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._operations = {
            "hello": self.hello,
            "facts": self.facts,
            "serve": self.serve,
            "probe": self.probe,
        }

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a request, whatever it is."""
        answer: Json = {"id": None}
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise RequestError("a request is a JSON object")
            answer["id"] = request.get("id")
            known = ", ".join(self._operations)
            op = required(
                request, "op", lambda value: is_text(value) and value in self._operations, "one of " + known
            )
            answer["ok"] = self._operations[op](request)
        except RequestError as error:
            answer["error"] = str(error)
        except Exception as error:
            # Nothing that a request, or the kernel, comes up with may end the agent: the controller is told.
            answer["error"] = one_line(error)
        return json.dumps(answer).encode() + b"\n"

    def hello(self, request: Json) -> Json:
        """Say who is there."""
        system = os.uname()
        python = ".".join(str(part) for part in sys.version_info[:3])
        return {"python": python, "kernel": system.release, "hostname": system.nodename}

    def facts(self, request: Json) -> Json:
        """Read what decides who reaches what: the form is `netlab.facts.Facts`."""
        names = required(request, "names", is_texts, "a list of names")
        system = os.uname()
        wait_settled()
        interfaces = read_interfaces()
        devices = {link["index"]: link["name"] for link in interfaces}
        return {
            "hostname": system.nodename,
            "kernel": system.release,
            "interfaces": interfaces,
            "routes": read_routes(devices),
            "rules": read_rules(),
            "listeners": read_listeners(devices),
            "names": dict(zip(names, concurrently(resolution, names))),
            "sysctls": read_sysctls(list(devices.values())),
        }

    def serve(self, request: Json) -> Json:
        """Start the service under test, instead of the one before, and wait until it listens.

        One that does not in time is left running: it may be what the experiment is about.
        """
        argv = required(request, "argv", is_argv, "a program and its arguments")
        files = required(request, "files", is_files, "an object from file names to texts")
        request.setdefault("tools", {})
        tools = required(request, "tools", is_tools, "an object from file names to base64")
        port = required(request, "port", is_port, "a port, 1 to 65535")
        timeout_s = required(request, "timeout_s", is_seconds, "seconds, up to 3600")
        self.close()
        before = inodes_listening(port)
        self._service = Service(argv, files, tools)
        listening = wait_listening(self._service, port, before, timeout_s)
        return {
            "listening": listening,
            "exit_code": self._service.exit_code(),
            "output": self._service.output(),
        }

    def probe(self, request: Json) -> Json:
        """Dial everything in the list, at the same time."""
        probes = required(request, "probes", is_objects, "a list of objects")
        timeout_s = required(request, "timeout_s", is_seconds, "seconds, up to 3600")
        for probe in probes:
            validate_probe(probe)
        return {"results": concurrently(lambda probe: dial(probe, timeout_s), probes)}

    def close(self) -> None:
        """End the service, if there is one."""
        if self._service is not None:
            self._service.stop()
            self._service = None


def one_line(error: Exception) -> str:
    """Write an exception in one line."""
    if isinstance(error, OSError) and error.errno:
        where = f" ({error.filename})" if error.filename else ""
        return f"{errno_name(error.errno)}: {error.strerror}{where}"
    return " ".join(f"{type(error).__name__}: {error}".split())


def requests(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a stream up to its end; one without an end was cut short, and is none."""
    while True:
        line = stream.readline(LINE_LIMIT_BYTES)
        if len(line) == LINE_LIMIT_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LINE_LIMIT_BYTES)
            line = b'{"op": "a line that is too long"}\n'
        if not line.endswith(b"\n"):
            return
        yield line


def leave(number: int, frame: FrameType | None) -> None:
    """End on a signal as on the end of the requests: with the service."""
    raise SystemExit(128 + number)


def main() -> None:
    """Answer requests until there are no more."""
    # Ctrl-C in a terminal reaches the whole process group; when to end is the controller's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
    agent = Agent()
    try:
        for line in requests(sys.stdin.buffer):
            sys.stdout.buffer.write(agent.answer(line))
            sys.stdout.buffer.flush()
    except BrokenPipeError:  # nobody reads the answers any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        agent.close()


if __name__ == "__main__":
    main()
