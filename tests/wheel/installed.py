"""The wheel, built from this checkout and installed into an environment that has nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WITHIN_S = 300


class NoIndexError(Exception):
    """The packages that the wheel needs can't be had here."""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it.

    Attributes:
        environment: its directory.
    """

    environment: Path

    @property
    def programs(self) -> Path:
        """Where its commands are."""
        return self.environment / "bin"

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of it in a directory, with nothing of this process's environment."""
        program, *others = arguments
        return subprocess.run(
            [str(self.programs / program), *others],
            cwd=folder,
            env={
                "PATH": f"{self.programs}:/usr/bin:/bin:/usr/sbin:/sbin",
                "HOME": str(folder),
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


def build(folder: Path) -> Path:
    """Build the wheel into a directory; return it."""
    _pip(
        Path(sys.executable),
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def new_environment(place: Path) -> Path:
    """Make an environment that has pip, and nothing else."""
    venv.create(place, with_pip=True)
    return place


def install(wheel: Path, environment: Path) -> Installed:
    """Install the wheel into an empty environment, and what it says it needs as the lock file has it.

    Raises:
        NoIndexError: pip can't have them.
    """
    locked = re.findall(r"^[a-z0-9.-]+==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    constraints = environment / "constraints.txt"
    constraints.write_text("\n".join(locked) + "\n")
    python = environment / "bin" / "python"
    try:
        _pip(python, "install", "--constraint", str(constraints), str(wheel))
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise NoIndexError(last) from None
    return Installed(environment)


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run(
        [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=_WITHIN_S,
    )
