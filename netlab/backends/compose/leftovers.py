"""What runs of netlab have on an engine, and its removal: for runs that were killed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from netlab.backends.compose.engine import Engine
from netlab.backends.compose.project import PROJECT_LABEL

# On everything that a run makes: its value is the run's id.
RUN_LABEL = "netlab.run"
# The process that a run belongs to: while it lives, its run is nobody else's to remove.
PROCESS_LABEL = "netlab.process"
# The run's directory on this machine.
DIRECTORY_LABEL = "netlab.directory"

_PROJECT = re.compile(r"netlab-([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a run has on the engine.

    Attributes:
        run: its id.
        process: the id of its process on this machine; 0 where that is not known.
        containers: their names, sidecars included.
        networks: their names.
        directory: where it keeps its files; empty where that is not known.
    """

    run: str
    process: int
    containers: tuple[str, ...]
    networks: tuple[str, ...]
    directory: str

    @property
    def alive(self) -> bool:
        """Whether the run's process is still there."""
        return self.process > 0 and Path(f"/proc/{self.process}").exists()


def find_leftovers(engine: Engine) -> list[Leftover]:
    """Return what runs have on the engine, in the order of their ids."""
    containers = list(engine.client.containers.list(all=True, ignore_removed=True))
    networks = list(engine.client.networks.list())
    runs = {run for thing in (*containers, *networks) for run in _runs(thing)}
    return [_leftover(run, containers, networks) for run in sorted(runs)]


def remove(engine: Engine, leftover: Leftover) -> None:
    """Remove all that a run has on the engine and on this machine. What is gone already is no error."""
    of_run = [
        thing
        for thing in engine.client.containers.list(all=True, ignore_removed=True)
        if leftover.run in _runs(thing)
    ]
    for container in of_run:
        with suppress(NotFound, APIError):
            container.remove(force=True, v=True)
    for network in engine.client.networks.list():
        if leftover.run in _runs(network):
            with suppress(NotFound):
                network.remove()
    for volume in engine.client.volumes.list():
        if leftover.run in _runs(volume):
            with suppress(NotFound):
                volume.remove(force=True)
    if _is_ours(leftover.directory):
        shutil.rmtree(leftover.directory, ignore_errors=True)


def labels(run: str, directory: Path) -> dict[str, str]:
    """Return the labels for what a run of this process makes."""
    return {RUN_LABEL: run, PROCESS_LABEL: str(os.getpid()), DIRECTORY_LABEL: str(directory)}


def _leftover(run: str, containers: Iterable[Any], networks: Iterable[Any]) -> Leftover:
    mine = [container for container in containers if run in _runs(container)]
    said: dict[str, str] = {}
    for container in mine:
        said.update(container.labels)
    process = said.get(PROCESS_LABEL, "")
    return Leftover(
        run=run,
        process=int(process) if process.isdigit() else 0,
        containers=tuple(container.name for container in mine),
        networks=tuple(network.name for network in networks if run in _runs(network)),
        directory=said.get(DIRECTORY_LABEL, ""),
    )


def _runs(thing: Any) -> Iterator[str]:
    """Yield the run that a container, a network or a volume belongs to, by its labels."""
    labels = thing.attrs.get("Labels") or (thing.attrs.get("Config") or {}).get("Labels") or {}
    if run := labels.get(RUN_LABEL):
        yield run
    elif project := _PROJECT.fullmatch(labels.get(PROJECT_LABEL, "")):
        yield project[1]


def _is_ours(directory: str) -> bool:
    """Whether a directory that a label names is one that a run makes: labels are anybody's to write."""
    path = Path(directory)
    return bool(directory) and path.parent == Path(tempfile.gettempdir()) and path.name.startswith("netlab-")
