"""Facts: the kernel parameters that decide who is reached."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


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
