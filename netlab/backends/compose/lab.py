"""The lab in containers: `compose.yaml` brought up for one run, and taken down after it."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ruamel.yaml import YAML

from netlab.backends import Program
from netlab.backends.compose.compose import ClashError, ComposeProject
from netlab.backends.compose.engine import CLIENT_IMAGE, Engine, find_engine, readiness
from netlab.backends.compose.leftovers import labels
from netlab.backends.compose.project import ENGINE_HOST, Project, read_project
from netlab.backends.compose.sidecar import SidecarChannel, start_sidecar
from netlab.errors import NetlabError
from netlab.experiments.plan import ComposeFile
from netlab.facts import Engine as EngineFacts
from netlab.model import Topology

PROJECT_PREFIX = "netlab-"

# How many runs of one file can be up at once: each has addresses and ports of its own.
_RUNS_AT_ONCE = 8
# Each run's networks begin this many further on: 198.18.1, 198.18.11, 198.18.21, ...
_STRIDE = 10
# Where the server's data is in the image (docker/Dockerfile).
_DATA = "/srv/hftp"


class ComposeLab:
    """A Compose file as a lab: its services are the hosts, and `host` is the engine's own machine.

    Args:
        wanted: a Compose file whose networks and ports can be moved by variables, as the project's own; and
            its servers, each of which is given a directory of its own to serve.

    Raises:
        NetlabError: the experiment describes its lab itself.
    """

    def __init__(self, wanted: Topology | ComposeFile) -> None:
        if not isinstance(wanted, ComposeFile):
            raise NetlabError("this experiment names no Compose file: run it with --backend netns")
        self._file, self._servers = wanted.path, wanted.servers
        self._run = secrets.token_hex(4)
        self._engine: Engine
        self._compose: ComposeProject | None = None
        self._project: Project
        self._directory: Path

    @property
    def hosts(self) -> tuple[str, ...]:
        """The services, and `host`."""
        return tuple(host.name for host in self._project.topology.hosts)

    @property
    def topology(self) -> Topology:
        """The containers and networks, as the engine made them."""
        return self._project.topology

    @property
    def engine(self) -> EngineFacts:
        """What the engine adds to the network."""
        return self._project.engine

    complete = True
    observers = (ENGINE_HOST,)

    def hftp(self, host: str) -> Program:
        """Return the HFTP program of the sidecars' image."""
        return Program(("hftp",))

    def python(self, host: str) -> str:
        """Return the Python of the sidecars' image; the host's own image is not asked for one."""
        return "python3"

    def spawn(self, host: str, argv: Sequence[str]) -> SidecarChannel:
        """Start a program in a sidecar in the host's network.

        Raises:
            LabError: the host is gone, or the program can't be started.
        """
        network = "host" if host == ENGINE_HOST else f"container:{self._project.containers[host].id}"
        return start_sidecar(self._engine.client, CLIENT_IMAGE, network, argv, self._labels)

    def offer(self, host: str, files: Mapping[str, str]) -> None:
        """Put files into the directory that a running server serves.

        Args:
            host: one of the servers.
            files: content by name.
        """
        for name, content in files.items():
            (self._directory / host / name).write_text(content, encoding="utf-8")

    def __enter__(self) -> Self:
        readiness()
        self._engine = find_engine()
        self._directory = Path(tempfile.mkdtemp(prefix="netlab-"))
        self._labels = labels(self._run, self._directory)
        try:
            self._prepare()
            self._up()
            self._project = read_project(self._engine, self._compose.name if self._compose else "")
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._down()

    def _prepare(self) -> None:
        """Write what this run adds to the Compose file: labels, and a directory to serve for each server."""
        self._directory.chmod(0o755)  # the servers run as a user of their own
        for server in self._servers:
            (self._directory / server).mkdir(mode=0o755)
        said = YAML(typ="safe").load(self._file)
        services: dict[str, dict[str, Any]] = {
            name: {"labels": self._labels} for name in said.get("services") or ()
        }
        for server in self._servers:
            services[server]["volumes"] = [f"{self._directory / server}:{_DATA}:ro"]
        networks = {name: {"labels": self._labels} for name in said.get("networks") or ()}
        added = {"services": services, "networks": networks}
        (self._directory / "run.json").write_text(json.dumps(added), encoding="utf-8")

    def _up(self) -> None:
        """Bring the project up where its addresses and ports are free: other runs may have the first."""
        for turn in range(_RUNS_AT_ONCE):
            self._compose = ComposeProject(
                engine=self._engine,
                name=f"{PROJECT_PREFIX}{self._run}",
                files=(self._file, self._directory / "run.json"),
                variables=_variables(turn),
            )
            try:
                self._compose.up()
            except ClashError:
                if turn == _RUNS_AT_ONCE - 1:
                    raise
                self._compose.down()
            else:
                return

    def _down(self) -> None:
        try:
            if self._compose is not None:
                self._compose.down()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)


def _variables(turn: int) -> dict[str, str]:
    """Return the variables of compose.yaml for the first run, the second, ..."""
    variables = {}
    for number, network in enumerate(("LAN", "BACK", "FAR", "ELSEWHERE"), start=1 + turn * _STRIDE):
        variables[f"NETLAB_{network}"] = f"198.18.{number}"
        variables[f"NETLAB_{network}6"] = f"2001:db8:{number}:"
    variables["NETLAB_PORTS"] = str(195 + 2 * turn)
    variables["NETLAB_OPEN_PORTS"] = str(196 + 2 * turn)
    return variables
