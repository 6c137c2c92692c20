"""Files: where they are, how much room there is, and how they are written whole."""

from __future__ import annotations

import hashlib
import os
import shutil

PIECE_BYTES = 1 << 18
SHARED_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "afs", "ceph", "9p")


def data_home() -> str:
    """Return where an account's programs keep their files (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_DATA_HOME", "")
    return named if os.path.isabs(named) else os.path.join(os.path.expanduser("~"), ".local", "share")


def file_system_of(path: str) -> str:
    """Return the kind of file system a path is on: of the longest mount point above it (proc(5))."""
    best, kind = "", ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                fields = line.split()
                point = fields[4]
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, fields[fields.index("-") + 1]
    except (OSError, ValueError, IndexError):
        pass
    return kind


def base_directory() -> str:
    """Return the deployment's directory; where a home is shared between hosts, each has one of its own."""
    base = os.path.join(os.path.realpath(data_home()), "netlab")
    if file_system_of(base) in SHARED_FILE_SYSTEMS:
        return os.path.join(base, "on-" + os.uname().nodename)
    return base


def nearest(path: str) -> str:
    """Return the longest part of a path that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """Return what an ordinary user may still write there (statvfs(3))."""
    status = os.statvfs(nearest(path))
    return status.f_bavail * status.f_frsize


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file, in hex.

    Raises:
        OSError: it can't be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE_BYTES), b""):
            digest.update(piece)
    return digest.hexdigest()


def write_whole(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file by another name, and rename it: there whole or not at all, even after a power cut.

    Args:
        path: its path; `PATH.new` is written over.
        content: of it.
        mode: its permissions, as far as the umask lets them be.

    Raises:
        OSError: the disk is full, or the directory may not be written.
    """
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    sync(os.path.dirname(path))


def sync(path: str) -> None:
    """Have the disk remember a file, or a directory's names (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: str) -> None:
    """Remove a directory, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
