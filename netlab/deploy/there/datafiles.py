"""The files to serve: compared by checksum, and replaced one by one, each in one step."""

from __future__ import annotations

import os
import stat

from netlab.deploy.there.checks import served_directory
from netlab.deploy.there.files import digest_of, free_bytes, remove, remove_tree, sync
from netlab.deploy.there.problems import ProblemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

# Where files arrive: on the same file system as those that are served, and a directory, so not served itself.
INCOMING = ".netlab-incoming"
NONCE_PREFIX = "netlab-nonce-"


def compare(request: Json) -> Json:
    """Say which files are missing here or other ones, and which are here alone."""
    directory = served_directory(request)
    wanted: dict[str, list[Any]] = request["files"]
    changed = [name for name, (size, digest) in wanted.items() if not is_file(directory, name, size, digest)]
    try:
        present = [entry.name for entry in os.scandir(directory) if entry.is_file(follow_symlinks=False)]
    except OSError:
        present = []
    extra = [name for name in present if name not in wanted and not name.startswith(NONCE_PREFIX)]
    return {"changed": changed, "extra": sorted(extra), "free": free_bytes(directory)}


def incoming(request: Json) -> Json:
    """Make room for files; return where they go: on the same file system, and not served."""
    directory = served_directory(request)
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, INCOMING)
    remove_tree(path)
    os.mkdir(path, 0o700)
    for entry in list(os.scandir(directory)):
        if entry.name.startswith(NONCE_PREFIX):
            remove(entry.path)
    return {"path": path}


def place(request: Json) -> Json:
    """Give uploaded files their names, each in one step, if they came over whole."""
    directory = served_directory(request)
    for name, digest in request["files"].items():
        path = os.path.join(directory, INCOMING, plain_name(name))
        came = digest_of(path)
        if came != digest:
            raise ProblemError(
                f"{name} did not come over whole: its SHA-256 is {came[:12]}, not {digest[:12]}"
            )
        os.chmod(path, 0o644)
        sync(path)
        os.replace(path, os.path.join(directory, name))
    sync(directory)
    if request["last"]:
        remove_tree(os.path.join(directory, INCOMING))
    return {}


def abandon(request: Json) -> Json:
    """Remove what has arrived and has no name yet, after a transfer that broke off: it may fill the disk."""
    remove_tree(os.path.join(served_directory(request), INCOMING))
    return {}


def delete(request: Json) -> Json:
    """Remove files from the data directory."""
    for name in request["names"]:
        remove(os.path.join(served_directory(request), plain_name(name)))
    return {}


def is_file(directory: str, name: str, size: int, digest: str) -> bool:
    """Whether a regular file has that content; one that can't be read has not.

    Args:
        directory: its directory.
        name: without a directory.
        size: in bytes.
        digest: the SHA-256 of its content, in hex.

    Raises:
        ProblemError: the name leads to another directory.
    """
    path = os.path.join(directory, plain_name(name))
    try:
        status = os.lstat(path)
        return stat.S_ISREG(status.st_mode) and status.st_size == size and digest_of(path) == digest
    except OSError:
        return False


def plain_name(name: str) -> str:
    """Return a file's name, which leads to no other directory.

    Raises:
        ProblemError: it does.
    """
    if name in ("", ".", "..", INCOMING) or "/" in name or "\0" in name:
        raise ProblemError(f"{name!r} is no file's name")
    return name
