"""Facts: interfaces and their addresses."""

from __future__ import annotations

import socket
import struct
import time

from netlab.agent.netlink import IP_FAMILIES, NETLINK_ROUTE, attributes, dump, number, prefix, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json


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


def device(index: int, devices: dict[int, str]) -> str | None:
    """Name an interface; one that appeared since the interfaces were read is named by its index."""
    return devices.get(index, f"if{index}") if index else None


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
