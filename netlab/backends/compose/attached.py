"""A running Compose project of somebody else's, as a lab: looked at and dialled from, never changed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from netlab.backends.compose.containers import Containers
from netlab.backends.compose.engine import CLIENT_IMAGE, Engine, asking, check_images, find_engine
from netlab.backends.compose.interrupts import deferred
from netlab.backends.compose.leftovers import labels, remove_run
from netlab.backends.compose.project import PROJECT_LABEL, read_project
from netlab.errors import NetlabError
from netlab.printable import printable

# What Compose says of a container: the files that its project came from, with commas between them.
_FILES_LABEL = "com.docker.compose.project.config_files"


class AttachedProject(Containers):
    """A running project as a lab, as a context manager. All that it adds are sidecars, gone when it is left.

    Args:
        wanted: the project's name, or its Compose file.

    Raises:
        BackendUnavailableError: no engine answers, or it lacks the sidecars' image.
        NetlabError: no such project runs; the message lists those that do.
        LabError: the engine does not answer any more.
    """

    def __init__(self, wanted: str) -> None:
        self._engine = find_engine()
        check_images(self._engine, CLIENT_IMAGE)
        self.name = _running(self._engine, wanted)
        self._run = secrets.token_hex(4)
        self._labels = labels(self._run)
        self._project = read_project(self._engine, self.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the project is no host of the lab, and why."""
        return self._project.notes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the project as it is, and wait until the sidecars are gone."""
        with deferred():
            remove_run(self._engine, self._run, settle=kind is not None)
            self._engine.client.close()


def _running(engine: Engine, wanted: str) -> str:
    """Return the name of the running project that is meant."""
    with asking(engine):
        api: Any = engine.client.api
        containers = api.containers(filters={"label": PROJECT_LABEL})
    files: dict[str, set[str]] = {}
    for said in containers:
        own = files.setdefault(said["Labels"][PROJECT_LABEL], set())
        own.update(said["Labels"].get(_FILES_LABEL, "").split(","))
    if wanted in files:
        return wanted
    path = str(Path(wanted).resolve())
    of_file = sorted(project for project, its in files.items() if path in its)
    if len(of_file) == 1:
        return of_file[0]
    if of_file:
        raise NetlabError(f"{wanted} runs as several projects: name one of {_listed(of_file)}")
    running = f"running: {_listed(files)}" if files else "no project is running"
    what = (
        f"the project of {wanted} is not running" if Path(wanted).is_file() else f"no project {wanted!r} runs"
    )
    raise NetlabError(f"{what}: start it with 'docker compose up --detach' ({running})")


def _listed(projects: Iterable[str]) -> str:
    """Return names in a line: a label may be anything."""
    return ", ".join(printable(project) for project in sorted(projects))
