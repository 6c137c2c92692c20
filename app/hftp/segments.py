"""What an answer is made of, beyond its beginning: a segment, produced piece by piece as the client takes it.

A range remembers only how far it has come. So what a slow client did not take need not be kept: it is
rewound, and made again when there is room.
"""

from __future__ import annotations

import abc

from hftp.constants import EOL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from hftp.files import File

# Base64 makes 4 characters of 3 bytes: only the last piece may end within such a group.
_GROUP_BYTES, _GROUP_CHARACTERS = 3, 4


class Segment(abc.ABC):
    """A part of an answer.

    Attributes:
        position: How many bytes of it were produced.
        done: Whether nothing is left of it.
    """

    __slots__ = ("done", "position")

    def __init__(self) -> None:
        self.position = 0
        self.done = False

    @abc.abstractmethod
    def take(self, room: int) -> bytes | None:
        """Produce the next piece.

        Args:
            room: Its greatest length, in bytes, some KiB at least.

        Returns:
            The piece. None where there is none yet, or it took long: others should have their turn.

        Raises:
            BrokenAnswerError: What was promised can't be produced.
        """

    def maybe_rewind(self, count: int) -> bool:
        """Put the end of what was produced back, to be produced again.

        Args:
            count: How many bytes.

        Returns:
            Whether it can. If not, whoever took them has to keep them.
        """
        return False

    def close(self) -> None:
        """Give back what it holds, done or not."""


class _Range(Segment):
    """A range of a file, in some form."""

    __slots__ = ("file", "length", "offset", "size")

    def __init__(self, file: File, offset: int, size: int, length: int) -> None:
        self.position = 0
        self.file = file
        self.offset = offset
        self.size = size
        self.length = length  # of what is produced, in bytes
        self.done = length == 0

    def skip(self, count: int) -> None:
        """Note that bytes were produced, here or by the system."""
        self.position += count
        self.done = self.position >= self.length

    def maybe_rewind(self, count: int) -> bool:
        """Put the end of what was produced back: only a number changes."""
        self.position -= count
        self.done = False
        return True

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class RawRange(_Range):
    """A range of a file, as it is.

    Attributes:
        file: Owned, and closed, by the segment.
        offset: Where it begins in the file, in bytes.
        size: How many bytes it has.
    """

    __slots__ = ()

    def take(self, room: int) -> bytes:
        """Read as much as there is room for."""
        piece = self.file.read(self.offset + self.position, min(room, self.length - self.position))
        self.skip(len(piece))
        return piece


class Base64Range(_Range):
    """A range of a file in base64 (RFC 4648, section 4), without line breaks, and the end of line after it.

    Args:
        file: Owned, and closed, by the segment.
        offset: Where it begins in the file, in bytes.
        size: How many bytes of the file it has.
        encode: What makes base64 of bytes, padded.
    """

    __slots__ = ("_encode",)

    def __init__(self, file: File, offset: int, size: int, encode: Callable[[bytes], bytes]) -> None:
        groups = -(-size // _GROUP_BYTES)
        super().__init__(file, offset, size, groups * _GROUP_CHARACTERS + len(EOL))
        self._encode = encode

    def take(self, room: int) -> bytes:
        """Read and encode as much as there is room for."""
        group, skipped = divmod(self.position, _GROUP_CHARACTERS)
        begin = group * _GROUP_BYTES
        count = min((room - len(EOL)) // _GROUP_CHARACTERS * _GROUP_BYTES, self.size - begin)
        piece = self._encode(self.file.read(self.offset + begin, count)) if count > 0 else b""
        if begin + count >= self.size:
            piece += EOL
            # Rewound into the end of line, there is no group left to begin with.
            skipped = self.position - (self.length - len(piece))
        if skipped:
            piece = piece[skipped:]
        self.position += len(piece)
        self.done = self.position >= self.length
        return piece


class Pieces(Segment):
    """Whatever a generator yields: a listing."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        super().__init__()
        self._pieces = pieces

    def take(self, room: int) -> bytes | None:
        """Give the next piece, of whatever length. After the last one, too, others have their turn."""
        try:
            piece = next(self._pieces)
        except StopIteration:
            self.done = True
            return None
        self.position += len(piece)
        return piece or None

    def close(self) -> None:
        """End the generator."""
        self._pieces.close()
