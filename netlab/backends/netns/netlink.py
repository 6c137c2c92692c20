"""rtnetlink in one network namespace: the requests a lab is made of. Only this file knows pyroute2."""

from __future__ import annotations

import os
from contextlib import contextmanager
from ipaddress import IPv6Interface
from typing import TYPE_CHECKING, Any

from pyroute2.iproute.linux import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.model import IPInterface, Route

LOOPBACK = (
    1  # the interface index of lo in every network namespace: include/net/net_namespace.h, LOOPBACK_IFINDEX
)
_IFA_F_NODAD = 0x02  # <linux/if_addr.h>


class Netlink:
    """Requests to the network namespace that the process is in now, wherever it goes afterwards.

    Every interface is given the index that it shall have, so that nothing has to be looked up.

    Raises (each method):
        OSError: the kernel refused.
    """

    def __init__(self) -> None:
        with _os_errors():
            self._route: Any = IPRoute()

    def close(self) -> None:
        """Close the socket."""
        self._route.close()

    def add_bridge(self, index: int, name: str) -> None:
        """Make a bridge that forwards from the first frame on: no spanning tree, no multicast snooping."""
        with _os_errors():
            self._route.link(
                "add",
                index=index,
                ifname=name,
                kind="bridge",
                br_stp_state=0,
                br_forward_delay=0,
                br_mcast_snooping=0,
                state="up",
            )

    def add_veth(self, index: int, name: str, *, bridge: int, peer: Peer) -> None:
        """Make a pair of interfaces (veth(4)): one here, a port of that bridge, the other in a host."""
        with _os_errors():
            self._route.link(
                "add", index=index, ifname=name, kind="veth", master=bridge, state="up", peer=peer
            )

    def bring_up(self, index: int) -> None:
        """Set an interface up."""
        with _os_errors():
            self._route.link("set", index=index, state="up")

    def add_address(self, index: int, address: IPInterface) -> None:
        """Give an interface an address, usable at once."""
        flags = {"flags": _IFA_F_NODAD} if isinstance(address, IPv6Interface) else {}
        with _os_errors():
            self._route.addr(
                "add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **flags
            )

    def add_route(self, route: Route) -> None:
        """Add a static route."""
        with _os_errors():
            self._route.route("add", dst=str(route.destination), gateway=str(route.via))


def peer(*, namespace_fd: int, index: int, name: str, hardware: str) -> Peer:
    """Describe the far end of a pair: its network namespace, index, name and hardware address."""
    return {"net_ns_fd": namespace_fd, "index": index, "ifname": name, "address": hardware}


Peer = dict[str, str | int]


@contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error
