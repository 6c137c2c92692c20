"""A lab as the predictor sees it: all facts, and who is on which network with whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netlab.facts import Engine, Facts
from netlab.model import IPAddress, Link, Step, Topology
from netlab.predict.arrival import answers_for, may_answer_for

# A host, its interface, a neighbour's address -> the neighbour and its interface.
Neighbours = dict[tuple[str, str, IPAddress], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The packet arrived.

    Attributes:
        host: on which host.
        device: the interface it came in by; on the host that sent it, the one that has the address.
        source: the packet's source address.
        steps: how it got there.
        learnt: which neighbours the hosts on the way know from having been asked by them.
        broadcast: whether it is for every host on the link: no error is sent about it.
    """

    host: str
    device: str
    source: IPAddress
    steps: tuple[Step, ...]
    learnt: Neighbours
    broadcast: bool = False


@dataclass(frozen=True)
class View:
    """All facts of a lab, and who is on which network.

    Attributes:
        facts: by host.
        topology: for the networks that join the hosts' interfaces. One that it does not name is told by its
            addresses.
        engine: what a container engine adds, where one made the networks.
        complete: whether every router is among the hosts; otherwise, one that is not is taken to do its work.
    """

    facts: Mapping[str, Facts]
    topology: Topology
    engine: Engine | None = None
    complete: bool = True
    _network: dict[tuple[str, str], str] = field(init=False, repr=False)
    _attached: dict[str, list[tuple[str, str]]] = field(init=False, repr=False)
    # In a lab of fifty hosts each address is asked for a hundred times, and one host has it.
    _candidates: dict[IPAddress, frozenset[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        networks: dict[tuple[str, str], str] = {}
        attached: dict[str, list[tuple[str, str]]] = {}
        for host in self.topology.hosts:
            for link in host.links:
                device = self._device(host.name, link)
                networks[host.name, device] = link.network
                attached.setdefault(link.network, []).append((host.name, device))
        object.__setattr__(self, "_network", networks)
        object.__setattr__(self, "_attached", attached)
        object.__setattr__(self, "_candidates", {})

    def _device(self, host: str, link: Link) -> str:
        wanted = {own.ip for own in link.addresses}
        for interface in self.facts[host].interfaces:
            if any(own.ip in wanted for own in interface.addresses):
                return interface.name
        return link.device

    def network(self, host: str, device: str | None) -> str | None:
        """Return the network that a host's interface is attached to; None where it is none of the lab's."""
        return self._network.get((host, device or ""))

    def is_routed(self, host: str, device: str, version: int) -> bool:
        """Return whether a router may be taken to be on a host's network, though it is none of the hosts.

        Not if nobody there has a gateway on it, and the host has one elsewhere: of a network that is for the
        machines on it alone, and of a container engine's bridge, the room's router does not know.

        Args:
            host: who is on that network.
            device: by which interface.
            version: of IP, 4 or 6.
        """
        there = self._attached.get(self._network.get((host, device), ""), [])
        if any(device in _gateways(self.facts[other], version) for other, device in there):
            return True
        return not _gateways(self.facts[host], version)

    def neighbour(
        self, host: str, device: str, hop: IPAddress, sender: IPAddress | None
    ) -> tuple[str, str] | None:
        """Return who answers when a host asks on an interface for an address: a host, its interface there.

        Args:
            host: who asks.
            device: its interface.
            hop: the address asked for.
            sender: the address that it gives as its own, in ARP.
        """
        candidates = self._may_answer_for(hop)
        for other, its in self._attached.get(self._network.get((host, device), ""), ()):
            asked = other in candidates and other != host
            if asked and answers_for(self.facts[other], other, its, hop, sender):
                return other, its
        return None

    def _may_answer_for(self, hop: IPAddress) -> frozenset[str]:
        if hop not in self._candidates:
            its = frozenset(host for host, facts in self.facts.items() if may_answer_for(facts, hop))
            self._candidates[hop] = its
        return self._candidates[hop]


def _gateways(facts: Facts, version: int) -> set[str | None]:
    """Return the interfaces by which a host has a gateway."""
    return {e.device for e in facts.routes if e.gateway is not None and e.destination.version == version}
