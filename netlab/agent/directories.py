"""Private directories, and what is in them until they go."""

from __future__ import annotations

import errno
import os


def make_private_directory() -> str:
    """Make a directory that only this user can enter, where temporary files go.

    Raises:
        OSError: there is no place to make one; the last one's error.
    """
    failure = None
    for place in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"):
        path = os.path.join(place or "/tmp", "netlab-" + os.urandom(8).hex())
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            failure = error
        else:
            return path
    raise failure or OSError(errno.ENOENT, "no directory for temporary files")


def make_unlinked_file(directory: str) -> int:
    """Return the descriptor of a file that has no name any more: it is gone with its last user."""
    path = os.path.join(directory, "output")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return descriptor


def write_file(path: str, content: bytes) -> None:
    """Write a new file."""
    with open(path, "xb") as file:
        file.write(content)


def remove_tree(directory: str) -> None:
    """Remove a directory with what is in it, as far as this user may."""
    for parent, directories, files in os.walk(directory, topdown=False):
        for name in files + directories:
            remove(os.path.join(parent, name))
    remove(directory)


def remove(path: str) -> None:
    """Remove a file, a link or an empty directory; what can't be removed stays."""
    try:
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    except OSError:
        pass
