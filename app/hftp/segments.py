"""What an answer is made of: segments, each produced piece by piece as the client takes it.

A loop that can do better than ``take()`` (sendfile, for one) may look at a ``RawRange``'s file.
"""

from __future__ import annotations

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from hftp.files import File

# Base64 makes 4 characters of 3 bytes: only the last piece may end within such a group.
_GROUP_BYTES, _GROUP_CHARACTERS = 3, 4


class Segment:
    """A part of an answer.

    Attributes:
        done: Whether nothing is left of it.
    """

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def take(self, room: int) -> bytes | None:
        """Produce the next piece.

        Args:
            room: Its greatest length, in bytes, some KiB at least. Texts, all short, may exceed it.

        Returns:
            The piece. None where there is none yet, or it took long: others should have their turn.

        Raises:
            BrokenAnswerError: What was promised can't be produced.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back what it holds, done or not."""


class Text(Segment):
    """A few bytes: a status line, a number, an end of line."""

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text

    def take(self, room: int) -> bytes:
        """Give it as a whole."""
        self.done = True
        return self._text


class RawRange(Segment):
    """A range of a file, as it is.

    Attributes:
        file: Owned, and closed, by the segment.
        offset: Where what is left begins, in bytes.
        left: How many bytes are left.
    """

    __slots__ = ("file", "left", "offset")

    def __init__(self, file: File, offset: int, size: int) -> None:
        super().__init__()
        self.file = file
        self.offset = offset
        self.left = size
        self.done = size == 0

    def take(self, room: int) -> bytes:
        """Read as much as there is room for."""
        piece = self.file.read(self.offset, min(room, self.left))
        self.skip(len(piece))
        return piece

    def skip(self, count: int) -> None:
        """Note that bytes were taken, here or by sendfile.

        Args:
            count: How many, at most ``left``.
        """
        self.offset += count
        self.left -= count
        self.done = self.left == 0

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Base64Range(RawRange):
    """A range of a file in base64 (RFC 4648, section 4), without line breaks."""

    __slots__ = ()

    def take(self, room: int) -> bytes:
        """Read and encode as much as there is room for."""
        return binascii.b2a_base64(super().take(room // _GROUP_CHARACTERS * _GROUP_BYTES), newline=False)


class Pieces(Segment):
    """Whatever a generator yields: a listing."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        super().__init__()
        self._pieces = pieces

    def take(self, room: int) -> bytes | None:
        """Give the next piece, of whatever length. After the last one, too, others have their turn."""
        try:
            return next(self._pieces) or None
        except StopIteration:
            self.done = True
            return None

    def close(self) -> None:
        """End the generator."""
        self._pieces.close()
