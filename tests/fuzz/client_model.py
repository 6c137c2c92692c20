"""The model of a client: what it should make of all that a server says, without any thought for speed.

It asks nothing: what a client asks depends on nothing but what it was told before.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from typing import NamedTuple

from tests.fuzz.hostile import BLOCK_BYTES

_STATUS = re.compile(rb"([0-9]{1,3})( [^\r\n]*)?")
_CODES = {0, 100, 101, 199, 200, 201, 202, 203}
_NAME = re.compile(rb"[!-.0-\[\]-~]{1,255}")
_BASE64 = re.compile(rb"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_LONGEST_LINE = 1024


class BrokenError(Exception):
    """The stream is no answer, or has ended: the connection is of no more use."""


class UnknownError(Exception):
    """What comes of this the model does not say."""


class RefusedError(Exception):
    """A code other than 0."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.fatal = code < 200


class Told(NamedTuple):
    """What a client was told.

    Attributes:
        whole: Whether all that it wanted has come.
        output: What belongs on standard output: all of it, or, where not all has come, a beginning of this.
        files: What belongs into the directory: the whole files.
        part: Of the file that is not whole: a beginning of this.
    """

    whole: bool
    output: bytes = b""
    files: dict[str, bytes] = {}  # noqa: RUF012  # never changed
    part: bytes = b""


class Answers:
    """A stream, read answer by answer. Each method raises BrokenError, and RefusedError for another code.

    Attributes:
        came: What all slices have given, also the beginning of one that is not whole.
    """

    def __init__(self, stream: bytes) -> None:
        self._rest = stream
        self.came = b""

    def take(self, count: int) -> bytes:
        taken, self._rest = self._rest[:count], self._rest[count:]
        if len(taken) < count:
            raise BrokenError
        return taken

    def line(self) -> bytes:
        end = self._rest.find(b"\n", 0, _LONGEST_LINE) + 1
        line = self.take(end)
        if not line.endswith(b"\r\n"):
            raise BrokenError
        return line[:-2]

    def status(self) -> None:
        found = _STATUS.fullmatch(self.line())
        if not found or int(found[1]) not in _CODES:
            raise BrokenError
        if int(found[1]):
            raise RefusedError(int(found[1]))

    def names(self) -> list[bytes]:
        self.status()
        names = list(iter(self.line, b""))
        if not all(map(_NAME.fullmatch, names)) or {b".", b".."}.intersection(names):
            raise BrokenError
        return names

    def size(self) -> int:
        self.status()
        line = self.line()
        if not line.isdigit():
            raise BrokenError
        return int(line)

    def slice(self, count: int, *, raw: bool) -> bytes:
        self.status()
        if raw:
            if self.line() != b"Content-Length: %d" % count or self.line():
                raise BrokenError
            self.came += self._rest[:count]
            return self.take(count)
        characters = (count + 2) // 3 * 4
        contents = _decode(self._rest[:characters])
        self.came += contents[:count]
        if len(contents) != count or self.take(characters + 2)[characters:] != b"\r\n":
            raise BrokenError
        return contents


def _decode(text: bytes) -> bytes:
    """Decode as much as is base64."""
    return base64.b64decode(_BASE64.match(text)[0])  # type: ignore[index]  # it matches nothing, too


def told_names(stream: bytes) -> Told:
    """`hftp ls`, `hftp help`."""
    try:
        names = Answers(stream).names()
    except (BrokenError, RefusedError):
        return Told(False)
    return Told(True, b"".join(name + b"\n" for name in names))


def told_size(stream: bytes) -> Told:
    """`hftp stat f`."""
    try:
        return Told(True, b"%d f\n" % Answers(stream).size())
    except (BrokenError, RefusedError):
        return Told(False)


def told_contents(stream: bytes, *, raw: bool) -> Told:
    """`hftp cat f --raw`, `--base64`."""
    answers = Answers(stream)
    try:
        _take_blocks(answers, answers.size(), raw=raw)
    except (BrokenError, RefusedError):
        return Told(False, answers.came)
    return Told(True, answers.came)


def told_file(stream: bytes, *, raw: bool) -> Told:
    """`hftp get f --raw`, `--base64`, where there is no .part."""
    answers = Answers(stream)
    try:
        size = answers.size()
        _take_blocks(answers, size, raw=raw)
        if answers.size() != size:
            raise BrokenError
    except (BrokenError, RefusedError):
        return Told(False, part=answers.came)
    return Told(True, files={"f": answers.came})


def _take_blocks(answers: Answers, size: int, *, raw: bool) -> None:
    while size:
        answers.slice(min(size, BLOCK_BYTES), raw=raw)
        size -= min(size, BLOCK_BYTES)


def told_directory(stream: bytes) -> Told:
    """`hftp get --all --raw`, over one connection, where each file fits a block."""
    answers, files, failed = Answers(stream), dict[str, bytes](), False
    try:
        names = answers.names()
        if len(names) != len(set(names)) or any(name.endswith(b".part") for name in names):
            raise UnknownError
        coming = deque((name, -1) for name in names)
        while coming:
            name, size = coming.popleft()
            try:
                if size < 0:
                    size = answers.size()
                    if size > BLOCK_BYTES:
                        raise UnknownError
                    coming.append((name, size))
                    continue
                contents = _maybe_contents(answers, size)
                if answers.size() == size and contents is not None:
                    files[name.decode()] = contents
                else:
                    failed = True
            except RefusedError as refusal:
                if refusal.fatal:
                    raise UnknownError from refusal
                failed = True
    except (BrokenError, RefusedError):
        return Told(False, files=files)
    return Told(not failed, files=files)


def _maybe_contents(answers: Answers, size: int) -> bytes | None:
    try:
        return answers.slice(size, raw=True)
    except RefusedError as refusal:
        if refusal.fatal:
            raise
        return None
