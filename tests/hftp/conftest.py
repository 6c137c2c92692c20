"""A data directory, and a server for it, for every test with real sockets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.hftp.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HUGE_BYTES = 10 << 30


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


@pytest.fixture
def server(data: Path) -> Iterator[RunningServer]:
    """A server; after the test nothing of its clients may be left, and it must end well."""
    with running_server(data) as server:
        yield server
