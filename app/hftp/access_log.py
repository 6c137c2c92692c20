"""The access log: a line for each request, when its answer was taken or the client has left."""

from __future__ import annotations

import os
import stat
import time

from hftp import streams
from hftp.errors import LogError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FORMATS = ("text", "json")

# Standard error.
STDERR = "-"

# O_NONBLOCK: opening a FIFO that nobody reads would hold up the start, whatever the signal, and at SIGHUP
# every client. So it is ENXIO: fifo(7).
_OPEN_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK

# A request is logged up to here. A line stays below PIPE_BUF (4096), so that lines of several processes
# don't mix in a pipe: pipe(7).
_MOST_COMMAND_BYTES = 1024


class Entry:
    """A request, and what became of it.

    Attributes:
        at: When it was made, in seconds since 1970.
        peer: Who made it: address and port.
        command: The request line; None for what was none.
        code: What it was answered.
        bytes: How long the answer was, as far as it was taken.
        seconds: How long it took, from the end of the request to the end of the answer.
        whole: Whether the answer was taken whole.
    """

    __slots__ = ("at", "began", "begins", "bytes", "code", "command", "peer", "seconds", "whole")

    def __init__(self, peer: str, command: str | None, code: int, begins: int) -> None:
        self.at = time.time()
        self.began = time.monotonic()
        self.peer = peer
        self.command = command
        self.code = code
        self.begins = begins  # where the answer begins, in all that the client takes
        self.bytes = 0
        self.seconds = 0.0
        self.whole = True


class Recorder:
    """Follows one client's requests.

    Args:
        log: Where their lines go.
        peer: The client's address and port.
    """

    __slots__ = ("_entries", "_log", "_peer")

    def __init__(self, log: AccessLog, peer: str) -> None:
        self._log = log
        self._peer = peer
        self._entries: list[Entry] = []

    def answer(self, tokens: list[bytes] | None, answer: bytes, begins: int) -> None:
        """Note a request.

        Args:
            tokens: Of the request line; None for what was none.
            answer: The beginning of the answer.
            begins: How many bytes the client gets before it.
        """
        command = None if tokens is None else b" ".join(tokens)[:_MOST_COMMAND_BYTES].decode("ascii")
        self._entries.append(Entry(self._peer, command, int(answer.partition(b" ")[0]), begins))

    def taken(self, count: int, whole: bool) -> None:
        """Note what the client has taken.

        Args:
            count: How many bytes in all.
            whole: Whether the last answer is complete with that.
        """
        if whole:
            self._write(count)
        elif len(self._entries) > 1:
            last = self._entries.pop()
            self._write(last.begins)
            self._entries.append(last)

    def end(self, count: int) -> None:
        """Note that the client has left: what it has not taken, it won't.

        Args:
            count: How many bytes it has taken in all.
        """
        for entry in self._entries:
            entry.whole = False
        self._write(count)

    def _write(self, count: int) -> None:
        ends = [entry.begins for entry in self._entries[1:]] + [count]
        now = time.monotonic()
        for entry, end in zip(self._entries, ends):
            entry.bytes = max(0, min(end, count) - entry.begins)
            entry.seconds = now - entry.began
            self._log.write(entry)
        self._entries.clear()


class AccessLog:
    """A file, or standard error, with a line for each request.

    Args:
        path: Of the file, which is appended to; ``-`` for standard error.
        form: One of ``FORMATS``.
        say: Is told in a line when lines are lost, once.

    Raises:
        LogError: The file can't be opened.
    """

    def __init__(self, path: str, form: str, say: Callable[[str], None]) -> None:
        self._path = path
        self._line = _json_line if form == "json" else _text_line
        self._say = say
        self._lost = False
        self._descriptor = self._open()
        self._may_block = not stat.S_ISREG(os.fstat(self._descriptor).st_mode)

    def _open(self) -> int:
        if self._path == STDERR:
            return streams.STDERR
        try:
            return os.open(self._path, _OPEN_FLAGS, 0o640)
        except OSError as error:
            raise LogError(self._path, error.errno or 0) from error

    def reopen(self) -> None:
        """Open the file anew: it was renamed, to begin another one. If that fails, the old one goes on."""
        if self._path == STDERR:
            return
        try:
            descriptor = self._open()
        except LogError as error:
            self._say(str(error))
            return
        os.dup2(descriptor, self._descriptor, inheritable=False)
        os.close(descriptor)

    def recorder(self, address: Any) -> Recorder:
        """Begin to follow a client."""
        from hftp.listen import format_address

        return Recorder(self, format_address(address))

    def write(self, entry: Entry) -> None:
        """Write a line, or lose it: a full disk, or a reader that has stopped reading, stops no client."""
        try:
            line = self._line(entry).encode("ascii")
            if not self._may_block or streams.has_room(self._descriptor):
                os.write(self._descriptor, line)
                self._lost = False
                return
            why = "nobody reads it"
        except OSError as error:
            why = error.strerror or ""
        except MemoryError:
            why = "out of memory"
        if not self._lost:
            self._lost = True
            self._say(f"lines of the access log are lost: {why}")


def _time(at: float) -> str:
    milliseconds = int(at * 1000)
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{second}.{milliseconds % 1000:03d}Z"


def _text_line(entry: Entry) -> str:
    command = "-" if entry.command is None else _quote(entry.command)
    end = "" if entry.whole else " cut"
    return f"{_time(entry.at)} {entry.peer} {command} {entry.code} {entry.bytes} {entry.seconds:.6f}{end}\n"


def _json_line(entry: Entry) -> str:
    command = "null" if entry.command is None else _quote(entry.command)
    return (
        f'{{"time": "{_time(entry.at)}", "peer": "{entry.peer}", "command": {command}, '
        f'"code": {entry.code}, "bytes": {entry.bytes}, "seconds": {entry.seconds:.6f}, '
        f'"whole": {"true" if entry.whole else "false"}}}\n'
    )


def _quote(text: str) -> str:
    """Quote printable ASCII, as JSON does (RFC 8259, 7): nothing a client sends can begin another line."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
