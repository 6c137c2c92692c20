"""A data directory, and a server for it, for every test with real sockets."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import pytest

from hftp import strategies
from tests.hftp.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HUGE_BYTES = 10 << 30

STRATEGIES = [name for name in strategies.NAMES if name != "epoll" or hasattr(select, "epoll")]


def make_data(path: Path) -> Path:
    """Make a directory with a small file, one of a MiB, and one of 10 GiB that takes no room."""
    path.mkdir()
    (path / "f").write_bytes(b"!Que calor que hace hoy, pinta una birra!")
    (path / "mib").write_bytes(os.urandom(1 << 20))
    (path / "huge").touch()
    os.truncate(path / "huge", HUGE_BYTES)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory for one test."""
    return make_data(tmp_path / "data")


@pytest.fixture(params=STRATEGIES)
def server(data: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of each strategy; after the test nothing of its clients may be left, and it must end well."""
    with running_server(data, "--strategy", request.param) as server:
        yield server


@pytest.fixture(params=[name for name in STRATEGIES if name != "sequential"])
def concurrent_server(data: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of each strategy that attends several clients at once."""
    with running_server(data, "--strategy", request.param) as server:
        yield server
