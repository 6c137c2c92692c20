"""CI runners, as far as one machine can be one: they read a job's file and run its commands.

What a runner does is taken from its maker's documentation: which shell, with which options, in which
directory, with which variables. What is no command is done here: a checkout is a copy of the project, an
artifact is what is found under the path that the job names. What pip installs is a wheel of this checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.wheel.installed import ROOT, Installed, NoIndexError

JOBS = ROOT / "docs" / "ci"
_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WITHIN_S = 300


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        code: of the command that failed, 0 if none did.
        log: what its commands printed.
        artifacts: what it keeps, by name.
    """

    code: int
    log: str
    artifacts: Mapping[str, Path]


@dataclass
class Runner(ABC):
    """A machine that runs jobs. What it installs stays, so that a second job need not.

    Attributes:
        machine: a directory for all that it needs.
        wheel: what stands for the package that the job installs.
        image: for those that run jobs in containers.
        path: directories with programs, before the system's.
    """

    machine: Path
    wheel: Path
    image: Installed
    path: list[str] = field(default_factory=list)

    def run(self, project: Path, around: Sequence[str] = ()) -> Ended:
        """Run the job in a checkout of a project of its own.

        Args:
            project: where its files are.
            around: a command that runs each of the job's.

        Raises:
            NoIndexError: pip can't have what the wheel needs.
        """
        workspace = self.machine / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.copytree(project, workspace)
        code, log = self._commands(workspace, around)
        artifacts = {
            path.name: path
            for name in self.kept()
            for path in sorted((workspace / name).rglob("*"))
            if path.is_file()
        }
        return Ended(code, log, artifacts)

    @abstractmethod
    def kept(self) -> tuple[str, ...]:
        """Return the paths of what is kept, in the workspace."""

    @abstractmethod
    def _commands(self, workspace: Path, around: Sequence[str]) -> tuple[int, str]:
        """Run the job's commands; return the exit code of the one that failed, and what they printed."""

    def _shell(
        self, argv: Sequence[str], workspace: Path, variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell with nothing of this process's environment but how pip gets at its index."""
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        home = self.machine / "home"
        home.mkdir(exist_ok=True)
        return subprocess.run(
            argv,
            cwd=workspace,
            env={
                "PATH": os.pathsep.join([*self.path, _SYSTEM]),
                "HOME": str(home),
                "LANG": "C.UTF-8",
                "CI": "true",
                "PIP_CACHE_DIR": str(Path("~/.cache/pip").expanduser()),
                "PIP_CONSTRAINT": str(self._constraints()),
                "PIP_NO_COMPILE": "1",  # what is not imported need not be
                **pip,
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_WITHIN_S,
        )

    def _constraints(self) -> Path:
        """Return what says which versions are meant: those of the lock file."""
        file = self.machine / "constraints.txt"
        locked = re.findall(r"^[a-z0-9.-]+==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
        file.write_text("\n".join(locked) + "\n")
        return file


def read(name: str) -> Any:
    """Return what a job's file says."""
    return YAML(typ="safe").load((JOBS / name).read_text(encoding="utf-8"))


def _installed(done: subprocess.CompletedProcess[str]) -> None:
    """Complain if pip could not install.

    Raises:
        NoIndexError: it could not.
    """
    if done.returncode:
        raise NoIndexError((done.stdout.strip().splitlines() or ["pip failed"])[-1])


class GitHub(Runner):
    """GitHub Actions: a `run` step is a file for `bash -e`; what it adds to GITHUB_PATH, the next ones have.

    Source: GitHub's workflow syntax, `jobs.<job_id>.steps[*].shell`; its default environment variables.
    """

    # What is an action is done by `run` (checkout) and `kept` (upload-artifact), and by nobody else.
    ACTIONS = re.compile(r"actions/(checkout|upload-artifact)@v\d+")
    INSTALLS = "Install netlab"

    def kept(self) -> tuple[str, ...]:
        """Return the paths of what is kept: of steps that run though one before failed."""
        uploads = [
            step for step in self._steps() if step.get("uses", "").startswith("actions/upload-artifact@")
        ]
        return tuple(step["with"]["path"] for step in uploads if step["if"] == "${{ !cancelled() }}")

    def _steps(self) -> list[dict[str, Any]]:
        (job,) = read("netlab.github.yml")["jobs"].values()
        assert job["env"] == {"NETLAB": "${{ vars.NETLAB || 'hftp-netlab' }}"}
        return list(job["steps"])

    def _commands(self, workspace: Path, around: Sequence[str]) -> tuple[int, str]:
        log = ""
        for step in self._steps():
            if "run" not in step:
                assert self.ACTIONS.fullmatch(step["uses"]), f"nobody here does {step['uses']}"
                continue
            if step["name"] == self.INSTALLS and self.path:
                continue
            done = self._step(step, workspace, around)
            log += done.stdout
            if step["name"] == self.INSTALLS:
                _installed(done)
            if done.returncode:
                return done.returncode, log
        return 0, log

    def _step(
        self, step: Mapping[str, Any], workspace: Path, around: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        assert set(step) == {"name", "run"}, "a step that is no plain one"
        assert "${{" not in step["run"], "an expression in a script is an injection"
        temporary = self.machine / "temp"
        temporary.mkdir(exist_ok=True)
        script, added = temporary / "step.sh", temporary / "path"
        script.write_text(step["run"])
        added.write_text("")
        variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_PATH": str(added),
            "GITHUB_WORKSPACE": str(workspace),
            "NETLAB": str(self.wheel),
            "RUNNER_TEMP": str(temporary),
        }
        done = self._shell([*around, "bash", "-e", str(script)], workspace, variables)
        self.path[:0] = added.read_text().split()
        return done


class GitLab(Runner):
    """GitLab CI with the docker executor: the lines of a job are one script for bash.

    The job's image is `image`, an environment with Python and pip. `before_script` is run once.

    Source: GitLab's CI/CD YAML reference, `before_script`, `script`, `artifacts`.
    """

    def kept(self) -> tuple[str, ...]:
        """Return the paths of what is kept, of a job that failed, too."""
        kept = self._job()["artifacts"]
        assert kept["when"] == "always"
        assert all(kept["reports"]["junit"].startswith(f"{path}/") for path in kept["paths"])
        return tuple(kept["paths"])

    def _job(self) -> dict[str, Any]:
        (job,) = read("netlab.gitlab-ci.yml").values()
        return dict(job)

    def _commands(self, workspace: Path, around: Sequence[str]) -> tuple[int, str]:
        job = self._job()
        if not self.path:
            self.path.append(str(self.image.programs))
            _installed(self._script(job["before_script"], workspace, ()))
        done = self._script(job["script"], workspace, around)
        return done.returncode, done.stdout

    def _script(
        self, lines: Sequence[str], workspace: Path, around: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        script = "\n".join(["set -eo pipefail", *lines])
        variables = {"GITLAB_CI": "true", "CI_PROJECT_DIR": str(workspace), "NETLAB": str(self.wheel)}
        return self._shell([*around, "bash", "-c", script], workspace, variables)


class Shell(Runner):
    """Whatever runs a script: it is called where the project is."""

    def kept(self) -> tuple[str, ...]:
        """Return where the script writes, if nothing else is said."""
        return ("netlab-results",)

    def _commands(self, workspace: Path, around: Sequence[str]) -> tuple[int, str]:
        program = self.machine / "home" / ".cache" / "netlab" / "bin" / "netlab"
        began_without = not program.exists()
        script = str(JOBS / "netlab.sh")
        done = self._shell([*around, "sh", script], workspace, {"NETLAB": str(self.wheel)})
        if began_without and not program.exists():
            _installed(done)
        return done.returncode, done.stdout


RUNNERS: dict[str, type[Runner]] = {
    "netlab.github.yml": GitHub,
    "netlab.gitlab-ci.yml": GitLab,
    "netlab.sh": Shell,
}


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that the environment of the tests has."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=60)
