"""The page for teachers, done in a room of machines."""

from __future__ import annotations

import os
import re
import sys
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.model import Host, Link, NameEntry, Topology
from tests.pages import Command, follow
from tests.ssh.deploying import LAN
from tests.ssh.fleet import CONTROLLER, Fleet, fleet, with_controller

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCALHOST = tuple(NameEntry(ip_address(text), ("localhost",)) for text in ("::1", "127.0.0.1"))
# Which service runs it, on machines that have systemd, and on those that don't.
SERVED_BY = re.compile(r"\((?:systemd|supervised)\)")
NOT_WITH_THE_MACHINE = re.compile(r"; it will not start with the host: .*")


@pytest.fixture
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The page's three machines; on one of them a student has started a server."""
    machines = tuple(
        Host(f"pc{n:02}", (Link("eth0", "lan", (ip_interface(f"198.18.1.{100 + n}/24"),)),), names=LOCALHOST)
        for n in (1, 2, 3)
    )
    topology = with_controller(Topology((LAN,), machines), LAN, 200)
    with fleet(topology, tmp_path_factory.mktemp("room")) as up:
        up.inventory.unlink()
        serving = up.lab.spawn("pc02", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "8000"])
        assert serving.readline(20)
        yield up


def test_a_teacher_finds_what_the_page_says(room: Fleet) -> None:
    def run(command: Command) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = room.run(["sh", "-c", f"PATH={path}; {command.text}"])
        return NOT_WITH_THE_MACHINE.sub("", SERVED_BY.sub("(systemd)", done.out))

    assert CONTROLLER not in room.machines
    follow("teachers.md", room.directory, run)
