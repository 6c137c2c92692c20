"""The Compose command line: up, and down again, with errors that say what to do."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from docker.errors import DockerException

from netlab.backends.compose.engine import Engine
from netlab.errors import LabError

# Images are there already (`make images`); health checks take a second or two.
_UP_WITHIN_S = 180
_DOWN_WITHIN_S = 120

# What Compose or the engine says, and what to do about it. Group 1 is named in the message.
_REMEDIES = (
    (r"No such image: (\S+)|pull access denied for (\S+?),", "make the images: 'make images'"),
    (
        r"Pool overlaps|pool overlaps",
        "another network has these addresses: 'netlab down', or 'docker network ls'",
    ),
    (
        r"port is already allocated|address already in use",
        "another program has a port that is to be published",
    ),
    (r"container (\S+) is unhealthy", "see its last lines"),
    (
        r"Cannot connect to the Docker daemon|connection refused|broken pipe|EOF",
        "is the engine still running?",
    ),
)
_CLASHES = re.compile(r"[Pp]ool overlaps|port is already allocated|address already in use")


class ClashError(LabError):
    """Addresses or ports that the project needs are taken."""


@dataclass(frozen=True)
class ComposeProject:
    """A project that the Compose command can bring up and take down.

    Attributes:
        engine: where.
        name: the project's; it keeps two runs of one file apart.
        files: the Compose files, the later ones over the earlier.
        variables: for the files' `${NAME}`.
    """

    engine: Engine
    name: str
    files: Sequence[Path]
    variables: Mapping[str, str]

    def up(self) -> None:
        """Start everything, and wait until it is healthy.

        Raises:
            ClashError: addresses or ports are taken.
            LabError: it did not come up, and why.
        """
        done = self._run(
            _UP_WITHIN_S, "up", "--detach", "--wait", "--quiet-pull", "--no-build", "--pull", "never"
        )
        if done.returncode:
            raise self._failure(done.stderr)

    def down(self) -> None:
        """Remove everything of the project, also of one that came up only in part.

        Raises:
            LabError: something is left.
        """
        done = self._run(_DOWN_WITHIN_S, "down", "--volumes", "--remove-orphans", "--timeout", "2")
        if done.returncode:
            raise LabError(
                f"the project {self.name} can't be taken down: {_last(done.stderr)}; try 'netlab down'"
            )

    def _run(self, within_s: float, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.engine.compose, "--project-name", self.name, "--ansi", "never"]
        for file in self.files:
            command += ["--file", str(file)]
        environment = {**os.environ, **self.engine.environment, **self.variables}
        try:
            return subprocess.run(
                [*command, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=within_s,
                check=False,
                start_new_session=True,  # Ctrl-C is ours to handle: what is up has to come down
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"docker compose {arguments[0]} took more than {within_s:.0f} s") from None

    def _failure(self, said: str) -> LabError:
        kind = ClashError if _CLASHES.search(said) else LabError
        for pattern, remedy in _REMEDIES:
            if found := re.search(pattern, said):
                named = next((group for group in found.groups() if group), "")
                return kind(f"docker compose up: {_last(said)}; {remedy}{self._log(named)}")
        return kind(f"docker compose up: {_last(said)}")

    def _log(self, container: str) -> str:
        """Return the last lines that an unhealthy container wrote, if it is one that is named."""
        if not container.startswith(self.name):
            return ""
        with suppress(DockerException):
            said = self.engine.client.containers.get(container).logs(tail=3)
            return ": " + " / ".join(said.decode(errors="replace").split("\n")).strip(" /")
        return ""


def _last(said: str) -> str:
    """Return the line that tells the reason: the last one, without the prefixes that say nothing."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return re.sub(r"^(Error response from daemon: |Error )", "", lines[-1]) if lines else "it said nothing"
