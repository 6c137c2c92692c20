"""The Compose command line: what a project consists of, up, and down again."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException

from netlab.backends.compose.engine import Engine
from netlab.backends.compose.refusals import Refusal, explain, last_line
from netlab.errors import LabError, NetlabError

_CONFIG_WITHIN_S = 30
# Images are there already (`make images`); health checks take a second or two.
_UP_WITHIN_S = 180
_DOWN_WITHIN_S = 120
# A program that does not end when it is told to is ended after as long.
_GRACE_S = "2"

# Of what a container wrote, as much is told.
_LOG_LINES = 3
_LOG_COLUMNS = 200

_PR_SET_PDEATHSIG = 1  # prctl(2)
_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only


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

    def config(self) -> dict[str, Any]:
        """Return what the files say, as Compose understands them.

        Raises:
            NetlabError: it does not.
        """
        done = self._run(_CONFIG_WITHIN_S, "config", "--format", "json")
        if done.returncode:
            raise NetlabError(f"{self.files[0]}: {last_line(done.stderr)}")
        said: dict[str, Any] = json.loads(done.stdout)
        return said

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
            refusal = explain(done.stderr)
            kind = ClashError if refusal.elsewhere else LabError
            raise kind(f"docker compose up: {refusal}{self._last_words(refusal)}")

    def down(self) -> None:
        """Remove everything of the project, also of one that came up only in part.

        Raises:
            LabError: something is left.
        """
        done = self._run(_DOWN_WITHIN_S, "down", "--volumes", "--remove-orphans", "--timeout", _GRACE_S)
        if done.returncode:
            raise LabError(f"docker compose down: {explain(done.stderr)}")

    def _run(self, within_s: float, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.engine.compose, "--project-name", self.name, "--ansi", "never"]
        for file in self.files:
            command += ["--file", str(file)]
        environment = {**os.environ, **self.engine.environment, **self.variables}
        with subprocess.Popen(
            [*command, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is ours to handle: what is up has to come down
            preexec_fn=_end_with_this_process,
        ) as process:
            try:
                said, complained = process.communicate(timeout=within_s)
            except BaseException as error:
                # With it end the programs that it started: Compose may be a plugin of `docker`.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise LabError(f"docker compose {arguments[0]} took more than {within_s:.0f} s") from None
                raise
            return subprocess.CompletedProcess(process.args, process.returncode, said, complained)

    def _last_words(self, refusal: Refusal) -> str:
        """Return what a container last wrote, and what its health check said, if it is one that is named."""
        if not refusal.container:
            return ""
        try:
            container = self.engine.client.containers.get(refusal.container)
            lines = container.logs(tail=_LOG_LINES).decode(errors="replace").splitlines()
            checks = (container.attrs["State"].get("Health") or {}).get("Log") or ()
        except (DockerException, OSError):
            return ""
        checked = str(checks[-1].get("Output", "")).strip().splitlines() if checks else []
        words = [("its last lines", lines), ("its health check", checked[-1:])]
        return "".join(f"; {title}: {_one_line(said)}" for title, said in words if said)


def _end_with_this_process() -> None:
    """Ask the kernel to end Compose with this process, even by SIGKILL: else it would finish its work."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _one_line(lines: Sequence[str]) -> str:
    shown = (line.strip()[:_LOG_COLUMNS] for line in lines)
    return " / ".join("".join(c if c.isprintable() else "?" for c in line) for line in shown if line)
