"""`make netlab`: namespaces; with `BACKEND=auto` containers where they work; `BACKEND=compose` insists."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from netlab.backends import choose
from tests.compose.conftest import ROOT, Engine
from tests.requirements import unavailable

# A part of the matrix that is quick.
PART = "ARGS=--bind 0.0.0.0 --from outsider"


@pytest.fixture(autouse=True)
def _set_up() -> None:
    if not (ROOT / ".venv/.ready").exists():
        unavailable("compose", "'make setup' was not run here")


def make(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "netlab", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, text=True, capture_output=True, timeout=120
    )


def test_containers_are_taken_where_an_engine_and_the_images_are_there(
    engine: Engine, images: tuple[str, str]
) -> None:
    """What `netlab run --backend auto` asks; a whole run of it is in test_backend.py."""
    backend, why = choose()
    assert backend == "compose"
    assert why.startswith("Docker ")


def test_alone_it_asks_no_engine(tmp_path: Path) -> None:
    """The first screen is the same on every machine."""
    done = make(PART, DOCKER_HOST=f"unix://{tmp_path}/nowhere")
    assert done.stderr == ""
    assert done.stdout.startswith("bind-address on netns, ")


def test_else_namespaces_are_and_it_says_why(tmp_path: Path) -> None:
    done = make("BACKEND=auto", PART, DOCKER_HOST=f"unix://{tmp_path}/nowhere")
    assert "backend netns: DOCKER_HOST=" in done.stderr
    assert done.stdout.startswith("bind-address on netns, ")


def test_who_insists_on_containers_gets_them_or_the_reason(tmp_path: Path) -> None:
    done = make("BACKEND=compose", PART, DOCKER_HOST=f"unix://{tmp_path}/nowhere")
    assert done.stdout == ""
    assert "netlab: backend compose is not available: DOCKER_HOST=" in done.stderr
    assert "Error 4" in done.stderr
