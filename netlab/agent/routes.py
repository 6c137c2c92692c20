"""Facts: routes and policy rules."""

from __future__ import annotations

import socket
import struct

from netlab.agent.interfaces import RTM_GETROUTE, RTM_GETRULE, device
from netlab.agent.netlink import (
    IP_FAMILIES,
    NATIVE_U32,
    aligned,
    attributes,
    dump_if_supported,
    number,
    prefix,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.agent.shapes import Json


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
