"""The kernel parameters that decide what is reachable, set on every host whatever the machine's own are.

A new network namespace takes some of its parameters over from the machine
(net.core.devconf_inherit_init_net), so that a lab would come out differently on a laptop and on a router if
they weren't said.

Source: Documentation/networking/ip-sysctl.rst of the Linux sources.
"""

from __future__ import annotations

import errno
from pathlib import Path

ROOT = Path("/proc/sys/net")

# Parameter below /proc/sys/net, value, why. `*` stands for `all`, `default` and `lo`: a host has no other
# interface when they are set, and those to come take `default`'s.
TABLE: tuple[tuple[str, str, str], ...] = (
    (
        "ipv4/conf/*/rp_filter",
        "0",
        "a packet that came another way than its answer will go is delivered all the same",
    ),
    ("ipv4/conf/*/arp_ignore", "0", "weak host model: an interface answers ARP for any address of its host"),
    ("ipv4/conf/*/accept_local", "0", "a packet from outside can't claim to come from the host itself"),
    ("ipv4/conf/*/route_localnet", "0", "127.0.0.0/8 never comes in over a wire, nor goes out on one"),
    ("ipv4/conf/*/accept_redirects", "0", "routes stay as the topology says, whatever a router suggests"),
    # Linux sends an ICMP error a second to each peer, and a thousand in all; the many dials of a matrix draw
    # more than that from one router at once, and those whose answer is withheld would look filtered.
    # One limit is the machine's and stays: an IPv4 router without a route says so five times at once to each
    # peer, and then once a second (net.ipv4.route.error_burst; ip_error() in net/ipv4/route.c).
    ("ipv4/icmp_ratelimit", "0", "every ICMP error is sent"),
    ("ipv4/icmp_ratemask", "0", "and none counts against the limit over all peers"),
    ("ipv6/icmp/ratelimit", "0", "every ICMPv6 error is sent"),
    ("ipv6/icmp/ratemask", "", "and none counts against the limit over all peers"),
    ("ipv6/bindv6only", "0", "a socket on :: also listens on IPv4 unless it says v6only itself"),
    ("ipv6/conf/*/disable_ipv6", "0", "the hosts have IPv6 where the machine has it switched off"),
    ("ipv6/conf/*/accept_dad", "0", "addresses are usable at once: no second of duplicate address detection"),
    ("ipv6/conf/*/accept_ra", "0", "no addresses and routes but the topology's"),
    ("ipv6/conf/*/autoconf", "0", "no addresses and routes but the topology's"),
    ("ipv6/conf/*/accept_redirects", "0", "routes stay as the topology says, whatever a router suggests"),
    ("ipv6/conf/*/use_tempaddr", "0", "the source address is the topology's, not a temporary one"),
    (
        "ipv6/conf/*/addr_gen_mode",
        "0",
        "the link-local address follows from the hardware address, alike in every run",
    ),
)

# Absent from older kernels, or from those built without; the kernel then does what we want anyway.
_OPTIONAL = frozenset(
    {"ipv6/icmp/ratemask", "ipv4/icmp_ratemask", "ipv6/conf/*/use_tempaddr", "ipv6/conf/*/addr_gen_mode"}
)


def has_ipv6() -> bool:
    """Whether this kernel speaks IPv6 (it may be built without, or started with `ipv6.disable=1`)."""
    return (ROOT / "ipv6").is_dir()


def settings(*, forwards: bool, ipv6: bool) -> tuple[tuple[str, str], ...]:
    """Return what a host's kernel parameters have to be: pairs of a parameter, as in `TABLE`, and its value.

    Args:
        forwards: whether the host is a router.
        ipv6: whether the kernel has IPv6.
    """
    # First, because a change of it puts all of conf/* back to the defaults of a host or of a router.
    forwarding = (("ipv4/ip_forward", str(int(forwards))), ("ipv6/conf/all/forwarding", str(int(forwards))))
    known = tuple((parameter, value) for parameter, value, _ in TABLE)
    return tuple(pair for pair in forwarding + known if ipv6 or not pair[0].startswith("ipv6/"))


def apply(pairs: tuple[tuple[str, str], ...]) -> None:
    """Set kernel parameters in the network namespace that this process is in.

    Raises:
        OSError: one can't be set and has another value; the filename says which.
    """
    for parameter, value in pairs:
        for scope in ("all", "default", "lo") if "*" in parameter else ("",):
            _write(ROOT / parameter.replace("*", scope), value, optional=parameter in _OPTIONAL)


def _write(path: Path, value: str, *, optional: bool) -> None:
    try:
        path.write_text(value + "\n")
    except FileNotFoundError:
        if not optional:
            raise
    except OSError as error:
        # A container may have /proc/sys read-only: that does no harm where the value is the wanted one
        # already.
        if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM} or path.read_text().strip() != value:
            raise
