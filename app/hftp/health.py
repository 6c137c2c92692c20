"""`hftp health`: whether a server serves. It asks as little, and imports as little, as can be."""

from __future__ import annotations

import socket
import time

from hftp.constants import EOL, Status
from hftp.dial import dial
from hftp.errors import AnswerError, AnswerTimeoutError, NotHFTPError, TruncatedError
from hftp.listen import format_address

_REQUEST = "get_file_listing"

# Longer than any status line.
_MAX_LINE_BYTES = 1024


def check(host: str, port: int, timeout_s: float) -> None:
    """Ask a server for its listing, and read the first line of the answer: so far it opens the directory.

    Args:
        host: Its name or address.
        port: Its port.
        timeout_s: How long all may take, in seconds; of several addresses each has its chance.

    Raises:
        HFTPError: It does not serve; which one says why.
    """
    ends_at = time.monotonic() + timeout_s
    with dial(host, port, timeout_s) as sock:
        server = format_address(sock.getpeername())
        try:
            line = _ask(sock, server, ends_at)
        except socket.timeout as error:
            raise AnswerTimeoutError(server, "status line", timeout_s) from error
    text, end, _ = line.partition(EOL)
    code = text.partition(b" ")[0]
    if not (end and code.isdigit() and int(code) in list(Status)):
        raise NotHFTPError(server, "a status line", line)
    if int(code) != Status.OK:
        raise AnswerError(server, _REQUEST, Status(int(code)))


def _ask(sock: socket.socket, server: str, ends_at: float) -> bytes:
    """Ask, and give what came up to the end of a line or more, until then, or raise socket.timeout."""
    line = b""
    try:
        sock.send(_REQUEST.encode() + EOL)  # an empty buffer takes it whole
        while b"\n" not in line and len(line) < _MAX_LINE_BYTES:
            sock.settimeout(max(ends_at - time.monotonic(), 0.001))
            piece = sock.recv(_MAX_LINE_BYTES)
            if not piece:
                raise TruncatedError(server, "status line", None, len(line), was_reset=False)
            line += piece
    except socket.timeout:
        raise
    except OSError as error:
        raise TruncatedError(server, "status line", None, len(line), was_reset=True) from error
    return line
