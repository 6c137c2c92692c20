"""The parser: bytes in, requests out. It knows no socket and no file.

Theory of operation
-------------------
``receive_data()`` stores, ``next_request()`` parses. A run of printable ASCII is taken as a whole; the
byte that ends it decides:

- CR LF ends the line;
- LF alone is BAD EOL, at once;
- CR followed by something else, and any other byte, is BAD REQUEST, at once;
- nothing yet: the run is added to the line, and never looked at again.

So the first fault in the order of the bytes is the one that is answered, however the bytes were cut.

A line may have 8 MiB, and must not be held. A name over 255 bytes can't exist, and a number over 255
digits exceeds every file, so a long line is kept *abridged*: as a short one that gets the same answer,
whatever follows. See ``abridge()``.
"""

from __future__ import annotations

import re

from hftp.constants import MAX_LINE_BYTES, MAX_NAME_BYTES, Status
from hftp.errors import ProtocolError

# A run of printable ASCII, and the end of line if that follows.
_RUN = re.compile(rb"[ -~]*(\r\n)?")
_NAME = re.compile(rb"[!-.0-\[\]-~]+")
_LF = 0x0A

# A line is abridged when it has grown past this. The longest request that can succeed has some 300 bytes.
_ABRIDGE_OVER = 4096
# A line that came at once and is no longer than this is taken as it is.
_SHORT_BYTES = 512
# One byte more than the longest name: an abridged token stays too long for a name.
_KEPT_TOKEN_BYTES = MAX_NAME_BYTES + 1
# One token more than the longest request (get_slice NAME OFFSET SIZE raw): that is already too many.
_KEPT_TOKENS = 6
# The command and the name come first. What follows may be a number, where leading zeros mean nothing.
_FIRST_NUMBER = 2


class Parser:
    """The requests of one client, from the bytes that came.

    Args:
        longest_line: How many bytes a line may have, its end not counted.

    Attributes:
        exhausted: Whether ``next_request()`` would find nothing more in what came so far.
    """

    __slots__ = ("_data", "_line", "_line_bytes", "_longest_line", "_position", "_short_bytes", "exhausted")

    def __init__(self, longest_line: int = MAX_LINE_BYTES) -> None:
        self._longest_line = longest_line
        self._short_bytes = min(_SHORT_BYTES, longest_line)
        self._data = b""
        self._position = 0  # in _data: what is before it was parsed
        self._line = b""  # the unfinished line, perhaps abridged
        self._line_bytes = 0  # its true length
        self.exhausted = True

    @property
    def held_bytes(self) -> int:
        """The memory held for input, in bytes."""
        return len(self._data) + len(self._line)

    @property
    def unfinished(self) -> bool:
        """Whether a line has begun."""
        return bool(self._line_bytes) or self._position < len(self._data)

    def receive_data(self, data: bytes) -> None:
        """Store what came. Who calls this only after ``next_request()`` gave None holds one piece at most.

        Args:
            data: Any number of bytes, cut anywhere.
        """
        if self._position < len(self._data):
            data = self._data[self._position :] + data
        self._data = data
        self._position = 0
        self.exhausted = False

    def next_request(self) -> list[bytes] | None:
        """Parse one request.

        Returns:
            Its tokens: the command, which may be empty or unknown, and its arguments, as they came.
            None when it takes more bytes to make a request.

        Raises:
            ProtocolError: BAD EOL or BAD REQUEST. Nothing after it can be parsed.
        """
        data, start = self._data, self._position
        run = _RUN.match(data, start)
        self._position = end = run.end()  # type: ignore[union-attr]  # it matches nothing, too
        if run.lastindex:  # type: ignore[union-attr]
            self.exhausted = end == len(data)
            text = data[start : end - 2]
            if self._line_bytes or len(text) > self._short_bytes:
                text = self._end_line(text)
            tokens = text.split(b" ")
            if not (tokens[0] or any(tokens)):
                raise ProtocolError(Status.BAD_REQUEST)
            return tokens
        self._extend_line(data[start:end])
        rest = data[end : end + 2]
        if rest and rest != b"\r":
            raise ProtocolError(Status.BAD_EOL if rest[0] == _LF else Status.BAD_REQUEST)
        # Only a CR may be left: what follows decides what it is.
        self._data, self._position, self.exhausted = rest, 0, True
        return None

    def _extend_line(self, text: bytes) -> None:
        self._line_bytes += len(text)
        if self._line_bytes > self._longest_line:
            raise ProtocolError(Status.BAD_REQUEST)
        self._line += text
        if len(self._line) > _ABRIDGE_OVER:
            self._line = abridge(self._line)

    def _end_line(self, text: bytes) -> bytes:
        self._extend_line(text)
        line, self._line, self._line_bytes = self._line, b"", 0
        return line


def abridge(line: bytes) -> bytes:
    """Shorten the beginning of a line to one that gets the same answer, whatever follows.

    Each call reads what the last one left (under 2 KiB) and at least as much that is new, so that the
    work stays proportional to the bytes that came.

    Args:
        line: Printable ASCII, the beginning of a line or all of it.

    Returns:
        At most 6 tokens of at most 257 bytes.
    """
    tokens = line.split(b" ")
    if len(tokens) > _KEPT_TOKENS:
        # The last one kept stands for the rest. All that still matters is whether the line is blank.
        rest = tokens[_KEPT_TOKENS - 1 :]
        tokens[_KEPT_TOKENS - 1 :] = [b"x" if any(rest) else b""]
    return b" ".join([_abridge_token(index, token) for index, token in enumerate(tokens)])


def _abridge_token(index: int, token: bytes) -> bytes:
    if len(token) <= _KEPT_TOKEN_BYTES:
        return token
    if index >= _FIRST_NUMBER and token.startswith(b"0"):
        # One zero stays: 0...0raw must not become raw.
        token = b"0" + token.lstrip(b"0")
    kept, dropped = token[:_KEPT_TOKEN_BYTES], token[_KEPT_TOKEN_BYTES:]
    return kept + _witness(dropped)


def _witness(dropped: bytes) -> bytes:
    """Give the byte that says of a token what the dropped bytes said: no name, no number, or neither."""
    for separator in (b"/", b"\\"):
        if separator in dropped:
            return separator
    return b"" if not dropped or dropped.isdigit() else b"x"


def is_name(token: bytes) -> bool:
    r"""Say whether a token can be a file's name in HFTP, of any length.

    Args:
        token: The bytes between two spaces.

    Returns:
        True for printable ASCII without ``/`` and ``\``, except ``.`` and ``..``.
    """
    return _NAME.fullmatch(token) is not None and token not in (b".", b"..")


def maybe_number(token: bytes) -> int | None:
    """Read a non-negative decimal integer.

    Args:
        token: The bytes between two spaces, abridged where they were many: few enough for ``int()``.

    Returns:
        The number, or None where the token is none: bytes.isdigit() knows only 0 to 9, no sign, no ``_``.
    """
    return int(token) if token.isdigit() else None
