"""From what the user calls an address to listening sockets."""

from __future__ import annotations

import errno
import socket

from hftp.constants import BACKLOG
from hftp.errors import DevicePermissionError, ListenError, UnknownDeviceError, UnknownHostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    SocketAddress = tuple[Any, ...]

# SO_BINDTODEVICE of <asm-generic/socket.h>. The socket module has it on Linux only.
_BIND_TO_DEVICE = getattr(socket, "SO_BINDTODEVICE", 25)

# How many free ports are tried until one is free on every address.
_PORT_TRIES = 10


class Place:
    """Where to listen.

    Attributes:
        address: As ``bind()`` takes it.
        v6only: Whether ``::`` leaves IPv4 alone.
        device: The interface to listen on, whatever the address; or None.
    """

    __slots__ = ("address", "device", "family", "v6only")

    def __init__(
        self, family: int, address: SocketAddress, v6only: bool = False, device: str | None = None
    ) -> None:
        self.family = family
        self.address = address
        self.v6only = v6only
        self.device = device


def find_places(
    host: str,
    port: int,
    *,
    v6only: bool = False,
    device: str | None = None,
    all_addresses: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Place]:
    """Resolve where to listen.

    Args:
        host: A name, an IPv4 or IPv6 address, in brackets or not, with ``%scope`` where it is link-local.
        port: 0 lets the system choose.
        v6only: Leave IPv4 alone on ``::``.
        device: Listen on this interface only.
        all_addresses: Of a name with several addresses, take each, not the first.
        say: Is told in a line which addresses were left out.

    Returns:
        One place, or several with ``all_addresses``.

    Raises:
        UnknownHostError: The name has no address.
        UnknownDeviceError: The scope is no interface.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        _, percent, scope = bare.partition("%")
        if percent:
            raise _unknown_device(scope) from error
        raise UnknownHostError(host, getattr(error, "strerror", None) or "not a host name") from error
    places = {address: Place(family, address, v6only, device) for family, _, _, _, address in found}
    first, *others = places.values()
    if others and not all_addresses:
        left_out = ", ".join(str(place.address[0]) for place in others)
        say(f"{host} is {first.address[0]}, and also {left_out}: --all-addresses listens there, too")
        return [first]
    return [first, *others]


def open_listeners(places: Iterable[Place], sets: int = 1) -> list[list[socket.socket]]:
    """Listen on every place.

    Args:
        places: With port 0 all get the same free port.
        sets: How many sockets each place gets. The system deals out the clients among them.

    Returns:
        So many times: listening sockets, in the order of the places; one for places that are the same.

    Raises:
        ListenError: One can't be bound.
        UnknownDeviceError: One names a device that is not there.
        DevicePermissionError: One names a device that this user may not bind to.
    """
    distinct = list({(place.family, place.address): place for place in places}.values())
    for _ in range(_PORT_TRIES):
        try:
            first = _listen_on_each(distinct, several=sets > 1)
            break
        except ListenError as error:
            port_was_chosen = distinct[0].address[1] == 0
            if error.own or error.errno != errno.EADDRINUSE or not port_was_chosen:
                raise
            last = error
    else:
        raise last
    port = first[0].getsockname()[1]
    return [first, *(_listen_on_each(distinct, several=True, port=port) for _ in range(sets - 1))]


def _listen_on_each(places: list[Place], several: bool, port: int = 0) -> list[socket.socket]:
    """Listen on each place; on this port, if they have none."""
    sockets: list[socket.socket] = []
    shared = several and port != 0
    try:
        for place in places:
            port = place.address[1] or port or (sockets[0].getsockname()[1] if sockets else 0)
            sockets.append(_listen(place, port, several, shared))
    except BaseException as error:
        if isinstance(error, ListenError) and error.errno == errno.EADDRINUSE:
            error.own = any(map(_takes_ipv4_too, sockets))
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _takes_ipv4_too(sock: socket.socket) -> bool:
    return (
        sock.family == socket.AF_INET6
        and sock.getsockname()[0] == "::"
        and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    )


def _listen(place: Place, port: int, several: bool, shared: bool) -> socket.socket:
    """Listen on a place.

    Args:
        place: Where.
        port: The port.
        several: Whether there are to be several sockets there.
        shared: Whether there is one there already. The first one must be refused a port that is in use, by
            whomever, so it may only be shared once it is bound.
    """
    address = (place.address[0], port, *place.address[2:])
    try:
        sock = socket.socket(place.family, socket.SOCK_STREAM)
    except OSError as error:
        raise _cannot_listen(address, error) from error
    try:
        # A restart must not wait for the old server's connections to leave TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Those that it accepts inherit this; some may come before the server runs. An answer is given to the
        # system as a whole: there is nothing to wait for (RFC 9293, 3.7.4).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if place.family == socket.AF_INET6:
            # Said in either case: the default is a setting (net.ipv6.bindv6only).
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6only)
        if place.device is not None:
            _bind_to_device(sock, place.device)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        if several and not shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _cannot_listen(address, error) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_to_device(sock: socket.socket, device: str) -> None:
    if not device:  # to the kernel, the empty name means any device
        raise _unknown_device(device)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _BIND_TO_DEVICE, device.encode() + b"\0")
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise DevicePermissionError(device, error.errno) from error
        raise _unknown_device(device) from error


def _cannot_listen(address: SocketAddress, error: OSError) -> ListenError:
    from hftp.interfaces import first_unprivileged_port, local_addresses

    known = local_addresses() if error.errno == errno.EADDRNOTAVAIL else ()
    return ListenError(
        format_address(address), address[1], error.errno or 0, known, first_unprivileged_port()
    )


def _unknown_device(device: str) -> UnknownDeviceError:
    from hftp.interfaces import devices

    return UnknownDeviceError(device, devices())


def format_address(address: SocketAddress) -> str:
    """Write a socket address as people do.

    Args:
        address: Of AF_INET or AF_INET6, as ``getsockname()`` gives it.

    Returns:
        ``127.0.0.1:19500``, ``[::1]:19500``, ``[fe80::1%eth0]:19500``.

    Source:
        RFC 3986, 3.2.2 (brackets); RFC 4007, 11 (scope).
    """
    host, port = address[:2]
    if ":" not in host:
        return f"{host}:{port}"
    scope = address[3] if len(address) > 3 else 0
    if scope and "%" not in host:
        try:
            host = f"{host}%{socket.if_indextoname(scope)}"
        except OSError:  # it is gone
            host = f"{host}%{scope}"
    return f"[{host}]:{port}"


def describe_listener(sock: socket.socket) -> str:
    """Say where a socket listens, and what its address alone does not tell.

    Args:
        sock: A listening socket.

    Returns:
        ``127.0.0.1:19500``, ``[::]:19500 (IPv4 too)``, ``0.0.0.0:19500 (device eth1 only)``.
    """
    remarks = []
    if sock.family == socket.AF_INET6 and sock.getsockname()[0] == "::":
        remarks.append("IPv4 too" if _takes_ipv4_too(sock) else "IPv6 only")
    device = _bound_device(sock)
    if device and f"%{device}]" not in format_address(sock.getsockname()):
        remarks.append(f"device {device} only")
    return format_address(sock.getsockname()) + (f" ({', '.join(remarks)})" if remarks else "")


def _bound_device(sock: socket.socket) -> str:
    try:
        name = sock.getsockopt(socket.SOL_SOCKET, _BIND_TO_DEVICE, 16)  # IFNAMSIZ of <linux/if.h>
    except OSError:
        return ""
    return name.rstrip(b"\0").decode()
