"""A container's output as the engine sends it: two streams in one connection, in frames.

Pure: bytes in, lines out. What a container says is not trusted: memory is bounded whatever comes.
"""

from __future__ import annotations

import struct

from netlab.errors import LabError
from netlab.session import ANSWER_LIMIT_BYTES

# Docker Engine API, ContainerAttach, "Stream format": 1 is standard output, 2 standard error; then a length.
_HEADER = struct.Struct(">BxxxL")
_STDOUT = 1
_STDERR = 2
# Of what a program says on standard error, as much is kept.
_DIAGNOSTICS_BYTES = 4096


class Frames:
    """What came of both streams so far.

    Attributes:
        diagnostics: the last 4 KiB of standard error.
    """

    def __init__(self) -> None:
        self.diagnostics = b""
        self._header = bytearray()
        self._stream, self._missing = 0, 0  # of the frame that is coming in
        self._lines = bytearray()
        self._searched = 0  # no newline before here

    def feed(self, data: bytes) -> None:
        """Take in what came, cut anywhere.

        Raises:
            LabError: this is no such stream, or a line of standard output is too long.
        """
        rest = memoryview(data)
        while rest:
            rest = self._content(rest) if self._missing else self._frame(rest)

    def line(self) -> bytes | None:
        """Return the next whole line of standard output, newline included; None where there is none yet."""
        newline = self._lines.find(b"\n", self._searched)
        if newline < 0:
            self._searched = len(self._lines)
            return None
        line = bytes(self._lines[: newline + 1])
        del self._lines[: newline + 1]
        self._searched = 0
        return line

    def rest(self) -> bytes:
        """Return what is left of standard output at its end: a line without a newline, or nothing."""
        rest, self._lines, self._searched = bytes(self._lines), bytearray(), 0
        return rest

    def _frame(self, data: memoryview) -> memoryview:
        wanted = _HEADER.size - len(self._header)
        self._header += data[:wanted]
        if len(self._header) == _HEADER.size:
            self._stream, self._missing = _HEADER.unpack(self._header)
            self._header.clear()
            if self._stream not in (_STDOUT, _STDERR):
                raise LabError(f"the engine sent a frame of stream {self._stream}: there is 1 and 2")
        return data[wanted:]

    def _content(self, data: memoryview) -> memoryview:
        content = data[: self._missing]
        self._missing -= len(content)
        if self._stream == _STDERR:
            self.diagnostics = (self.diagnostics + bytes(content))[-_DIAGNOSTICS_BYTES:]
        else:
            self._lines += content
            # Lines that nobody has taken yet are small: each answers a request.
            if len(self._lines) > ANSWER_LIMIT_BYTES:
                raise LabError(f"a program sent more than {ANSWER_LIMIT_BYTES >> 20} MiB in a line")
        return data[len(content) :]
