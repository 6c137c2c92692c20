"""A container engine, the images, and the lab of compose.yaml: what these tests are about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.requirements import unavailable

ROOT = Path(__file__).parents[2]

_NETWORKS = ("LAN", "BACK", "FAR", "ELSEWHERE")


def places(number: int, ports: int) -> dict[str, str]:
    """Give a lab addresses and ports of its own, so that it can stand beside another.

    Args:
        number: the third octet of the first network's addresses; the others' follow.
        ports: how the ports published on 127.0.0.1 begin; the others' begin with the next number.
    """
    return {
        **{f"NETLAB_{name}": f"198.18.{number + n}" for n, name in enumerate(_NETWORKS)},
        **{f"NETLAB_{name}6": f"2001:db8:{number + n}:" for n, name in enumerate(_NETWORKS)},
        "NETLAB_PORTS": str(ports),
        "NETLAB_OPEN_PORTS": str(ports + 1),
    }


class Engine:
    """The engine that netlab uses, by the `docker` command."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `docker` with these words, to whatever end."""
        return subprocess.run(
            ["docker", *words],
            cwd=ROOT,
            env={**self.environment, **variables},
            text=True,
            capture_output=True,
            timeout=120,
        )

    def __call__(self, *words: str, **variables: str) -> str:
        """Run `docker` with these words; return what it says, without the last newline."""
        done = self.run(*words, **variables)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout.rstrip("\n")

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of a container or an image."""
        described: list[dict[str, Any]] = json.loads(self("inspect", name))
        return described[0]

    def holds(self, project: str) -> set[str]:
        """List what a project has here: its containers and networks, and every volume (some bear no name)."""
        label = f"label=com.docker.compose.project={project}"
        of_project = (
            ("ps", "--all", "--quiet", "--filter", label),
            ("network", "ls", "--quiet", "--filter", label),
        )
        return {name for words in (*of_project, ("volume", "ls", "--quiet")) for name in self(*words).split()}


class Lab:
    """The lab of compose.yaml, up and healthy."""

    def __init__(self, engine: Engine, project: str, variables: dict[str, str]) -> None:
        self.engine = engine
        self._variables = variables
        self._compose = ("compose", "--progress", "quiet", "--project-name", project)

    def compose(self, *words: str) -> str:
        """Run `docker compose` in it."""
        return self.engine(*self._compose, *words, **self._variables)

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service, to whatever end."""
        return self.engine.run("exec", self.container(service), *command)

    def container(self, service: str) -> str:
        """Return the id of the container of a service."""
        return self.compose("ps", "--all", "--quiet", service)


@contextmanager
def lab_up(engine: Engine, project: str, variables: dict[str, str], *services: str) -> Iterator[Lab]:
    """Bring the lab up, or some of its services; take it down and see that nothing is left."""
    before = engine.holds(project)
    lab = Lab(engine, project, variables)
    try:
        lab.compose("up", "--detach", "--wait", "--no-build", *services)
        yield lab
    finally:
        lab.compose("down", "--volumes", "--timeout", "5")
    assert engine.holds(project) == before


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine that answers here."""
    return find_engine()


def find_engine() -> Engine:
    """Return the engine that answers here."""
    asked = subprocess.run(
        [sys.executable, ROOT / "docker/engine.py", "env"], text=True, capture_output=True, check=True
    )
    exported = dict(line.removeprefix("export ").split("=", 1) for line in asked.stdout.splitlines())
    found = Engine({**os.environ, **exported})
    try:
        version = found.run("compose", "version")
        answer = found.run("version")
    except FileNotFoundError:
        unavailable("compose", "there is no docker command; try: make engine")
    if version.returncode or answer.returncode:
        unavailable("compose", f"{(version.stderr + answer.stderr).strip()}; try: make engine")
    return found


@pytest.fixture(scope="session")
def images(engine: Engine) -> tuple[str, str]:
    """The names of the images of server and client, which are there."""
    names = ("hftp-server", "hftp-client")
    for name in names:
        if engine.run("image", "inspect", name).returncode:
            unavailable("compose", f"the engine has no image {name}; try: make images")
    return names


@pytest.fixture(scope="session")
def lab(engine: Engine, images: tuple[str, str]) -> Iterator[Lab]:
    """The lab of compose.yaml."""
    with lab_up(engine, f"netlab-test-{os.getpid()}", places(200, ports=185)) as up:
        yield up
