"""A topology, made of bridges and veth pairs in the lab init's namespaces.

Theory of operation

The lab init's own network namespace is the fabric: a bridge per network and the fabric's end of each link. It
has no interface that leads out of it, and it speaks no IP itself, so that the only way from a network to
another is a host that forwards. The other end of each link is made right in the host's network namespace,
under its final name.
"""

from __future__ import annotations

from contextlib import contextmanager
from ipaddress import IPv6Interface
from typing import TYPE_CHECKING

from netlab.backends.netns import etc, sysctls
from netlab.backends.netns.namespaces import Namespaces
from netlab.backends.netns.netlink import LOOPBACK, Netlink, peer
from netlab.backends.netns.obstacles import Refusal, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.model import Host, Topology

_FIRST_DEVICE = LOOPBACK + 1  # on a host: eth0 is 2, as on most machines


class RefusedError(Exception):
    """The kernel refused a step of the set-up."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.said)
        self.refusal = refusal


def build(topology: Topology, scratch: str, carry_on: Callable[[], None]) -> dict[str, Namespaces]:
    """Bring up a topology. This process's own network namespace becomes the fabric.

    Args:
        topology: what to bring up.
        scratch: a directory that each host may cover with one of its own.
        carry_on: called between hosts; it may end the process.

    Returns:
        Each host's namespaces, by its name.

    Raises:
        RefusedError: the kernel refused a step.
    """
    with _step(Step.FILES, "the hosts' files"):
        etc.complete(scratch)
    fabric = Fabric(topology)
    hosts = {}
    for host in topology.hosts:
        carry_on()
        hosts[host.name] = fabric.add_host(host, scratch)
    return hosts


class Fabric:
    """The network namespace that holds the networks.

    Args:
        topology: whose networks to make.

    Raises:
        RefusedError: the kernel refused.
    """

    def __init__(self, topology: Topology) -> None:
        self._home = Namespaces()
        self._ipv6 = sysctls.has_ipv6()
        with _step(Step.PARAMETERS, "the networks"):
            if self._ipv6:
                sysctls.apply((("ipv6/conf/default/disable_ipv6", "1"),))
            self._netlink = Netlink()
        self._next_index = LOOPBACK + 1
        self._bridges = {network.name: self._add_bridge(network.name) for network in topology.networks}

    def add_host(self, host: Host, scratch: str) -> Namespaces:
        """Make a host, whole and connected, and come back to the fabric."""
        with _step(Step.NAMESPACES, f"host {host.name}: namespaces"):
            namespaces = Namespaces.create(host.name)
        try:
            with _step(Step.FILES, f"host {host.name}: files"):
                etc.furnish(host, scratch)
            with _step(Step.PARAMETERS, f"host {host.name}: kernel parameters"):
                sysctls.apply(sysctls.settings(forwards=host.forwards, ipv6=self._ipv6))
            with _step(Step.LINKS, f"host {host.name}: netlink"):
                inside = Netlink()
        finally:
            self._home.enter()
        self._connect(host, namespaces, inside)
        inside.close()
        return namespaces

    def _add_bridge(self, network: str) -> int:
        index = self._take_index()
        with _step(Step.LINKS, f"network {network}"):
            self._netlink.add_bridge(index, f"netlab-b{index}")
        return index

    def _connect(self, host: Host, namespaces: Namespaces, inside: Netlink) -> None:
        with _step(Step.LINKS, f"host {host.name}: lo"):
            inside.bring_up(LOOPBACK)
        for number, link in enumerate(host.links):
            device = _FIRST_DEVICE + number
            with _step(Step.LINKS, f"host {host.name}: {link.device} on {link.network}"):
                here = self._take_index()
                there = peer(
                    namespace_fd=namespaces.network_fd,
                    index=device,
                    name=link.device,
                    hardware=_hardware_address(here),
                )
                self._netlink.add_veth(
                    here, f"netlab-v{here}", bridge=self._bridges[link.network], peer=there
                )
                inside.bring_up(device)
            for address in link.addresses:
                with _step(Step.ADDRESSES, f"host {host.name}: {link.device}: address {address}"):
                    inside.add_address(device, address)
        for route in host.routes:
            with _step(Step.ADDRESSES, f"host {host.name}: route {route.destination} via {route.via}"):
                inside.add_route(route)

    def _take_index(self) -> int:
        self._next_index += 1
        return self._next_index - 1


def _hardware_address(number: int) -> str:
    """Return an address that follows from the topology, and so is the same in every run.

    The first octet is 02, locally administered: RFC 9542, 2.1.
    """
    return ":".join(f"{octet:02x}" for octet in (2, 0, *number.to_bytes(4, "big")))


def needs_ipv6(topology: Topology) -> bool:
    """Whether the topology has an IPv6 address or network."""
    addresses = (address for host in topology.hosts for link in host.links for address in link.addresses)
    return any(network.ipv6 for network in topology.networks) or any(
        isinstance(address, IPv6Interface) for address in addresses
    )


@contextmanager
def _step(step: Step, what: str) -> Iterator[None]:
    """Say in which step the kernel refused."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        said = f"{what}: {error.strerror}{place}"
        raise RefusedError(Refusal(step, error.errno or 0, said)) from error
