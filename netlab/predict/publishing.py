"""What a container engine adds on its own machine: bridges that are kept apart, and published ports.

Source: Docker documentation, "Packet filtering and firewalls", "Port publishing and mapping"; moby, package
`libnetwork/drivers/bridge` (setup_ip_tables.go, port_mapping.go) and `cmd/docker-proxy`.
"""

from __future__ import annotations

from ipaddress import ip_address

from netlab.facts import Engine, Facts, Publication
from netlab.model import IPAddress, Protocol
from netlab.predict.arrival import Drop
from netlab.predict.listeners import find_listener
from netlab.predict.routing import lookup

# The engine's resolver, which listens in every container (Docker documentation, "Container networking").
ENGINE_RESOLVER = ip_address("127.0.0.11")

# Somewhere beyond every lab: the route to it is the default route (RFC 5737, RFC 3849).
_ELSEWHERE = {4: ip_address("203.0.113.1"), 6: ip_address("2001:db8:ffff:ffff::1")}


def kept_apart(engine: Engine, version: int, came_from: str | None, leads_to: str | None) -> Drop | None:
    """Return why the engine drops what one of its networks sends to another, if it does.

    Args:
        engine: what is known of it.
        version: of IP.
        came_from: the network that the packet comes from; None where it is none of the engine's.
        leads_to: the network that it would be passed on to.
    """
    if came_from is None or leads_to is None or came_from == leads_to:
        return None
    if version == 6 and not engine.filters_ipv6:
        return None
    inner = [network for network in (came_from, leads_to) if network in engine.internal]
    why = f"{inner[0]} is internal" if inner else "each network is kept to itself"
    return Drop(
        f"from {came_from} to {leads_to}: {why}: dropped",
        f"the engine's packet filter (Docker {engine.version}, chain DOCKER-ISOLATION-STAGE-1)",
        "put both containers on one network, or dial a published port at an address of the engine's machine",
    )


def publication_of(
    engine: Engine, destination: IPAddress, port: int, protocol: Protocol = Protocol.TCP
) -> Publication | None:
    """Return the published port that is dialled at an address of the engine's machine, if one is."""
    mine = [p for p in engine.publications if (p.port, p.protocol) == (port, protocol)]
    exact = (publication for publication in mine if publication.address == destination)
    wild = (
        publication
        for publication in mine
        if publication.address.is_unspecified and publication.address.version == destination.version
    )
    return next(exact, None) or next(wild, None)


def is_proxied(
    engine: Engine,
    facts: Facts,
    destination: IPAddress,
    port: int,
    device: str,
    inner: IPAddress,
    *,
    from_inside: bool,
    protocol: Protocol = Protocol.TCP,
) -> bool:
    """Return whether the userland proxy takes a dial to a published port, and not address translation.

    Translation passes over what comes from the engine's own bridges, and what its machine sends to its own
    loopback address, and it can't make IPv4 of IPv6; where the proxy is switched off, nothing listens, and
    translation takes what it can.

    Args:
        engine: what is known of it.
        facts: of its machine.
        destination: the address dialled there.
        port: the port dialled there.
        device: the interface that the packet came in by.
        inner: the container's address that it leads to.
        from_inside: whether it came from one of the engine's own networks.
        protocol: by which it is dialled.
    """
    if find_listener(facts.sockets(protocol), destination, port, device, protocol) is None:
        return False
    untranslated = destination.version != inner.version or (
        destination.version == 6 and not engine.filters_ipv6
    )
    return from_inside or destination.is_loopback or untranslated


def inner_address(facts: Facts, version: int) -> IPAddress | None:
    """Return the address of a container that its published ports lead to: that on its default route.

    Args:
        facts: of the container.
        version: of IP, as dialled outside; a container without IPv6 is reached by IPv4.
    """
    for family in (version, 4):
        entry = lookup(facts, _ELSEWHERE[family])
        if entry is None or entry.type != "unicast":
            continue
        for interface in facts.interfaces:
            for own in interface.addresses:
                if interface.name == entry.device and own.version == family and not own.ip.is_link_local:
                    return own.ip
    return None
