"""Whether a service can listen where it is told to, and how its listening sockets are written.

Source: bind(2); Linux `net/ipv4/af_inet.c` (__inet_bind), `net/ipv6/af_inet6.c` (__inet6_bind).
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from netlab.facts import Facts, Listener
from netlab.model import Bind, IPAddress, Outcome, Prediction, Protocol, Step, Verdict, endpoint
from netlab.predict.publishing import ENGINE_RESOLVER
from netlab.predict.routing import LIMITED_BROADCAST, lookup
from netlab.predict.sources import is_of_one_link


def cannot_bind(facts: Facts, bind: Bind, port: int, protocol: Protocol = Protocol.TCP) -> Prediction | None:
    """Return the prediction for a service that can't listen where it is told to; None if it can.

    Args:
        facts: of the service's host.
        bind: what it is told.
        port: the port.
        protocol: what carries the service's messages.
    """
    devices = [interface.name for interface in facts.interfaces]
    if bind.device is not None and bind.device not in devices:
        text = f"there is no device {bind.device}: there is {', '.join(devices)}"
        return _not_bound(bind, "ENODEV", text, f"bind to one of {', '.join(devices)}")
    addresses = _addresses(facts, bind.address)
    if not addresses:
        error = facts.names[bind.address].error if bind.address in facts.names else "EAI_NONAME"
        text = f"{bind.address} has no address here ({error})"
        return _not_bound(bind, error, text, "bind an address, or a name that resolves on the host itself")
    return _cannot_take(facts, bind, addresses[0], protocol)


def _cannot_take(facts: Facts, bind: Bind, address: IPAddress, protocol: Protocol) -> Prediction | None:
    """Return the prediction for an address that bind(2) refuses; None if it takes it."""
    device = None
    if isinstance(address, IPv6Address):
        if is_of_one_link(address) or address.is_loopback:
            device = address.scope_id or bind.device
        if address.is_multicast and protocol is Protocol.TCP:
            text = f"{address} is multicast: TCP is between two"
            return _not_bound(bind, "EINVAL", text, "bind an address of the host, or the wildcard")
        if device is None and is_of_one_link(address):
            text = f"{address} is on every link: which one is meant is not said"
            return _not_bound(bind, "EINVAL", text, f"name the interface: {address}%eth0")
        address = address.ipv4_mapped or IPv6Address(int(address))
    nonlocal_too = facts.sysctls.get(f"net.ipv{address.version}.ip_nonlocal_bind", "0") != "0"
    if address.is_unspecified or nonlocal_too or _bindable(facts, address, device):
        return None
    here = [interface for interface in facts.interfaces if device in (None, interface.name)]
    own = [a.ip for i in here for a in i.addresses if a.version == address.version]
    where = "this host" if device is None else f"{device} of this host"
    text = f"{address} is no address of {where}, which has {', '.join(map(str, own)) or 'none'}"
    remedy = f"bind {'0.0.0.0' if address.version == 4 else '::'}, the wildcard"
    if reachable := [str(ip) for ip in own if not ip.is_loopback and not ip.is_link_local]:
        remedy += f", or {' or '.join(reachable)}"
    return _not_bound(bind, "EADDRNOTAVAIL", text, remedy)


def _bindable(facts: Facts, address: IPAddress, device: str | None) -> bool:
    """IPv4 asks the routing tables, broadcast and multicast included; IPv6 asks the addresses.

    Source: Linux `include/net/inet_sock.h` (inet_addr_valid_or_nonlocal), `net/ipv4/fib_frontend.c`
    (inet_addr_type_table), `net/ipv6/addrconf.c` (ipv6_chk_addr).
    """
    if address.version == 4:
        entry = lookup(facts, address)
        local = entry is not None and entry.type in ("local", "broadcast")
        return local or address.is_multicast or address == LIMITED_BROADCAST
    if address.is_multicast:
        return True
    return any(own.ip == address for i in facts.interfaces if device in (None, i.name) for own in i.addresses)


def _addresses(facts: Facts, name: str) -> tuple[IPAddress, ...]:
    try:
        return (ip_address(name),)
    except ValueError:
        return facts.names[name].addresses if name in facts.names else ()


def _not_bound(bind: Bind, errno: str, text: str, remedy: str) -> Prediction:
    step = Step("bind", bind.host, text, f"addresses of {bind.host}; bind(2), {errno}")
    return Prediction(Outcome(Verdict.NOT_BOUND, errno), (step,), remedy)


def describe(listener: Listener) -> str:
    """Return a listening socket in words: `127.0.0.1:80`, `[::]:80 (IPv6 only)`, `0.0.0.0:80 on eth1`."""
    text = endpoint(listener.address, listener.port)
    if listener.address.version == 6 and listener.address.is_unspecified:
        text += " (IPv6 only)" if listener.v6only else " (IPv4 too)"
    return f"{text} on {listener.device}" if listener.device else text


def describe_all(facts: Facts, port: int, protocol: Protocol = Protocol.TCP) -> str:
    """Return all sockets at which a port is listened on, or that there are none."""
    sockets = facts.sockets(protocol)
    return ", ".join(describe(socket) for socket in sockets if socket.port == port) or "nothing"


def describe_others(facts: Facts, protocol: Protocol = Protocol.TCP) -> str:
    """Return in parentheses which sockets a host has, for a port that none of them has; empty without any."""
    others = [one for one in facts.sockets(protocol) if one.address != ENGINE_RESOLVER]
    there = ", ".join(map(describe, others))
    return f" (there is {there}: is that its port?)" if there else ""
