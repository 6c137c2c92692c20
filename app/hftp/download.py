"""Fetching a file: `NAME.part` first, `NAME` when it is whole.

What makes resuming safe
------------------------
- ``NAME.part`` is always the *beginning* of the file, without holes, however it came to be unfinished. So
  with several connections the blocks are fetched side by side, but written in order: a connection waits,
  with its block in memory, until those before it are written.
- Before a ``.part`` is continued, its first and its last 64 KiB are fetched again and compared; where they
  differ, or it is longer than the file is now, it is begun anew. (HFTP has no checksum and no date: a
  change between them that leaves both alike is not seen. Delete the ``.part`` to be sure.)
- The size is asked again at the end; where it has changed, the file is not renamed.
- Two processes can't write one ``.part``: it is locked.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hftp.client import BLOCK_BYTES, Client, checked_name, slice_request
from hftp.constants import MAX_NAME_BYTES
from hftp.errors import DownloadError, HFTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[int, int], None]

# How many blocks each of several connections asks for ahead, so that a round trip costs nothing. Few: what is
# fetched out of turn waits in the system's buffers until those before it are written.
_BLOCKS_AHEAD = 8

# How much of each end of a .part is compared: a round trip's worth.
_COMPARED_BYTES = 64 * 1024


def download(
    client: Client,
    name: str,
    path: str | Path | None = None,
    *,
    raw: bool | None = None,
    jobs: int = 1,
    progress: Progress = lambda done, size: None,
) -> Path:
    """Fetch a file, resuming what an earlier try has left in ``PATH.part``.

    Args:
        client: A connection to a server that has it.
        name: Of the file.
        path: Where it goes; by default its name, in the current directory.
        raw: See ``Client.read_slice()``.
        jobs: How many connections fetch it, this one among them.
        progress: Is told how many bytes are there, and how many there will be.

    Returns:
        The path.

    Raises:
        DownloadError: The file changed meanwhile, another process fetches it, or PATH is a device, say.
        OSError: It can't be written.
        HFTPError: An answer does not come, or is none.
    """
    target = Path(checked_name(name) if path is None else path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise DownloadError(str(target), "is no regular file, and would be replaced by one: see  hftp cat")
    part = target.with_name(part_name(target.name))
    size = client.size(name)
    with naming(part), _open_part(part) as file:
        have = _usable_bytes(client, name, size, file)
        file.truncate(have)
        file.seek(have)
        progress(have, size)
        if jobs == 1 or size - have <= BLOCK_BYTES:
            for piece in client.iter_range(name, have, size - have, raw):
                file.write(piece)
                progress(file.tell(), size)
        else:
            form = client.knows_raw(name) if raw is None else raw
            _Blocks(name, have, size, file, form, progress).fetch(client, jobs)
        file.flush()
        if client.size(name) != size:
            raise DownloadError(
                str(part), f"{name} has changed on the server meanwhile: delete this, try again"
            )
        part.replace(target)
    return target


def part_name(name: str) -> str:
    """Name the unfinished file.

    Args:
        name: Of the file.

    Returns:
        ``NAME.part``; where that would be too long for a file's name, a short one that is this file's alone.
    """
    part = f"{name}.part"
    encoded = part.encode("utf-8", "surrogateescape")
    if len(encoded) <= MAX_NAME_BYTES:
        return part
    return f"{name[:64]}~{zlib.crc32(encoded):08x}.part"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an error of the system say which file it is about: write() does not.

    Args:
        path: Of the file.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def _open_part(part: Path) -> Iterator[BinaryIO]:
    """Open and lock a .part, a new one or what is left of an old one."""
    while True:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DownloadError(str(part), "another process is fetching this: wait for it") from error
            # Between open and lock, the other process may have completed and renamed it.
            if part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
                yield file
                return


def _usable_bytes(client: Client, name: str, size: int, file: BinaryIO) -> int:
    """Say how much of a .part is the beginning of what the server has."""
    have = os.fstat(file.fileno()).st_size
    if have > size:
        return 0
    count = min(have, _COMPARED_BYTES)
    for offset in {0, have - count} if count else ():
        file.seek(offset)
        if file.read(count) != client.read_slice(name, offset, count):
            return 0
    return have


class _NotAttendedError(Exception):
    """The server has no time for one more connection: the others do its part."""


class _Blocks:
    """The rest of a file, fetched by several connections and written in order."""

    def __init__(
        self, name: str, start: int, size: int, file: BinaryIO, raw: bool, progress: Progress
    ) -> None:
        self._name = name
        self._size = size
        self._file = file
        self._raw = raw
        self._progress = progress
        self._next = start  # where the next block to be fetched begins
        self._written = start  # where the next block to be written begins
        self._turn = threading.Condition()  # guards these two, and tells that one has changed
        self._error: BaseException | None = None  # the first one; it ends everyone's work
        self._newcomers: set[Client] = set()  # connections that have had no answer yet
        self._is_over = False

    def fetch(self, client: Client, jobs: int) -> None:
        """Fetch all with this connection, and so many more."""
        threads = [
            threading.Thread(target=self._work_apart, args=(client,), daemon=True) for _ in range(jobs - 1)
        ]
        for thread in threads:
            thread.start()
        with self._sharing_errors():
            self._work(client)
        with self._turn:
            self._is_over = True
            for own in self._newcomers:
                own.abort()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _work_apart(self, client: Client) -> None:
        with self._sharing_errors(), suppress(_NotAttendedError), self._another(client) as own:
            self._work(own)

    @contextmanager
    def _another(self, client: Client) -> Iterator[Client]:
        """Connect once more, and see whether the server attends that, too: not every server does."""
        try:
            own = Client(client.host, client.port, client.timeout_s)
        except HFTPError as error:
            raise _NotAttendedError from error
        try:
            with self._turn:
                self._newcomers.add(own)
                if self._is_over:
                    own.abort()
            try:
                own.size(self._name)
            except HFTPError as error:
                raise _NotAttendedError from error
            with self._turn:
                self._newcomers.remove(own)
            yield own
            own.quit()
        finally:
            own.close()

    @contextmanager
    def _sharing_errors(self) -> Iterator[None]:
        """Let an error here end everyone's work."""
        try:
            yield
        except BaseException as error:
            with self._turn:
                self._error = self._error or error
                self._turn.notify_all()
            if not isinstance(error, Exception):  # Ctrl-C: don't wait for the others
                raise

    def _work(self, client: Client) -> None:
        ahead: deque[tuple[int, int, str]] = deque()
        while True:
            while len(ahead) < _BLOCKS_AHEAD and (block := self._maybe_claim()):
                request = slice_request(self._name, *block, raw=self._raw)
                client.send(request)
                ahead.append((*block, request))
            if not ahead or self._error is not None:
                return
            offset, count, request = ahead.popleft()
            self._write_in_turn(offset, b"".join(client.take_slice(request, count, raw=self._raw)))

    def _maybe_claim(self) -> tuple[int, int] | None:
        """Give the offset and the size of the next block that nobody fetches yet, or None after the last."""
        with self._turn:
            offset = self._next
            self._next += BLOCK_BYTES
        return (offset, min(BLOCK_BYTES, self._size - offset)) if offset < self._size else None

    def _write_in_turn(self, offset: int, block: bytes) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._written == offset or self._error is not None)
            if self._error is None:
                self._file.write(block)
                self._written += len(block)
                self._progress(self._written, self._size)
                self._turn.notify_all()
