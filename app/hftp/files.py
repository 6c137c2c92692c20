"""The data directory: which files there are, how long they are, and what is in them.

Everything is opened relative to a descriptor of the directory, and judged by what was opened, not by a
path that may name something else by then. So there is no gap between the check and the use.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from contextlib import suppress

from hftp.constants import EOL
from hftp.errors import BrokenAnswerError, DirectoryError
from hftp.limits import MEMORY_BYTES
from hftp.protocol import is_name

TYPE_CHECKING = False  # importing typing takes longer than all of this package
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType
    from typing import NoReturn

# O_NONBLOCK: a FIFO that replaces a file must not block the open. O_NOCTTY: nor a terminal become ours.
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_OPEN_DIRECTORY_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY

# What the system says of a name for which there is no regular file: a missing one, a loop of links or a
# link put in a file's place, a link through a file, a name too long, a socket.
_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO})

# How many directory entries are read, and how many names are sent, before others have their turn: about
# a millisecond's work.
_LISTING_STEP = 1000


# The bits of st_mode that tell a file from a directory: inode(7), S_IFMT.
_KIND = 0o170000

# What a name takes in memory beside its bytes: a bytes object and its place in a list.
_NAME_COST_BYTES = 41


class MemoryLimitError(OSError):
    """Listings that clients have not taken yet hold as much as they may."""


class NoSuchFileError(Exception):
    """No regular file has this name."""


class File:
    """An open regular file.

    Args:
        descriptor: Of the file, open for reading.
        status: What the system says of it.
        kept: Where it goes when it is closed.

    Attributes:
        size: In bytes, when it was opened.
        descriptor: For those who can send it without reading it.
    """

    __slots__ = ("_kept", "descriptor", "identity", "size")

    def __init__(self, descriptor: int, status: os.stat_result, kept: Kept) -> None:
        self.descriptor = descriptor
        self.size = status.st_size
        self.identity = _identity(status)
        self._kept = kept

    def read(self, offset: int, count: int) -> bytes:
        """Read exactly so many bytes.

        Args:
            offset: Where they begin, in bytes.
            count: How many.

        Returns:
            ``count`` bytes.

        Raises:
            BrokenAnswerError: The file has become shorter, or can't be read.
        """
        try:
            piece = os.pread(self.descriptor, count, offset)
            while len(piece) < count:
                more = os.pread(self.descriptor, count - len(piece), offset + len(piece))
                if not more:
                    raise BrokenAnswerError(f"the file ends at {offset + len(piece)}, not at {self.size}")
                piece += more
        except OSError as error:
            raise BrokenAnswerError(f"the file can't be read: {error.strerror}") from error
        return piece

    def close(self) -> None:
        """Give the descriptor back, now or a little later."""
        self._kept.put(self)


class Kept:
    """The file that was closed last, open a little longer: who asks for a slice often asks for the next.

    What a name stands for is looked at for each request; spared is to open the same file, unchanged, again.
    Threads may share it.
    """

    def __init__(self) -> None:
        self._files: deque[File] = deque()  # one at most, but for a moment

    def put(self, file: File) -> None:
        """Keep a file instead of the one before."""
        self._files.append(file)
        if len(self._files) > 1:
            self.drop()

    def maybe_take(self, status: os.stat_result) -> File | None:
        """Give the file back to use, if it is the one that the system says this of.

        The owner and the mode, and the time of the last change, are the same: so it could still be opened.
        """
        try:
            file = self._files.pop()
        except IndexError:
            return None
        if file.identity == _identity(status):
            return file
        os.close(file.descriptor)
        return None

    def drop(self) -> None:
        """Close the file, if there is one."""
        with suppress(IndexError):
            os.close(self._files.popleft().descriptor)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Tell files, and the states of a file, apart. While a file is open, no other has its number."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_ctime_ns,
    )


class Moment:
    """A time in which a size that was found is not looked for again. A context manager.

    Whoever begins one has taken the requests that it answers in it before: then each size is as it was at
    some time between the request and its answer, which is all that anyone could see. It ends before anything
    else is taken.

    Attributes:
        sizes: Of files, by name; None when it is not such a time.
    """

    __slots__ = ("sizes",)

    def __init__(self) -> None:
        self.sizes: dict[bytes, int] | None = None

    def __enter__(self) -> None:
        self.sizes = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sizes = None

    def forget(self) -> None:
        """Look for sizes again: a slice has been made.

        Who asks for it and, behind it, for the file's size wants to know whether that has changed meanwhile.
        """
        if self.sizes:
            self.sizes.clear()


class DataDirectory:
    """The directory whose files are served.

    It is held open: renamed, it is still the one that is served.

    Args:
        path: Of the directory.
        listing_bytes: What listings that are being made and sent may hold in all.

    Attributes:
        moment: For those who answer several requests at a time.
        kept: The file that was closed last. Whoever serves the directory has it dropped now and then.

    Raises:
        DirectoryError: It can't be opened, read or searched.
    """

    def __init__(self, path: str, listing_bytes: int = MEMORY_BYTES) -> None:
        self.moment = Moment()
        self.kept = Kept()
        self._listing_bytes = listing_bytes
        self._held: dict[object, int] = {}  # by listing that is being made or sent, in bytes
        try:
            self._path = os.path.realpath(os.fsencode(path))
            self._descriptor = os.open(self._path, _OPEN_DIRECTORY_FLAGS)
            if not os.access(self._path, os.R_OK | os.X_OK):
                os.close(self._descriptor)
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise DirectoryError(path, error.errno or 0) from error

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptors back."""
        self.kept.drop()
        os.close(self._descriptor)

    def size(self, name: bytes) -> int:
        """Tell a file's size. Nothing is opened for this, so a file that can't be read has one, too.

        Args:
            name: A name that ``is_name()`` accepts.

        Returns:
            In bytes.

        Raises:
            NoSuchFileError: There is no such regular file.
            OSError: The directory can't be searched.
        """
        sizes = self.moment.sizes
        if sizes is not None and name in sizes:
            return sizes[name]
        status = self._status(name)
        size = status.st_size if status.st_mode & _KIND == stat.S_IFREG else self._target_size(name)
        if sizes is not None:
            sizes[name] = size
        return size

    def _target_size(self, link: bytes) -> int:
        file = self.open(link)
        file.close()
        return file.size

    def open(self, name: bytes) -> File:
        """Open a file.

        Args:
            name: A name that ``is_name()`` accepts.

        Returns:
            The file, to be closed by the caller.

        Raises:
            NoSuchFileError: There is no such regular file, or a symbolic link leads outside or nowhere.
            OSError: It can't be opened: permissions, or no descriptor is left.
        """
        status = self._status(name)
        kind = status.st_mode & _KIND
        if kind == stat.S_IFREG:
            return self.kept.maybe_take(status) or self._open_regular(name, self._descriptor)
        if kind == stat.S_IFLNK:
            return self._open_target(name)
        # Not even tried: opening a FIFO wakes its writers, opening a device may do anything.
        raise NoSuchFileError

    def _status(self, name: bytes) -> os.stat_result:
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except OSError as error:
            _raise_no_such_file(error)

    def _open_target(self, link: bytes) -> File:
        """Open what a symbolic link leads to, walking there from the directory without following any link.

        The path may be outdated when it is walked; what is opened is inside the directory all the same.
        """
        prefix = self._path.rstrip(b"/") + b"/"
        target = os.path.realpath(prefix + link)
        if not target.startswith(prefix):
            raise NoSuchFileError
        *directories, name = target[len(prefix) :].split(b"/")
        descriptor = os.dup(self._descriptor)
        try:
            for directory in directories:
                parent, descriptor = descriptor, _open_directory(directory, descriptor)
                os.close(parent)
            if not stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                raise NoSuchFileError
            return self._open_regular(name, descriptor)
        except OSError as error:
            _raise_no_such_file(error)
        finally:
            os.close(descriptor)

    def _open_regular(self, name: bytes, directory: int) -> File:
        try:
            descriptor = os.open(name, _OPEN_FLAGS, dir_fd=directory)
        except OSError as error:
            _raise_no_such_file(error)
        status = os.fstat(descriptor)
        if status.st_mode & _KIND != stat.S_IFREG:  # replaced since it was looked at
            os.close(descriptor)
            raise NoSuchFileError
        return File(descriptor, status, self.kept)

    def listing(self) -> Generator[bytes, None, None]:
        """Make the body of a listing, a piece at a time.

        Returns:
            Pieces of names, each ended by CRLF, sorted, and the empty line. Empty pieces come while the
            directory is being read. Close it to give the descriptor, and what it holds, back early.

        Raises:
            OSError: The directory can't be read, or listings hold as much as they may. While the pieces are
                made: BrokenAnswerError.
        """
        if sum(list(self._held.values())) >= self._listing_bytes:
            raise MemoryLimitError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        # A descriptor of its own: the position in a directory belongs to the open file.
        descriptor = os.open(b".", _OPEN_DIRECTORY_FLAGS, dir_fd=self._descriptor)
        if os.fstat(descriptor).st_nlink == 0:  # removed: readdir(3) would just say that it is empty
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        pieces = self._listing_pieces(descriptor)
        next(pieces)  # so that close() finds it inside its try
        return pieces

    def _listing_pieces(self, descriptor: int) -> Generator[bytes, None, None]:
        listing = object()
        try:
            self._held[listing] = 0
            names = yield from self._read_names(descriptor, listing)
            names.sort()
            for start in range(0, len(names), _LISTING_STEP):
                yield EOL.join([*names[start : start + _LISTING_STEP], b""])
            yield EOL
        finally:
            del self._held[listing]

    def _read_names(self, descriptor: int, listing: object) -> Generator[bytes, None, list[bytes]]:
        names = []
        try:
            yield b""
            with os.scandir(descriptor) as entries:
                for number, entry in enumerate(entries, 1):
                    name = os.fsencode(entry.name)
                    if is_name(name) and self._is_served(name, entry):
                        names.append(name)
                        self._held[listing] += len(name) + _NAME_COST_BYTES
                    if number % _LISTING_STEP == 0:
                        yield b""
        except OSError as error:
            raise BrokenAnswerError(f"the directory can't be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
        return names

    def _is_served(self, name: bytes, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink():
            return entry.is_file(follow_symlinks=False)
        try:
            self.size(name)
        except (NoSuchFileError, OSError):
            return False
        return True


def _open_directory(name: bytes, directory: int) -> int:
    return os.open(name, _OPEN_DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=directory)


def _raise_no_such_file(error: OSError) -> NoReturn:
    """Tell an error that means 202 from one that means 199."""
    if error.errno in _NO_SUCH_FILE:
        raise NoSuchFileError from error
    raise error
