"""Fetching a whole directory: as fast as the connection, however long the round trip and small the files.

Theory of operation
-------------------
A small file takes three requests: its size, its contents, and its size again, to know that it has not changed
meanwhile. The second needs the first one's answer. So thousands of files are under way at a time: their first
requests are sent ahead, and when an answer comes, the other two follow, behind whatever was asked by then.
Answers come in the order of the requests, so a queue of what they are is all there is to remember::

    sent      size a, size b, size c ... contents a, size a, contents b, size b ...
    answered  ^

Large files, and files that an earlier try has begun, are fetched afterwards, one by one, by ``download()``.

Nothing is written outside the directory: names are checked, files are created relative to a descriptor of the
directory, and none that is there is opened.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hftp.client import BLOCK_BYTES, Client, checked_name, slice_request
from hftp.download import download, naming, part_name
from hftp.errors import AnswerError, DownloadError, HFTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# How many files are under way. With two round trips a file, 0.2 s each, 80,000 files a second are possible:
# more than a disk takes. A file under way is a name and a few numbers.
_FILES_AHEAD = 32_768

# What is fetched in one answer, and so held in memory once.
_SMALL_BYTES = BLOCK_BYTES


class MirrorError(HFTPError):
    """Some files of many could not be fetched; all others were.

    Attributes:
        failures: Each name, and what went wrong.
        count: How many files there were in all.
    """

    def __init__(self, failures: list[tuple[str, HFTPError]], count: int) -> None:
        super().__init__(failures, count)
        self.failures = failures
        self.count = count
        self.exit = failures[0][1].exit

    def __str__(self) -> str:
        name, error = self.failures[0]
        others = len(self.failures) - 1
        more = f" (and {others} more)" if others else ""
        return f"{len(self.failures)} of {self.count} files were not fetched: {name}: {error}{more}"


def mirror(
    client: Client,
    names: Iterable[str],
    directory: str | Path,
    *,
    raw: bool | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> None:
    """Fetch many files into a directory.

    Args:
        client: A connection; where the server ends it, others follow, and this one is closed.
        names: Of the files.
        directory: Where they go; it exists.
        raw: See ``Client.read_slice()``.
        jobs: How many connections fetch a large file.
        progress: Is told how many files are there, and how many there will be.

    Raises:
        MirrorError: Some files were not fetched.
        NameRefusedError: This can't be a name; nothing was fetched.
        HFTPError: The connection failed; files that were complete are there.
        OSError: A file can't be written.
    """
    wanted = [checked_name(name) for name in names]
    run = _Mirror(client, wanted, Path(directory), raw, jobs, progress)
    run.fetch()
    if run.failures:
        raise MirrorError(run.failures, len(wanted))


class _Mirror:
    def __init__(
        self,
        client: Client,
        names: list[str],
        directory: Path,
        raw: bool | None,
        jobs: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self.failures: list[tuple[str, HFTPError]] = []
        self._client = client
        self._names = names
        # A file that has the name of another one's .part must not be there while that one is fetched.
        parts = set(map(part_name, names))
        self._waiting = deque(name for name in names if name not in parts)
        self._last = sorted(parts.intersection(names), key=len)
        self._later: list[str] = []  # large files, and those that have been begun
        self._directory = directory
        self._raw = raw
        self._jobs = jobs
        self._progress = progress
        self._done = 0
        self._fd = -1

    def fetch(self) -> None:
        """Fetch all, with the client's connection, and others where it ends."""
        client = self._client
        self._progress(0, len(self._names))
        self._fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._fetch_all()
        finally:
            os.close(self._fd)
            if self._client is not client:
                self._client.close()

    def _fetch_all(self) -> None:
        """Fetch the small files, then the others. A fatal answer costs a file and a connection, no more."""
        while self._waiting:
            if not _Stream(self._client, self).run():
                self._reconnect()
        for name in (*self._later, *self._last):
            self._fetch_alone(name)

    def _fetch_alone(self, name: str) -> None:
        try:
            path = self._directory / name
            download(self._client, name, path, raw=self._raw, jobs=self._jobs)
        except (AnswerError, DownloadError) as error:
            self.fail(name, error)
            if isinstance(error, AnswerError) and error.status.fatal:
                self._reconnect()
        else:
            self.finish()

    def _reconnect(self) -> None:
        """Go on with a new connection; not beside the old one, for a server may attend only one at a time."""
        old = self._client
        old.close()
        self._client = Client(old.host, old.port, old.timeout_s)

    # What a stream asks and tells

    def form(self, client: Client, name: str) -> bool:
        """Say whether slices are asked for raw."""
        return client.knows_raw(name) if self._raw is None else self._raw

    def maybe_next(self) -> str | None:
        """Give the next name to ask for."""
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, names: Iterable[str]) -> None:
        """Take names back whose answers did not come."""
        self._waiting.extendleft(reversed(list(names)))

    def leave_for_later(self, name: str) -> None:
        """Have a file fetched on its own."""
        self._later.append(name)

    def was_begun(self, name: str) -> bool:
        """Say whether an earlier try has left a part of this file."""
        with suppress(FileNotFoundError):
            os.stat(part_name(name), dir_fd=self._fd, follow_symlinks=False)
            return True
        return False

    def keep(self, name: str, contents: bytes | bytearray) -> None:
        """Write a file, under its own name when it is whole."""
        part = part_name(name)
        try:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=self._fd)
        except FileExistsError:  # another process has begun it since
            self.leave_for_later(name)
            return
        try:
            with naming(self._directory / name), os.fdopen(fd, "wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.write(contents)
                file.flush()  # a disk that is nearly full takes a part without a word: here it is said
                os.rename(part, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSError:
            with suppress(OSError):
                os.unlink(part, dir_fd=self._fd)
            raise
        self.finish()

    def finish(self) -> None:
        """Count a file."""
        self._done += 1
        self._progress(self._done, len(self._names))

    def fail(self, name: str, error: HFTPError) -> None:
        """Note what went wrong with a file."""
        self.failures.append((name, error))


class _Stream:
    """The requests under way on one connection."""

    def __init__(self, client: Client, mirror: _Mirror) -> None:
        self._client = client
        self._mirror = mirror
        self._raw = False
        # What the coming answers are: a size, or (with the size) contents and once more a size.
        self._coming: deque[tuple[str, int | None]] = deque()

    def run(self) -> bool:
        """Fetch small files until none is left or the server ends the connection.

        Returns:
            Whether the connection is still of use.
        """
        first = self._mirror.maybe_next()
        if first is None:
            return True
        try:
            self._raw = self._mirror.form(self._client, first)
        except AnswerError as error:
            self._mirror.fail(first, error)
            return not error.status.fatal
        self._ask_size(first)
        while self._coming:
            while len(self._coming) < _FILES_AHEAD and (name := self._mirror.maybe_next()) is not None:
                self._ask_size(name)
            name, size = self._coming.popleft()
            try:
                self._take(name, size)
            except AnswerError as error:
                self._mirror.fail(name, error)
                if error.status.fatal:
                    self._mirror.put_back(name for name, _ in self._coming)
                    return False
        return True

    def _ask_size(self, name: str) -> None:
        self._client.send(f"get_metadata {name}")
        self._coming.append((name, None))

    def _take(self, name: str, size: int | None) -> None:
        if size is None:
            self._take_size(name)
        else:
            self._take_contents(name, size)

    def _take_size(self, name: str) -> None:
        size = self._client.take_size(f"get_metadata {name}")
        if size > _SMALL_BYTES or self._mirror.was_begun(name):
            self._mirror.leave_for_later(name)
            return
        self._client.send(slice_request(name, 0, size, raw=self._raw))
        self._client.send(f"get_metadata {name}")
        self._coming.append((name, size))

    def _take_contents(self, name: str, size: int) -> None:
        failure: AnswerError | None = None
        contents: bytes | bytearray = b""
        try:
            contents = b"".join(self._client.take_slice(slice_request(name, 0, size), size, raw=self._raw))
        except AnswerError as error:
            if error.status.fatal:
                raise
            failure = error  # the answer about its size comes all the same
        size_now = self._client.take_size(f"get_metadata {name}")
        if failure is not None:
            raise failure
        if size_now != size:
            why = f"{name} has changed on the server meanwhile: try again"
            self._mirror.fail(name, DownloadError(name, why))
            return
        self._mirror.keep(name, contents)
