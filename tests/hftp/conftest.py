"""A data directory, and a server for it, for every test with real sockets."""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TYPE_CHECKING

import pytest

from hftp import strategies
from tests.hftp.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HUGE_BYTES = 10 << 30

STRATEGIES = [name for name in strategies.NAMES if name != "epoll" or hasattr(select, "epoll")]


FILES = {"f": b"!Que calor que hace hoy, pinta una birra!", "mib": os.urandom(1 << 20), "huge": b""}


def make_data(path: Path) -> Path:
    """Make a directory with a small file, one of a MiB, and one of 10 GiB that takes no room."""
    path.mkdir()
    for name, contents in FILES.items():
        (path / name).write_bytes(contents)
    os.truncate(path / "huge", HUGE_BYTES)
    return path


def restore_data(path: Path) -> None:
    """Undo what a test has done to it."""
    for entry in path.iterdir():
        if entry.name not in FILES:
            entry.unlink()
    os.truncate(path / "huge", HUGE_BYTES)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory for one test."""
    return make_data(tmp_path / "data")


class Servers:
    """A server of each strategy for many tests: a start takes longer than most of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._running: dict[str, tuple[RunningServer, contextlib.ExitStack]] = {}

    def get(self, strategy: str) -> RunningServer:
        """Give the one of a strategy, started if need be."""
        if strategy not in self._running:
            stack = contextlib.ExitStack()
            data = make_data(self._path / f"{strategy}-{time.monotonic_ns()}")
            server = stack.enter_context(running_server(data, "--strategy", strategy))
            self._running[strategy] = server, stack
        return self._running[strategy][0]

    def check(self, strategy: str) -> None:
        """Find nothing left in it of the test that has just ended, or give it up."""
        server, stack = self._running[strategy]
        try:
            server.check_nothing_is_left()
            restore_data(server.directory)
        except BaseException as error:
            del self._running[strategy]
            error.add_note(server.last_words())
            stack.close()
            raise

    def close(self) -> None:
        """End them; each must end well."""
        for _, stack in self._running.values():
            stack.close()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One server of each strategy."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@pytest.fixture(params=STRATEGIES)
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of each strategy; after the test nothing of its clients may be left."""
    yield servers.get(request.param)
    servers.check(request.param)


@pytest.fixture(params=[name for name in STRATEGIES if name != "sequential"])
def concurrent_server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of each strategy that attends several clients at once."""
    yield servers.get(request.param)
    servers.check(request.param)


@pytest.fixture(params=STRATEGIES)
def own_server(data: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of each strategy, for this test alone."""
    with running_server(data, "--strategy", request.param) as server:
        yield server
