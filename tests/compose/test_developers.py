"""The page for developers, done with a Compose project on a real engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compose.conftest import Engine
from tests.compose.holdings import holdings
from tests.pages import Command, follow

# The engine gives addresses out as it likes.
ADDRESS = r"(?:10|172|192|198)\.\d+\.\d+\.\d+"


@pytest.mark.usefixtures("images")
def test_a_developer_finds_what_the_page_says(engine: Engine, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{engine.environment['PATH']}"
    project = {"COMPOSE_PROJECT_NAME": f"netlab-{tmp_path.name.replace('_', '-')}"}
    environment = {**engine.environment, **project, "PATH": path, "COLUMNS": "120", "PYTHONUTF8": "1"}

    def run(command: Command) -> str:
        ended = subprocess.run(
            command.text,
            shell=True,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        return ended.stdout

    before = holdings(engine)
    try:
        follow("developers.md", tmp_path, run, varies=ADDRESS)
    finally:
        subprocess.run(["docker", "compose", "down", "--timeout", "1"], cwd=tmp_path, env=environment)
    assert holdings(engine) - before == set()
