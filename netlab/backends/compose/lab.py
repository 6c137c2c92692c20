"""The lab in containers: `compose.yaml` brought up for one run, and taken down after it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from netlab.backends.compose.compose import ClashError, ComposeProject
from netlab.backends.compose.containers import Containers
from netlab.backends.compose.engine import ready_engine
from netlab.backends.compose.interrupts import deferred
from netlab.backends.compose.leftovers import labels, new_directory, remove_run
from netlab.backends.compose.project import read_project
from netlab.errors import LabError, NetlabError
from netlab.experiments.plan import ComposeFile
from netlab.model import Topology

PROJECT_PREFIX = "netlab-"

# How many runs of one file can be up at once: each has addresses and ports of its own.
_RUNS_AT_ONCE = 8
# Each run's networks begin this many further on: 198.18.1, 198.18.11, 198.18.21, ...
_STRIDE = 10
# Where the server's data is in the image (docker/Dockerfile).
DATA = "/srv/hftp"


class ComposeLab(Containers):
    """A Compose file as a lab: its services are the hosts, and `host` is the engine's own machine.

    Args:
        wanted: a Compose file whose networks and ports can be moved by variables, as the project's own; and
            its servers, each of which is given a directory of its own to serve.
        directory: of no use here: containers see files of their own.

    Raises:
        NetlabError: the experiment describes its lab itself.
    """

    def __init__(self, wanted: Topology | ComposeFile, directory: Path = Path()) -> None:
        if not isinstance(wanted, ComposeFile):
            raise NetlabError("this experiment names no Compose file: run it with --backend netns")
        self._file, self._servers = wanted.path, wanted.servers
        self._run = secrets.token_hex(4)
        self._directory: Path | None = None
        self._interrupted = True  # until it is up

    def offer(self, host: str, files: Mapping[str, str]) -> None:
        """Put files into the directory that a running server serves.

        Args:
            host: one of the servers.
            files: content by name.
        """
        assert self._directory is not None, "the lab is up"
        for name, content in files.items():
            (self._directory / host / name).write_text(content, encoding="utf-8")

    def __enter__(self) -> Self:
        self._engine = ready_engine()
        try:
            self._directory = new_directory(self._run)
            self._labels = labels(self._run)
            self._write_additions(self._directory)
            self._up()
            self._project = read_project(self._engine, self._name)
        except BaseException:
            self._down()
            raise
        self._interrupted = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._down()

    @property
    def _name(self) -> str:
        return f"{PROJECT_PREFIX}{self._run}"

    def _compose(self, turn: int, *additions: Path) -> ComposeProject:
        return ComposeProject(self._engine, self._name, (self._file, *additions), _variables(turn))

    def _write_additions(self, directory: Path) -> None:
        """Write what this run adds to the Compose file: labels, and a directory to serve for each server.

        Raises:
            NetlabError: the file is none, or has no such server.
        """
        directory.chmod(0o755)  # the servers run as a user of their own
        said = self._compose(0).config()
        services: dict[str, dict[str, Any]] = {
            name: {"labels": self._labels} for name in said.get("services") or ()
        }
        for server in self._servers:
            if server not in services:
                there = ", ".join(services)
                raise NetlabError(f"{self._file}: no service is called {server!r}: there is {there}")
            (directory / server).mkdir(mode=0o755, exist_ok=True)
            services[server]["volumes"] = [f"{directory / server}:{DATA}:ro"]
        added = {"services": services} | {
            kind: {
                name: {"labels": self._labels}
                for name, settings in (said.get(kind) or {}).items()
                if not (settings or {}).get("external")  # not ours to label
            }
            for kind in ("networks", "volumes")
        }
        _additions(directory).write_text(json.dumps(added), encoding="utf-8")

    def _up(self) -> None:
        """Bring the project up where its addresses and ports are free: other runs may have the first."""
        assert self._directory is not None
        for turn in range(_RUNS_AT_ONCE):
            project = self._compose(turn, _additions(self._directory))
            try:
                project.up()
            except ClashError:
                if turn == _RUNS_AT_ONCE - 1 or not self._moves():
                    raise
                project.down()
            else:
                return

    def _moves(self) -> bool:
        """Whether the file has other addresses or ports for other runs."""
        return self._compose(0).config() != self._compose(1).config()

    def _down(self) -> None:
        """Remove all of the run. What Compose could not remove, in order, is removed by its labels.

        Raises:
            LabError: something is left.
        """
        with deferred():
            try:
                if self._directory is not None and _additions(self._directory).exists():
                    with suppress(LabError):
                        self._compose(0, _additions(self._directory)).down()
                remove_run(self._engine, self._run, settle=self._interrupted)
            finally:
                if self._directory is not None:
                    shutil.rmtree(self._directory, ignore_errors=True)
                self._engine.client.close()


def _additions(directory: Path) -> Path:
    return directory / "run.json"


def _variables(turn: int) -> dict[str, str]:
    """Return the variables of compose.yaml for the first run, the second, ..."""
    variables = {}
    for number, network in enumerate(("LAN", "BACK", "FAR", "ELSEWHERE"), start=1 + turn * _STRIDE):
        variables[f"NETLAB_{network}"] = f"198.18.{number}"
        variables[f"NETLAB_{network}6"] = f"2001:db8:{number}:"
    variables["NETLAB_PORTS"] = str(195 + 2 * turn)
    variables["NETLAB_OPEN_PORTS"] = str(196 + 2 * turn)
    return variables
