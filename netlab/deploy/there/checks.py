"""What stands against a deployment, and whether a server answers."""

from __future__ import annotations

import errno
import os
import socket

from netlab.deploy.there.files import nearest
from netlab.deploy.there.kernel import listening_inodes, who_listens
from netlab.deploy.there.problems import ProblemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


ANSWER_S = 5.0


def listening_places(address: str, port: int) -> list[tuple[int, Any]]:
    """Return the socket address that a configured one means: the first that a name has, as hftp takes it.

    Raises:
        ProblemError: the name has none.
    """
    try:
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(address, port, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, flags)
    except (OSError, UnicodeError) as error:
        raise ProblemError(f"{address} has no address here: {getattr(error, 'strerror', error)}") from None
    return [(family, place) for family, _, _, _, place in found[:1]]


def address_problem(address: str, port: int, ours: set[int]) -> str:
    """Return why a server can't listen there; empty if it can, or if ours does.

    The kernel is asked: bind(2) says whether the address is there and the port free.
    """
    try:
        places = listening_places(address, port)
    except ProblemError as unresolved:
        return str(unresolved)
    for family, place in places:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(place)
            except OSError as error:
                problem = bind_problem(error, address, port, ours)
                if problem:
                    return problem
    return ""


def bind_problem(error: OSError, address: str, port: int, ours: set[int]) -> str:
    """Return what an error of bind(2) means for a deployment."""
    if error.errno == errno.EADDRINUSE:
        others = listening_inodes(port) - ours
        return f"port {port} is taken by {who_listens(others)}" if others else ""
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this host"
    if error.errno == errno.EACCES:
        return f"port {port} may be listened on by root only (net.ipv4.ip_unprivileged_port_start)"
    return f"{address}: {error.strerror}"


def directory_problem(directory: str, base: str) -> str:
    """Return why a directory can't be served."""
    real = os.path.realpath(directory)
    if real == base or real.startswith(base + os.sep) or base.startswith(real.rstrip(os.sep) + os.sep):
        return f"{directory} can't be served: netlab's own files are there ({base})"
    if os.path.exists(directory):
        if not os.path.isdir(directory):
            return f"{directory} is no directory"
        return (
            "" if os.access(directory, os.R_OK | os.X_OK) else f"{directory} may not be read by this account"
        )
    parent = nearest(directory)
    return (
        ""
        if os.access(parent, os.W_OK | os.X_OK)
        else f"{directory} can't be made: {parent} may not be written"
    )


def served_directory(serve: Json) -> str:
    """Return the whole path of the data directory.

    Args:
        serve: how a release serves; its `directory` is relative to the account's home, unless it is whole.
    """
    return os.path.join(os.path.expanduser("~"), serve["directory"])


def ask(address: str, port: int) -> str:
    """Ask an HFTP server for its listing; return what is wrong, empty if it answers."""
    try:
        family, place = listening_places(address, port)[0]
        host = place[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(ANSWER_S)
            sock.connect((host, *place[1:]))
            sock.sendall(b"get_file_listing\r\n")
            line = b""
            while b"\n" not in line and len(line) < 64:
                piece = sock.recv(64)
                if not piece:
                    break
                line += piece
    except ProblemError as problem:
        return str(problem)
    except TimeoutError:
        return f"{address} port {port} does not answer within {ANSWER_S:g} s"
    except OSError as error:
        return f"{address} port {port}: {error.strerror}"
    return "" if line.startswith(b"0 ") else f"{address} port {port} answers {ascii(line[:40])[1:]}"
