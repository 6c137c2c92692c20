"""Facts: what names resolve to, as ordinary programs see it."""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.agent.shapes import Json, SocketAddress


class ResolutionError(Exception):
    """getaddrinfo(3) failed; its text is the error's name: `EAI_NONAME`."""


def resolve(name: str, port: int = 0) -> list[tuple[int, SocketAddress]]:
    """Return what getaddrinfo(3) makes of a name, for TCP, in its order: families and socket addresses.

    Raises:
        ResolutionError: it makes nothing of it.
    """
    try:
        # Only a name beyond ASCII is worth the import of Python's IDNA codec, which a str would cause.
        host = name.encode("ascii") if name.isascii() else name
        found = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ResolutionError(resolver_error_name(error.errno)) from None
    except UnicodeError:  # an empty label, or one over 63 bytes: no name at all
        raise ResolutionError("EAI_NONAME") from None
    # An `int` in a socket address: of a family that this Python was built without.
    return [(family, address) for family, _, _, _, address in found if isinstance(address[0], str)]


def resolver_error_name(code: int | None) -> str:
    """Return the name of an error of getaddrinfo(3), such as `EAI_NONAME`."""
    names = [name for name in dir(socket) if name.startswith("EAI_") and getattr(socket, name) == code]
    return names[0] if names else f"EAI {code}"


def address_text(address: SocketAddress) -> str:
    """Write a socket address's IP, with the scope that a link-local one has: `fe80::1%eth0`."""
    if len(address) < 4 or not address[3]:
        return address[0]
    try:
        scope = socket.if_indextoname(address[3])
    except OSError:
        scope = str(address[3])
    return f"{address[0].partition('%')[0]}%{scope}"


def resolution(name: str) -> Json:
    """Return what a name resolves to here."""
    try:
        found = resolve(name)
    except ResolutionError as error:
        return {"addresses": [], "error": str(error)}
    return {"addresses": [address_text(address) for _, address in found], "error": ""}
