"""A release: the program as one file, what keeps it running, and how it is to serve."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import hftp
from netlab.inventory.model import Serving
from netlab.zipapp import NAME, hftp_zipapp

# So much of a release's ID is shown.
_SHORT = 12
_SUPERVISOR = "supervisor.py"


def short(release: str) -> str:
    """Return what is shown of a release's ID."""
    return release[:_SHORT]


@dataclass(frozen=True)
class Release:
    """What a machine is to run.

    Attributes:
        program: the zipapp.
        addresses: where it listens.
        port: its TCP port.
        directory: what it serves.
        python: the interpreter that runs it.
        version: what the program calls itself.
    """

    program: bytes
    addresses: tuple[str, ...]
    port: int
    directory: str
    python: str
    version: str

    @property
    def serve(self) -> dict[str, object]:
        """How it serves, as the machine is told."""
        return {
            "addresses": list(self.addresses),
            "port": self.port,
            "directory": self.directory,
            "options": ["--log=-"],
        }

    @cached_property
    def manifest(self) -> str:
        """What a release says of itself: the digests of its files, and how it serves."""
        files = {NAME: _digest(self.program), _SUPERVISOR: _digest(self.supervisor.encode())}
        said = {"files": files, "python": self.python, "serve": self.serve, "version": self.version}
        return json.dumps(said, sort_keys=True, indent=1) + "\n"

    @cached_property
    def id(self) -> str:
        """The SHA-256 of the manifest, so of every byte and setting: another one is another release."""
        return _digest(self.manifest.encode())

    @cached_property
    def supervisor(self) -> str:
        """The source of what keeps the server running where no systemd does."""
        return Path(__file__).with_name(_SUPERVISOR).read_text(encoding="utf-8")


def release_for(serving: Serving, python: str, program: Path | None = None) -> Release:
    """Return the release that is to run on a machine.

    Args:
        serving: what the inventory says.
        python: the machine's interpreter.
        program: another zipapp than that of this very version.

    Raises:
        OSError: it can't be read.
    """
    content = program.read_bytes() if program is not None else hftp_zipapp()
    version = program.name if program is not None else hftp.__version__
    return Release(content, serving.addresses, serving.port, serving.directory, python, version)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
