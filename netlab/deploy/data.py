"""The files to serve, as they are here: what a machine's data directory is made equal to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hftp.protocol import is_name
from netlab.errors import NetlabError
from netlab.printable import printable


@dataclass(frozen=True, slots=True)
class Data:
    """A directory's files.

    Attributes:
        files: path by name.
        sizes: in bytes, by name.
        digests: SHA-256 in hex, by name.
        left_out: names that HFTP can't serve, directories, links that lead out of this one; made printable.
    """

    files: Mapping[str, Path]
    sizes: Mapping[str, int]
    digests: Mapping[str, str]
    left_out: tuple[str, ...]

    def described(self) -> dict[str, tuple[int, str]]:
        """Return size and digest by name."""
        return {name: (self.sizes[name], self.digests[name]) for name in self.files}


def read_data(directory: Path) -> Data:
    """Read what is in a directory.

    Raises:
        NetlabError: it can't be read.
    """
    try:
        root, found = directory.resolve(), sorted(directory.iterdir())
        files = {path.name: path for path in found if _is_served(path, root)}
        sizes = {name: path.stat().st_size for name, path in files.items()}
        digests = {name: _digest(path) for name, path in files.items()}
    except OSError as error:
        raise NetlabError(f"--data {error.filename or directory}: {error.strerror}") from None
    left_out = tuple(printable(path.name) for path in found if path.name not in files)
    return Data(files, sizes, digests, left_out)


def _is_served(path: Path, root: Path) -> bool:
    """Whether `hftp serve` would serve it from here: a link that leads elsewhere is none of its files."""
    return is_name(os.fsencode(path.name)) and path.is_file() and path.resolve().is_relative_to(root)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
