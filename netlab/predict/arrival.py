"""What a host makes of what comes in by an interface, before it matters whether it is for the host.

Source: Linux `net/ipv4/route.c` (ip_route_input_slow), `net/ipv4/fib_frontend.c` (fib_validate_source),
`net/ipv4/arp.c` (arp_process, arp_ignore), `net/ipv6/ip6_input.c` (ip6_rcv_core), `net/ipv6/ndisc.c`
(ndisc_recv_ns).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netlab.facts import Facts
from netlab.model import IPAddress, IPInterface
from netlab.predict.routing import leads_on, lookup, next_hops


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a packet is dropped without a word.

    Attributes:
        text: what happens.
        rests_on: the fact or the rule.
        remedy: what would let it pass.
    """

    text: str
    rests_on: str
    remedy: str


def setting(facts: Facts, version: int, device: str, name: str) -> int:
    """Return a per-interface sysctl; 0 where this kernel has none of that name."""
    return int(facts.sysctls.get(f"net.ipv{version}.conf.{device}.{name}", "0"))


def forwards(facts: Facts, version: int, device: str) -> bool:
    """Return whether the host passes on what comes in by the interface: IPv6 decides that for all of them."""
    return setting(facts, version, device if version == 4 else "all", "forwarding") > 0


def loopback_from_outside(facts: Facts, host: str, device: str, address: IPAddress) -> Drop | None:
    """Return why a packet from or to a loopback address is dropped, if it is."""
    if not address.is_loopback or (address.version == 4 and _highest(facts, device, "route_localnet")):
        return None
    rule = "RFC 1122, 3.2.1.3 (g); net.ipv4.conf.*.route_localnet = 0"
    return Drop(
        f"{address} came in by {device}: a loopback address from outside is dropped",
        rule if address.version == 4 else "RFC 4291, 2.5.3; ip6_rcv_core",
        f"dial an address of {host} that is not loopback",
    )


def unwelcome_source(
    facts: Facts, host: str, device: str, source: IPAddress, destination: IPAddress
) -> Drop | None:
    """Return why an IPv4 packet is dropped for its source address, if it is (fib_validate_source).

    Args:
        facts: of the host.
        host: its name.
        device: the interface that the packet came in by.
        source: the packet's source.
        destination: the packet's destination, for rules that ask for it.
    """
    back = lookup(facts, source, destination)
    if back is not None and back.type == "local" and not _highest(facts, device, "accept_local"):
        return Drop(
            f"{source} came in by {device} and is {host} itself: dropped",
            "fib_validate_source; net.ipv4.conf.*.accept_local = 0",
            f"mend the routes: they send {host}'s own packets back to it",
        )
    strictness = _highest(facts, device, "rp_filter")
    if not strictness:
        return None
    if leads_on(back):
        by_it = any(entry.device == device for entry in next_hops(facts, back))
        numbered = any(own.version == 4 for own in _addresses_on(facts, device))
        if by_it or (strictness != 1 and numbered):
            return None
    way = f"by {back.device}" if leads_on(back) else "nowhere"
    return Drop(
        f"answers to {source} would leave {way}, and it came in by {device}: dropped",
        f"net.ipv4.conf.*.rp_filter = {strictness}; RFC 3704, {'2.2' if strictness == 1 else '2.4'}",
        f"set net.ipv4.conf.{device}.rp_filter to {2 if leads_on(back) else 0} on {host}",
    )


def may_answer_for(facts: Facts, target: IPAddress) -> bool:
    """Return whether a host might answer for an address, whoever asks: else `answers_for` never holds."""
    kinds = ("local",) if target.version == 4 else ("local", "anycast")
    return any(
        entry.type in kinds and target.version == entry.destination.version and target in entry.destination
        for entry in facts.routes
    ) or any(own.ip == target for interface in facts.interfaces for own in interface.addresses)


def answers_for(facts: Facts, host: str, device: str, target: IPAddress, sender: IPAddress | None) -> bool:
    """Return whether a host answers on an interface when somebody asks who has an address.

    ARP: for every address that is local, by whatever interface, unless arp_ignore or the source check forbid
    it; neighbour discovery: for the interface's own.

    Args:
        facts: of the host that is asked.
        host: its name.
        device: the interface on which it is asked.
        target: the address asked for.
        sender: the address of the host that asks, in ARP.
    """
    if not any(interface.name == device and interface.up for interface in facts.interfaces):
        return False
    here = [own for own in _addresses_on(facts, device) if own.ip == target]
    if target.version == 6:
        return bool(here) or _is_anycast(facts, device, target)
    if sender is None or loopback_from_outside(facts, host, device, target):
        return False
    entry = lookup(facts, target, sender)
    if entry is None or entry.type != "local" or unwelcome_source(facts, host, device, sender, target):
        return False
    ignore = _highest(facts, device, "arp_ignore")
    if ignore == 1:
        return bool(here)
    if ignore == 2:
        return any(sender in own.network for own in here)
    return ignore != 8


def _is_anycast(facts: Facts, device: str, address: IPAddress) -> bool:
    """Return whether a router answers for its networks' first addresses (RFC 4291, 2.6.1)."""
    return any(
        entry.type == "anycast" and entry.device == device and address in entry.destination
        for entry in facts.routes
    )


def _highest(facts: Facts, device: str, name: str) -> int:
    """Return the stricter of the settings for the interface and for all: IN_DEV_MAXCONF, IN_DEV_ORCONF."""
    return max(setting(facts, 4, scope, name) for scope in ("all", device))


def _addresses_on(facts: Facts, device: str) -> Iterator[IPInterface]:
    return (own for i in facts.interfaces if i.name == device for own in i.addresses)
