"""This machine's addresses, ports and devices, for error messages that say what would have worked."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path

# A leaf of the kernel's routing trie that is an address of this machine (net/ipv4/fib_trie.c,
# fib_triestat_seq_show): the address, and on the next line its prefix, "host" and its type.
_LOCAL_IPV4 = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")

# PROT_SOCK of include/net/sock.h, before it became a setting.
_FIRST_UNPRIVILEGED_PORT = 1024


def local_addresses() -> tuple[str, ...]:
    """List the addresses that a socket can be bound to here.

    Returns:
        IPv4 before IPv6, link-local ones with their scope; empty where /proc does not tell.

    Source:
        proc(5): /proc/net/fib_trie, /proc/net/if_inet6.
    """
    trie = _read("/proc/net/fib_trie")
    ipv4 = sorted({ipaddress.IPv4Address(address) for address in _LOCAL_IPV4.findall(trie)})
    ipv6 = [_ipv6(line.split()) for line in _read("/proc/net/if_inet6").splitlines()]
    return (*map(str, ipv4), *sorted(ipv6))


def _ipv6(fields: list[str]) -> str:
    address = ipaddress.IPv6Address(int(fields[0], 16))
    return f"{address}%{fields[-1]}" if address.is_link_local else str(address)


def first_unprivileged_port() -> int:
    """Tell the lowest port that an ordinary user may bind.

    Source:
        ip-sysctl: ip_unprivileged_port_start.
    """
    return int(_read("/proc/sys/net/ipv4/ip_unprivileged_port_start") or _FIRST_UNPRIVILEGED_PORT)


def devices() -> tuple[str, ...]:
    """List the names of this machine's network interfaces."""
    return tuple(name for _, name in socket.if_nameindex())


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
