"""The client: one connection to a server, as methods.

It believes nothing that it can check: the status line, the length of what came, that base64 decodes to
the size that was asked, that a listed name could be a file's.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

if not __package__:  # run as a file: this directory is the package
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hftp.constants import DEFAULT_PORT, EOL, MAX_NAME_BYTES, PIECE_BYTES, TIMEOUT_SECONDS, Status
from hftp.decode import decode
from hftp.errors import AnswerError, HFTPError, NameRefusedError, NotHFTPError
from hftp.protocol import is_name
from hftp.wire import MAX_LINE_BYTES, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Union

    Piece = Union[bytes, bytearray]

_STATUS_LINE = re.compile(rb"(\d{1,3})(?: [^\r\n]*)?\r\n")
# A server that lists without end would fill the memory. A directory of a million files is listed whole,
# however long their names; one of short names up to 3.5 million.
_MAX_LISTING_BYTES = 320 * 1024 * 1024
# What a name takes beside its bytes: a bytes object, later a str, and their places in lists.
_NAME_COST_BYTES = 80

# What is asked for at a time: a server that makes a slice as a whole, as some do, has to hold so much.
BLOCK_BYTES = 1024 * 1024
# How many blocks are asked for ahead: 256 MiB, so that a connection of 10 Gbit/s with a round trip of 0.2 s
# is never idle. It costs no memory: what is asked for waits as requests, of some 50 bytes.
_BLOCKS_AHEAD = 256


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
        self._wire = Wire(host, port, timeout_s)
        self.server = self._wire.server
        self.address = self._wire.address
        self.family = self._wire.family
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
        request = f"get_metadata {checked_name(name)}"
        self.send(request)
        return self.take_size(request)

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

    def iter_slice(self, name: str, offset: int, size: int, raw: bool | None = None) -> Iterator[Piece]:
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
        request = slice_request(name, offset, size)
        if self._ask_raw(request, raw):
            yield from self._raw_body(size)
        else:
            yield from self._base64_body(size)

    def iter_range(self, name: str, offset: int, size: int, raw: bool | None = None) -> Iterator[Piece]:
        """Ask for a part of a file in blocks, the next before the first has come, and give it as it comes.

        So no server has to hold more than a block, whatever it does with a slice, and a long round trip
        costs nothing. Take all before asking for anything else.

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
        end = offset + size
        blocks = ((at, min(BLOCK_BYTES, end - at)) for at in range(offset, end, BLOCK_BYTES))
        form = self._knows_raw is not False if raw is None else raw
        ahead: deque[tuple[str, int]] = deque()
        while True:
            for at, count in islice(blocks, _BLOCKS_AHEAD - len(ahead)):
                request = slice_request(name, at, count, raw=form)
                self.send(request)
                ahead.append((request, count))
            if not ahead:
                return
            request, count = ahead.popleft()
            try:
                yield from self.take_slice(request, count, raw=form)
            except AnswerError as error:
                self._pass_over(ahead, raw=form)
                if raw is not None or self._knows_raw or error.status is not Status.INVALID_ARGUMENTS:
                    raise
                break
            if raw is None:
                self._knows_raw = form
        self._knows_raw = False  # a server of the first edition: nothing has come yet
        yield from self.iter_range(name, offset, size, raw=False)

    def _pass_over(self, ahead: Iterable[tuple[str, int]], *, raw: bool) -> None:
        """Take answers that nobody wants any more, so that the connection is of use again."""
        with suppress(HFTPError):  # who asks the next thing will see it, too
            for request, count in ahead:
                with suppress(AnswerError):
                    deque(self.take_slice(request, count, raw=raw), maxlen=0)

    def knows_raw(self, name: str) -> bool:
        """Say whether the server gives raw slices, asking it if need be.

        Args:
            name: Of a file that it has.

        Raises:
            HFTPError: The answer does not come, or is none.
        """
        if self._knows_raw is None:
            self.read_slice(name, 0, 0)
        return self._knows_raw is True

    def quit(self) -> None:
        """Say goodbye. A server that is gone already is none the worse for it."""
        with suppress(HFTPError):
            self.send("quit")
            self._wire.line("goodbye")

    def close(self) -> None:
        """Close the connection, whatever its state."""
        self._wire.close()

    def abort(self) -> None:
        """End the connection from another thread: whoever waits for an answer sees it truncated."""
        self._wire.abort()

    # Pipelining: requests are sent, and their answers taken later, in the same order

    def send(self, request: str) -> None:
        """Send a request, at the latest when an answer is waited for.

        Args:
            request: The line, without its end.
        """
        self._wire.send(request.encode("ascii") + EOL)

    def take_status(self, request: str) -> None:
        """Take the status line of an answer.

        Args:
            request: What it answers.

        Raises:
            AnswerError: It is not 0.
            HFTPError: It does not come, or is none.
        """
        line = self._wire.line("status line")
        match = _STATUS_LINE.fullmatch(line)
        try:
            status = Status(int(match[1])) if match else None
        except ValueError:
            status = None
        if status is None:
            raise NotHFTPError(self.server, "a status line", line)
        if status is not Status.OK:
            raise AnswerError(self.server, request, status)

    def take_size(self, request: str) -> int:
        """Take the answer to a ``get_metadata``.

        Args:
            request: What it answers.

        Returns:
            The size, in bytes.

        Raises:
            HFTPError: As ``size()``.
        """
        self.take_status(request)
        line = self._line("size")
        if not line.isdigit():
            raise NotHFTPError(self.server, "a size", line)
        return int(line)

    def take_slice(self, request: str, size: int, *, raw: bool) -> Iterator[Piece]:
        """Take the answer to a ``get_slice``.

        Args:
            request: What it answers.
            size: That was asked for, in bytes.
            raw: Whether it was asked for raw.

        Yields:
            Pieces, ``size`` bytes in all.

        Raises:
            HFTPError: As ``iter_slice()``.
        """
        self.take_status(request)
        yield from self._raw_body(size) if raw else self._base64_body(size)

    def _ask(self, request: str) -> None:
        """Send a request and take its status line."""
        self.send(request)
        self.take_status(request)

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

    def _raw_body(self, size: int) -> Iterator[Piece]:
        self._wire.expect(b"Content-Length: %d\r\n\r\n" % size, "header of a raw slice")
        for done in range(0, size, PIECE_BYTES):
            yield self._wire.read(min(PIECE_BYTES, size - done), "slice")

    def _base64_body(self, size: int) -> Iterator[Piece]:
        # A piece is a multiple of 3 bytes: only the last one is padded.
        piece_bytes = PIECE_BYTES // 4 * 3
        for done in range(0, size, piece_bytes):
            count = min(piece_bytes, size - done)
            text = self._wire.read((count + 2) // 3 * 4, "slice")
            yield self._decode(text, count)
        self._wire.expect(EOL, "end of a slice")

    def _decode(self, text: Piece, count: int) -> Piece:
        piece = decode(text, count)
        if piece is None:
            raise NotHFTPError(self.server, f"{count} bytes in base64", bytes(text[:MAX_LINE_BYTES]))
        return piece

    def _lines(self, part: str) -> list[bytes]:
        names: list[bytes] = []
        room = _MAX_LISTING_BYTES
        while True:
            name = self._line(part)
            if not name:
                return names
            if len(name) > MAX_NAME_BYTES or not is_name(name):
                raise NameRefusedError(name, self.server)
            names.append(name)
            room -= len(name) + _NAME_COST_BYTES
            if room < 0:
                raise NotHFTPError(self.server, f"the end of the {part} after {len(names)} names", name)

    def _line(self, part: str) -> bytes:
        line = self._wire.line(part)
        if not line.endswith(EOL):
            raise NotHFTPError(self.server, f"a line of the {part}", line)
        return line[:-2]


def slice_request(name: str, offset: int, size: int, *, raw: bool = False) -> str:
    """Write a request for a part of a file.

    Args:
        name: Of the file.
        offset: Where it begins, in bytes.
        size: How many bytes.
        raw: As they are, or in base64.

    Raises:
        NameRefusedError: This can't be a name.
    """
    return f"get_slice {checked_name(name)} {offset:d} {size:d}{' raw' if raw else ''}"


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


if __name__ == "__main__":  # a library; the commands that use it are the package's
    from runpy import run_module

    run_module("hftp", run_name="__main__")
