"""What runs of netlab have on an engine, and its removal: after a run, and after a killed one.

Labels are anybody's to write: what they say is checked before anything follows from it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from netlab.backends.compose.engine import Engine, asking, short
from netlab.errors import LabError

# On everything that a run makes: its value is the run's id.
RUN_LABEL = "netlab.run"
# Whose run it is: while that process lives, the run is nobody else's to remove.
OWNER_LABEL = "netlab.owner"

_RUN = re.compile(r"[0-9a-f]{8}")
_OWNER = re.compile(r"(\d{1,10}) (\d{1,20}) ([A-Za-z0-9_.-]{1,64})")
# A run's directory: the run, and its process as in `Owner`, so that it is known from the first moment.
_DIRECTORY = re.compile(r"netlab-([0-9a-f]{8})-(\d{1,10})-(\d{1,20})-\w+")

# An engine that is busy needs a second or two to remove a container.
_GONE_WITHIN_S = 60.0
# A command that was killed may have asked the engine for something that is there only now.
_SETTLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that a run belongs to.

    Attributes:
        process: its id.
        started: when it started, in ticks since its machine did (proc(5), starttime): ids are given again.
        machine: its machine's name.
    """

    process: int
    started: int
    machine: str

    def __str__(self) -> str:
        return f"{self.process} {self.started} {self.machine}"

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.machine == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether it still runs, on this machine."""
        return self.here and _started(self.process) == self.started


def this_process() -> Owner:
    """Return this process as an owner of runs."""
    return Owner(os.getpid(), _started(os.getpid()) or 0, socket.gethostname())


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a run has on the engine.

    Attributes:
        run: its id.
        owner: the process that it belongs to; None where no label says so.
        containers: their names, sidecars included.
        networks: their names.
        volumes: their names.
        directory: where it keeps its files; None where there is none on this machine.
    """

    run: str
    owner: Owner | None
    containers: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    directory: Path | None

    @property
    def abandoned(self) -> bool:
        """Whether nobody is there any more to remove it. Of a process on another machine, nobody can say."""
        return self.owner is None or (self.owner.here and not self.owner.alive)

    def __str__(self) -> str:
        held = (("container", self.containers), ("network", self.networks), ("volume", self.volumes))
        what = ", ".join(f"{len(names)} {kind}{'s' * (len(names) != 1)}" for kind, names in held if names)
        return f"{self.run}: {self._whose()}: {what or 'a directory'}"

    def _whose(self) -> str:
        if self.abandoned or self.owner is None:
            return "left behind"
        where = "" if self.owner.here else f" on {self.owner.machine}"
        return f"running, process {self.owner.process}{where}"


def labels(run: str) -> dict[str, str]:
    """Return the labels for what a run of this process makes."""
    return {RUN_LABEL: run, OWNER_LABEL: str(this_process())}


def new_directory(run: str) -> Path:
    """Make a directory for a run's files, and return its path."""
    owner = this_process()
    return Path(tempfile.mkdtemp(prefix=f"netlab-{run}-{owner.process}-{owner.started}-"))


def find_leftovers(engine: Engine) -> list[Leftover]:
    """Return what runs have on the engine and on this machine, in the order of their ids.

    Raises:
        LabError: the engine does not answer.
    """
    directories = _directories()
    by_run: dict[str, list[_Holding]] = {run: [] for run in directories}
    for holding in _holdings(engine, RUN_LABEL):
        if _RUN.fullmatch(run := holding.labels.get(RUN_LABEL, "")):
            by_run.setdefault(run, []).append(holding)
    return [_leftover(run, its, directories.get(run)) for run, its in sorted(by_run.items())]


def remove(engine: Engine, leftover: Leftover) -> None:
    """Remove all that a run has on the engine and on this machine. What is gone already is no error.

    Raises:
        LabError: something is left.
    """
    remove_run(engine, leftover.run, settle=True)
    if leftover.directory is not None:
        shutil.rmtree(leftover.directory, ignore_errors=True)


def remove_run(engine: Engine, run: str, *, settle: bool) -> None:
    """Remove all that a run has on the engine, until nothing is there.

    Args:
        engine: where.
        run: its id.
        settle: look again a little later: a command that was killed may have left work to the engine.

    Raises:
        LabError: something is left.
    """
    deadline = time.monotonic() + _GONE_WITHIN_S
    while True:
        found = _holdings(engine, f"{RUN_LABEL}={run}")
        with asking(engine):
            problems = [problem for holding in found if (problem := holding.remove())]
        if not found:
            if not settle:
                return
            settle = False
            time.sleep(_SETTLE_S)
        elif time.monotonic() > deadline:
            why = f": {problems[0]}" if problems else ""
            raise LabError(f"{found[0].name} of run {run} can't be removed{why}")


def is_of_run(directory: Path, run: str) -> bool:
    """Whether a path is that of a directory that `new_directory` made for that run, for this user."""
    inside = directory.parent == Path(tempfile.gettempdir()) and directory.name.startswith(f"netlab-{run}-")
    try:
        there = directory.lstat()
    except (OSError, ValueError):
        return False
    return inside and stat.S_ISDIR(there.st_mode) and there.st_uid == os.geteuid()


@dataclass(frozen=True)
class _Holding:
    """A container, a network or a volume: its name, its labels, how it is removed."""

    kind: str
    name: str
    labels: Mapping[str, str]
    removal: Callable[[], None]

    def remove(self) -> str:
        """Remove it, and return what speaks against that: it is being removed, or somebody still uses it."""
        try:
            self.removal()
        except NotFound:
            return ""
        except APIError as error:
            return short(error)
        return ""


def _holdings(engine: Engine, label: str) -> list[_Holding]:
    """Return everything on the engine that has a label: containers first, as they use the others."""
    with asking(engine):
        return list(_each_holding(engine, {"label": label}))


def _each_holding(engine: Engine, filters: dict[str, str]) -> Iterator[_Holding]:
    api: Any = engine.client.api
    for said in api.containers(all=True, filters=filters):
        identity = str(said["Id"])
        name = said["Names"][0].lstrip("/") if said["Names"] else identity[:12]
        removal = partial(api.remove_container, identity, force=True, v=True)
        yield _Holding("container", name, said["Labels"] or {}, removal)
    for said in api.networks(filters=filters):
        yield _Holding("network", said["Name"], said["Labels"] or {}, partial(api.remove_network, said["Id"]))
    for said in api.volumes(filters=filters)["Volumes"] or ():
        removal = partial(api.remove_volume, said["Name"], force=True)
        yield _Holding("volume", said["Name"], said["Labels"] or {}, removal)


def _directories() -> dict[str, Path]:
    """Return the runs' directories on this machine, by run."""
    there = Path(tempfile.gettempdir()).glob("netlab-*")
    found = {match[1]: path for path in there if (match := _DIRECTORY.fullmatch(path.name))}
    return {run: path for run, path in found.items() if is_of_run(path, run)}


def _leftover(run: str, holdings: Iterable[_Holding], directory: Path | None) -> Leftover:
    named: dict[str, list[str]] = {"container": [], "network": [], "volume": []}
    said: dict[str, str] = {}
    for holding in holdings:
        named[holding.kind].append(holding.name)
        said.update(holding.labels)
    owner = read_owner(said.get(OWNER_LABEL, ""))
    if owner is None and directory is not None and (match := _DIRECTORY.fullmatch(directory.name)):
        owner = Owner(int(match[2]), int(match[3]), socket.gethostname())
    return Leftover(
        run=run,
        owner=owner,
        containers=tuple(named["container"]),
        networks=tuple(named["network"]),
        volumes=tuple(named["volume"]),
        directory=directory,
    )


def read_owner(said: str) -> Owner | None:
    """Return the owner that a label names; None where it names none."""
    found = _OWNER.fullmatch(said)
    return Owner(int(found[1]), int(found[2]), found[3]) if found else None


def _started(process: int) -> int | None:
    """Return when a process of this machine started; 0 where that can't be told; None where none is there."""
    try:
        # proc(5), /proc/pid/stat: the 22nd field; the second, in parentheses, may contain anything.
        return int(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return 0
