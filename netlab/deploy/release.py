"""A release: what is to run on a machine, and how it is to serve.

There are two kinds, and what is done with them is the same (`rollout`): a program, one file that systemd or
our supervisor runs, here; and an image, of which a container is made, in `netlab.deploy.image`.
"""

from __future__ import annotations

import abc
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import hftp
from netlab.deploy.answers import Done, Place
from netlab.inventory.model import Serving
from netlab.zipapp import NAME, hftp_zipapp

if TYPE_CHECKING:
    from netlab.deploy.machine import DeployedMachine

# So much of a release's ID is shown.
_SHORT = 12
MANIFEST, _SUPERVISOR = "release.json", "supervisor.py"
# What the server is told besides addresses, port and directory.
OPTIONS = ("--log=-",)


def short(release: str) -> str:
    """Return what is shown of a release's ID."""
    return release[:_SHORT]


@dataclass(frozen=True)
class Release(abc.ABC):
    """What a machine is to run: what both kinds have in common.

    Attributes:
        serving: how it is to serve, as the inventory says.
        version: what it calls itself.
    """

    serving: Serving
    version: str

    @property
    def directory(self) -> str:
        """What it serves, as the inventory names it."""
        return self.serving.directory

    @property
    def serve(self) -> dict[str, object]:
        """How it serves, as the machine is told."""
        return {
            "addresses": list(self.serving.addresses),
            "port": self.serving.port,
            "directory": self.serving.directory,
            "options": list(OPTIONS),
        }

    @cached_property
    def manifest(self) -> str:
        """What a release says of itself: what it consists of, by digest, and how it serves."""
        said = {**self.contents, "serve": self.serve, "version": self.version}
        return json.dumps(said, sort_keys=True, indent=1) + "\n"

    @cached_property
    def id(self) -> str:
        """The SHA-256 of the manifest, so of every byte and setting: another one is another release."""
        return digest(self.manifest.encode())

    @property
    @abc.abstractmethod
    def contents(self) -> dict[str, object]:
        """What it consists of, for the manifest."""

    @property
    @abc.abstractmethod
    def needs(self) -> dict[str, object]:
        """What a machine must have for it: `bytes` of disk, and what else that kind asks for."""

    @property
    def described(self) -> dict[str, object]:
        """What a machine is told of it when it is asked what stands against it."""
        return {"release": self.id, "serve": self.serve, **self.needs}

    @abc.abstractmethod
    def send(self, machine: DeployedMachine) -> None:
        """Put it on a machine, beside the others: whole and verified, or not at all.

        Raises:
            MachineError: that failed.
        """


@dataclass(frozen=True)
class ProgramRelease(Release):
    """A program in one file, and what keeps it running where no systemd does.

    Attributes:
        program: the zipapp.
        python: the interpreter that runs it.
    """

    program: bytes
    python: str

    @property
    def contents(self) -> dict[str, object]:
        """The digests of its files, and its interpreter."""
        files = {NAME: digest(self.program), _SUPERVISOR: digest(self.supervisor.encode())}
        return {"files": files, "python": self.python}

    @property
    def needs(self) -> dict[str, object]:
        """The bytes that travel."""
        return {"bytes": len(self.program)}

    @cached_property
    def supervisor(self) -> str:
        """The source of what keeps the server running."""
        return Path(__file__).with_name(_SUPERVISOR).read_text(encoding="utf-8")

    def send(self, machine: DeployedMachine) -> None:
        """Send it by SFTP."""
        place = machine.ask(Place, "receive", {"release": self.id}).path
        machine.put(f"{place}/{NAME}", self.program)
        texts = {MANIFEST: self.manifest, _SUPERVISOR: self.supervisor}
        machine.ask(Done, "install", {"release": self.id, "texts": texts})


def release_for(serving: Serving, python: str, program: Path | None = None) -> ProgramRelease:
    """Return the program that is to run on a machine.

    Args:
        serving: what the inventory says.
        python: the machine's interpreter.
        program: another zipapp than that of this very version.

    Raises:
        OSError: it can't be read.
    """
    content = program.read_bytes() if program is not None else hftp_zipapp()
    version = program.name if program is not None else hftp.__version__
    return ProgramRelease(serving, version, content, python)


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()
