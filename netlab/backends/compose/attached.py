"""A running Compose project of somebody else's, as a lab: looked at and dialled from, never changed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from netlab.backends import Program
from netlab.backends.compose.engine import CLIENT_IMAGE, Engine, find_engine
from netlab.backends.compose.leftovers import labels
from netlab.backends.compose.project import ENGINE_HOST, PROJECT_LABEL, Project, read_project
from netlab.backends.compose.sidecar import SidecarChannel, start_sidecar
from netlab.errors import NetlabError
from netlab.facts import Engine as EngineFacts
from netlab.model import Topology

# What Compose says of a container: the files that its project came from, with commas between them.
_FILES_LABEL = "com.docker.compose.project.config_files"


class AttachedProject:
    """A running project as a lab, as a context manager. All that it adds are sidecars, gone when it is left.

    Args:
        wanted: the project's name, or its Compose file.

    Raises:
        BackendUnavailableError: no engine answers.
        NetlabError: no such project runs; the message lists those that do.
    """

    def __init__(self, wanted: str) -> None:
        self._engine = find_engine()
        self.name = _running(self._engine, wanted)
        self._labels = labels(secrets.token_hex(4), Path())
        self._project: Project = read_project(self._engine, self.name)

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the project as it is; sidecars end with the connection to them."""


def _running(engine: Engine, wanted: str) -> str:
    """Return the name of the running project that is meant."""
    files: dict[str, set[str]] = {}
    for container in engine.client.containers.list(filters={"label": PROJECT_LABEL}):
        own = files.setdefault(container.labels[PROJECT_LABEL], set())
        own.update(container.labels.get(_FILES_LABEL, "").split(","))
    if wanted in files:
        return wanted
    path = str(Path(wanted).resolve())
    for project, its in files.items():
        if path in its:
            return project
    running = f"running: {', '.join(sorted(files))}" if files else "no project is running"
    what = (
        f"the project of {wanted} is not running" if Path(wanted).is_file() else f"no project {wanted!r} runs"
    )
    raise NetlabError(f"{what}: start it with 'docker compose up --detach' ({running})")
