"""The labs of this user that are up on the engine, and the way into their containers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netlab.backends.compose.engine import CLIENT_IMAGE, Engine, docker_command, find_engine
from netlab.backends.compose.leftovers import OWNER_LABEL, RUN_LABEL, Owner, find_leftovers
from netlab.backends.compose.project import read_project
from netlab.errors import LabError

# As `docker exec` reports it: the program can't be run, or there is none.
_NO_PROGRAM = (126, 127)


@dataclass(frozen=True)
class RunningCompose:
    """A run's project that is up.

    Attributes:
        engine: where.
        id: the run's.
        process: whose run it is.
        machine: the engine's own machine, as a host.
        containers: the containers' ids, by host.
    """

    engine: Engine
    id: str
    process: Owner
    machine: str
    containers: Mapping[str, str]

    backend = "compose"

    @property
    def owner(self) -> int:
        """The process that has it up."""
        return self.process.process

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts, but for the engine's machine, which is this one."""
        return tuple(sorted(self.containers))

    def __str__(self) -> str:
        return f"{self.id}: running, process {self.owner}: {len(self.containers)} hosts on compose"

    def enter(self, host: str, argv: Sequence[str]) -> int:
        """Run a program in a container; or, where that has no shell, beside it, in its network.

        Args:
            host: one of `hosts`.
            argv: the program and its arguments; empty for a shell.

        Raises:
            LabError: the container is gone, or can't be entered.
        """
        docker = docker_command(self.engine)
        environment = {**os.environ, **self.engine.environment}
        container = self.containers[host]
        looked = subprocess.run(
            [*docker, "exec", container, "sh", "-c", ":"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if looked.returncode and looked.returncode not in _NO_PROGRAM:
            raise LabError(f"{host} of lab {self.id} can't be entered: {looked.stderr.strip()}")
        terminal = ("--interactive", "--tty") if sys.stdin.isatty() else ("--interactive",)
        where = ("exec", *terminal, container) if not looked.returncode else self._beside(container, terminal)
        command = [*docker, *where, *(argv or ("sh",))]
        return subprocess.run(command, env=environment, check=False).returncode

    def _beside(self, container: str, terminal: Sequence[str]) -> tuple[str, ...]:
        """Return the words that run a program in a container's network, with a sidecar's rights."""
        its = {RUN_LABEL: self.id, OWNER_LABEL: str(self.process)}
        labels = (word for label, value in its.items() for word in ("--label", f"{label}={value}"))
        return (
            *("run", "--rm", *terminal, "--network", f"container:{container}", "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges:true", "--read-only", "--pids-limit", "256"),
            *(*labels, "--pull", "never", "--entrypoint", "", CLIENT_IMAGE),
        )


def running_labs() -> list[RunningCompose]:
    """Return this user's labs that are up on the engine, in the order of their ids.

    Raises:
        BackendUnavailableError: no engine answers.
        LabError: it does not answer any more.
    """
    engine = find_engine()
    labs = []
    for left in find_leftovers(engine):
        if left.owner is None or not left.owner.alive or not _is_ours(left.owner.process):
            continue
        project = read_project(engine, f"netlab-{left.run}")
        if project.containers:
            labs.append(RunningCompose(engine, left.run, left.owner, project.engine.host, project.containers))
    return labs


def _is_ours(process: int) -> bool:
    try:
        return Path(f"/proc/{process}").stat().st_uid == os.geteuid()
    except OSError:
        return False
