"""The client: one connection to a server, as methods.

It believes nothing that it can check: the status line, the length of what came, that base64 decodes to
the size that was asked, that a listed name could be a file's.
"""

from __future__ import annotations

import binascii
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from hftp.constants import DEFAULT_PORT, EOL, MAX_NAME_BYTES, PIECE_BYTES, TIMEOUT_SECONDS, Status
from hftp.errors import (
    AnswerError,
    AnswerTimeoutError,
    ConnectError,
    NameRefusedError,
    NotHFTPError,
    TruncatedError,
    UnknownHostError,
)
from hftp.listen import format_address
from hftp.protocol import is_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import NoReturn

    from hftp.listen import SocketAddress

_STATUS_LINE = re.compile(rb"(\d{1,3})(?: [^\r\n]*)?\r\n")
# Longer than any status line, name or number of HFTP: what has no end by then is something else.
_MAX_LINE_BYTES = 1024
# A server that lists without end would fill the memory. A directory of a million files is listed whole.
_MAX_LISTED_NAMES = 4_000_000


class Client:
    """A connection to an HFTP server. A context manager.

    Example::

        with Client("198.18.1.11") as client:
            for name in client.listing():
                print(name, client.size(name))

    After an error other than ``AnswerError`` with a code from 200, nothing more can be asked.

    Args:
        host: A name or an address, as for ``socket.create_connection``.
        port: The server's.
        timeout_s: How long to wait for a connection, and for each piece of an answer, in seconds.

    Attributes:
        server: The address that answers and its port, for example ``198.18.1.11:19500``.
        address: That address alone.
        family: Of that address: ``socket.AF_INET`` or ``socket.AF_INET6``.

    Raises:
        UnknownHostError: The name has no address.
        ConnectError: No address takes connections.
        AnswerTimeoutError: None did in time.
    """

    def __init__(self, host: str, port: int = DEFAULT_PORT, timeout_s: float = TIMEOUT_SECONDS) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s
        self._socket = _connect(host, port, timeout_s)
        self.family = int(self._socket.family)
        peer = self._socket.getpeername()
        self.server = format_address(peer)
        self.address = str(peer[0])
        self._file = self._socket.makefile("rb")
        self._knows_raw: bool | None = None  # not until a server has answered

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.quit()
        self.close()

    # What can be asked

    def listing(self) -> list[str]:
        """Ask for the names of the files.

        Returns:
            The names, as the server sorts them.

        Raises:
            NameRefusedError: The server lists what can't be a name.
            HFTPError: The answer does not come, or is none: see the errors of this package.
        """
        self._ask("get_file_listing")
        return [name.decode("ascii") for name in self._lines("listing")]

    def help(self) -> list[str]:
        """Ask for the commands that the server knows (second edition).

        Returns:
            Their names.

        Raises:
            HFTPError: The answer does not come, or is none.
        """
        self._ask("help")
        return [name.decode("ascii") for name in self._lines("list of commands")]

    def size(self, name: str) -> int:
        """Ask for a file's size.

        Args:
            name: Of the file.

        Returns:
            In bytes.

        Raises:
            NameRefusedError: This can't be a name.
            AnswerError: There is no such file.
            HFTPError: The answer does not come, or is none.
        """
        self._ask(f"get_metadata {checked_name(name)}")
        line = self._line("size")
        if not line.isdigit():
            raise NotHFTPError(self.server, "a size", line)
        return int(line)

    def read_slice(self, name: str, offset: int, size: int, raw: bool | None = None) -> bytes:
        """Ask for a part of a file.

        Args:
            name: Of the file.
            offset: Where it begins, in bytes.
            size: How many bytes.
            raw: As they are, or in base64. None: as they are, if the server can.

        Returns:
            ``size`` bytes.

        Raises:
            NameRefusedError: This can't be a name.
            AnswerError: There is no such file, or it is shorter.
            HFTPError: The answer does not come, or is none.
        """
        return b"".join(self.iter_slice(name, offset, size, raw))

    def iter_slice(self, name: str, offset: int, size: int, raw: bool | None = None) -> Iterator[bytes]:
        """Ask for a part of a file, and give it as it comes. Take all before asking for anything else.

        Args:
            name: Of the file.
            offset: Where it begins, in bytes.
            size: How many bytes.
            raw: As they are, or in base64. None: as they are, if the server can.

        Yields:
            Pieces of some 256 KiB, ``size`` bytes in all.

        Raises:
            NameRefusedError: This can't be a name.
            AnswerError: There is no such file, or it is shorter.
            HFTPError: The answer does not come, or is none.
        """
        request = f"get_slice {checked_name(name)} {offset:d} {size:d}"
        if self._ask_raw(request, raw):
            yield from self._raw_body(size)
        else:
            yield from self._base64_body(size)

    def download(
        self,
        name: str,
        path: str | Path | None = None,
        *,
        raw: bool | None = None,
        jobs: int = 1,
        progress: Callable[[int, int], None] = lambda done, size: None,
    ) -> Path:
        """Fetch a file, resuming what an earlier try has left in ``PATH.part``.

        Args:
            name: Of the file.
            path: Where it goes; by default its name, in the current directory.
            raw: See ``read_slice()``.
            jobs: How many connections fetch it, this one among them.
            progress: Is told how many bytes are there, and how many there will be.

        Returns:
            The path.

        Raises:
            DownloadError: The file changed meanwhile, or another process fetches it.
            OSError: It can't be written.
            HFTPError: An answer does not come, or is none.
        """
        from hftp.download import download

        return download(self, name, path, raw=raw, jobs=jobs, progress=progress)

    def quit(self) -> None:
        """Say goodbye. A server that is gone already is none the worse for it."""
        with suppress(OSError):
            self._socket.sendall(b"quit\r\n")
            self._file.readline(_MAX_LINE_BYTES)

    def close(self) -> None:
        """Close the connection, whatever its state."""
        self._file.close()
        self._socket.close()

    # Requests

    def _ask(self, request: str) -> None:
        """Send a request and take its status line."""
        try:
            self._socket.sendall(request.encode("ascii") + EOL)
        except OSError as error:
            self._raise_lost(error, "request", None, 0)
        line = self._raw_line("status line")
        match = _STATUS_LINE.fullmatch(line)
        try:
            status = Status(int(match[1])) if match else None
        except ValueError:
            status = None
        if status is None:
            raise NotHFTPError(self.server, "a status line", line)
        if status is not Status.OK:
            raise AnswerError(self.server, request, status)

    def _ask_raw(self, request: str, raw: bool | None) -> bool:
        """Ask for a slice. Returns whether it comes raw: a server of the first edition can't."""
        if raw or (raw is None and self._knows_raw is not False):
            try:
                self._ask(f"{request} raw")
            except AnswerError as error:
                if raw or error.status is not Status.INVALID_ARGUMENTS:
                    raise
                self._knows_raw = False
            else:
                self._knows_raw = True
                return True
        self._ask(request)
        return False

    # Answers

    def _raw_body(self, size: int) -> Iterator[bytes]:
        self._expect(b"Content-Length: %d\r\n\r\n" % size, "the header of a raw slice")
        for done in range(0, size, PIECE_BYTES):
            yield self._read(min(PIECE_BYTES, size - done), "slice")

    def _base64_body(self, size: int) -> Iterator[bytes]:
        # A piece is a multiple of 3 bytes: only the last one is padded.
        piece_bytes = PIECE_BYTES // 4 * 3
        for done in range(0, size, piece_bytes):
            count = min(piece_bytes, size - done)
            text = self._read((count + 2) // 3 * 4, "slice")
            yield self._decode(text, count)
        self._expect(EOL, "the end of a slice")

    def _decode(self, text: bytes, count: int) -> bytes:
        # a2b_base64 passes over what is no base64: then less comes out than should.
        try:
            piece = binascii.a2b_base64(text)
        except binascii.Error:
            piece = b""
        if len(piece) != count:
            raise NotHFTPError(self.server, f"{count} bytes in base64", text)
        return piece

    def _expect(self, expected: bytes, meaning: str) -> None:
        # By lines: what is not as expected may be shorter, and nothing more may come.
        got = b""
        while len(got) < len(expected):
            got += self._raw_line(meaning, len(expected) - len(got))
            if not expected.startswith(got):
                raise NotHFTPError(self.server, meaning, got)

    def _lines(self, part: str) -> list[bytes]:
        names: list[bytes] = []
        while True:
            name = self._line(part)
            if not name:
                return names
            if len(name) > MAX_NAME_BYTES or not is_name(name):
                raise NameRefusedError(name, self.server)
            names.append(name)
            if len(names) > _MAX_LISTED_NAMES:
                raise NotHFTPError(self.server, f"at most {_MAX_LISTED_NAMES} names", name)

    def _line(self, part: str) -> bytes:
        line = self._raw_line(part)
        if not line.endswith(EOL):
            raise NotHFTPError(self.server, f"a line of the {part}", line)
        return line[:-2]

    def _raw_line(self, part: str, limit: int = _MAX_LINE_BYTES) -> bytes:
        """Take a line with its end, or as much of it as the limit allows."""
        try:
            line = self._file.readline(limit)
        except OSError as error:
            self._raise_lost(error, part, None, 0)
        if not line or not (line.endswith(b"\n") or len(line) == limit):
            raise TruncatedError(self.server, part, None, len(line), was_reset=False)
        return line

    def _read(self, count: int, part: str) -> bytes:
        try:
            piece = self._file.read(count)
        except OSError as error:
            self._raise_lost(error, part, None, 0)
        if len(piece) < count:
            raise TruncatedError(self.server, part, count, len(piece), was_reset=False)
        return piece

    def _raise_lost(self, error: OSError, part: str, expected: int | None, got: int) -> NoReturn:
        if isinstance(error, socket.timeout):
            raise AnswerTimeoutError(self.server, part, self.timeout_s) from error
        raise TruncatedError(self.server, part, expected, got, was_reset=True) from error


def checked_name(name: str) -> str:
    r"""Let a name pass only if it can be a file's.

    Args:
        name: From wherever.

    Returns:
        The name: safe in a request, and as the last part of a path.

    Raises:
        NameRefusedError: It has a ``/``, a ``\``, a blank, a control byte or a byte that is not ASCII, or
            is ``.``, ``..`` or empty.
    """
    token = name.encode("utf-8", "surrogateescape")
    if not is_name(token):
        raise NameRefusedError(token)
    return name


def _connect(host: str, port: int, timeout_s: float) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(host, getattr(error, "strerror", None) or "not a host name") from error
    attempts = []
    for family, kind, protocol, _, address in found:
        try:
            return _connect_to(family, kind, protocol, address, timeout_s)
        except socket.timeout:
            timed_out = format_address(address)
        except OSError as error:
            attempts.append((format_address(address), error.errno or 0))
    if attempts:
        raise ConnectError(host, port, tuple(attempts))
    raise AnswerTimeoutError(timed_out, "connection", timeout_s)


def _connect_to(
    family: int, kind: int, protocol: int, address: SocketAddress, timeout_s: float
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout_s)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock
