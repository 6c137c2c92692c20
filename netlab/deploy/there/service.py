"""What runs the current release and keeps it running: what all the ways to do that have in common."""

from __future__ import annotations

import abc
import os
import sys

from netlab.deploy.there.checks import served_directory
from netlab.deploy.there.kernel import argv_of
from netlab.deploy.there.releases import PROGRAM, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


class Service(abc.ABC):
    """A way to run a release. What is defined here is so for releases that are a program, a file.

    Args:
        store: the releases.
    """

    method = ""
    # Whether it runs releases that are an image, and not those that are a program.
    runs_images = False

    def __init__(self, store: Store) -> None:
        self._store = store

    @abc.abstractmethod
    def pid(self) -> int:
        """Return the server's process; 0 if none runs."""

    def pids(self) -> set[int]:
        """Return all processes that serve for this deployment, also those that nobody supervises any more."""
        return {self.pid()} - {0}

    def since(self) -> float:
        """Return when the server was started, in seconds since the epoch; 0 if none runs."""
        try:
            return os.stat(f"/proc/{self.pid()}").st_mtime
        except OSError:
            return 0.0

    @abc.abstractmethod
    def restarts(self) -> int:
        """Return how often it ended by itself, since it was deployed or the host started."""

    @abc.abstractmethod
    def ended(self) -> str:
        """Return how it ended last."""

    @abc.abstractmethod
    def start(self) -> None:
        """Start the current release."""

    @abc.abstractmethod
    def stop(self) -> None:
        """End what runs."""

    def enable(self) -> str:
        """Have it started when the host starts; return why that is not possible."""
        return ""

    def disable(self) -> None:
        """Take that back."""

    @abc.abstractmethod
    def log(self, lines: int, cursor: str) -> Json:
        """Return the last lines that it printed, or what came after a cursor; and the next cursor."""

    def runs(self, pid: int, name: str) -> str:
        """Return what is wrong with a process that should run a release; empty if it does."""
        argv = argv_of(pid)
        if os.path.join(self._store.release(name), PROGRAM) in argv:
            return ""
        if "run" in argv or not argv:  # on its way to become the server
            return "it has not started yet"
        return "another release runs"

    def trial(self, name: str) -> list[str]:
        """Return the command that runs a release on a free port of 127.0.0.1, beside the one that runs."""
        serve = self._store.manifest(name)["serve"]
        argv = [sys.executable, "-I", os.path.join(self._store.release(name), PROGRAM), "serve"]
        argv += ["--address=127.0.0.1", "--port=0", f"--directory={served_directory(serve)}"]
        return [*argv, *serve.get("options", ())]

    def end_trial(self, name: str) -> None:
        """End what of that does not end with the command."""
