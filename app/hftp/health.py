"""`hftp health`: whether a server serves. It asks as little, and imports as little, as can be."""

from __future__ import annotations

import socket

from hftp.constants import Status
from hftp.errors import AnswerError, AnswerTimeoutError, ConnectError, NotHFTPError, UnknownHostError
from hftp.listen import format_address

_REQUEST = "get_file_listing"


def check(host: str, port: int, timeout_s: float) -> None:
    """Ask a server for its listing, and read the first line of the answer: so far it opens the directory.

    Args:
        host: Its name or address.
        port: Its port.
        timeout_s: How long to wait for the connection, and for the answer, in seconds.

    Raises:
        HFTPError: It does not serve; which one says why.
    """
    try:
        sock = socket.create_connection((host, port), timeout_s)
    except socket.gaierror as error:
        raise UnknownHostError(host, error.strerror or "") from error
    except socket.timeout as error:
        raise AnswerTimeoutError(f"{host} port {port}", "the connection", timeout_s) from error
    except OSError as error:
        raise ConnectError(host, port, ((host, error.errno or 0),)) from error
    with sock:
        server = format_address(sock.getpeername())
        line = _ask(sock, server, timeout_s)
    code, space, _ = line.partition(b" ")
    if not (space and code.isdigit() and int(code) in list(Status)):
        raise NotHFTPError(server, "a status line", line)
    if int(code) != Status.OK:
        raise AnswerError(server, _REQUEST, Status(int(code)))


def _ask(sock: socket.socket, server: str, timeout_s: float) -> bytes:
    line = b""
    try:
        sock.sendall(_REQUEST.encode() + b"\r\n")
        while b"\n" not in line and len(line) < 64:
            piece = sock.recv(64)
            if not piece:
                break
            line += piece
    except socket.timeout as error:
        raise AnswerTimeoutError(server, "the status line", timeout_s) from error
    except OSError as error:
        raise NotHFTPError(server, "a status line", line) from error
    return line.partition(b"\r\n")[0]
