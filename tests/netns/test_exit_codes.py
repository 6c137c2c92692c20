"""Every exit code that docs/ci.md lists, of the commands that make a lab. The others are in tests/ssh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.errors import ExitCode
from netlab.model import Topology
from tests.namespaces import bring_up
from tests.netns.forbidding import WHY, only_where_the_number_is_known, without_namespaces
from tests.netns.leftovers import Machine, Started
from tests.netns.test_cli import ENVIRONMENT, ONE_CELL, experiment

NETLAB = (sys.executable, "-m", "netlab")
HTTP = '[python3, -m, http.server, --bind, "{address}", "{port}"]'
CHECK = (
    "service: {command: COMMAND, port: 8000}\nlab: lan\nvantages: [peer]\nexpect: [allow: {to: lan-ipv4}]\n"
)
HANGS_UP = """
import socket, sys
sock = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True: sock.accept()[0].close()
"""


@pytest.fixture(scope="module", autouse=True)
def available() -> None:
    with bring_up(Topology((), ())):
        pass


def ended(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def check_file(folder: Path, command: str = HTTP, **changed: str) -> None:
    text = CHECK.replace("COMMAND", command)
    for before, after in changed.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "netlab.yaml").write_text(text)


class TestRun:
    def test_0_every_cell_is_as_predicted(self, tmp_path: Path) -> None:
        assert ended(tmp_path, *NETLAB, "run", *ONE_CELL).returncode == 0

    def test_1_a_cell_is_not_as_predicted(self, tmp_path: Path) -> None:
        done = ended(tmp_path, *NETLAB, "run", experiment(tmp_path, HANGS_UP), *ONE_CELL)
        assert done.returncode == 1, done.stderr

    @pytest.mark.parametrize(
        "words",
        [("--no-such-option",), ("no-such-experiment",), ("--bind", "nowhere"), ("--json", "no/such")],
    )
    def test_2_a_wrong_option_or_file(self, tmp_path: Path, words: tuple[str, ...]) -> None:
        done = ended(tmp_path, *NETLAB, "run", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1

    def test_3_a_cell_could_not_be_measured(self, tmp_path: Path) -> None:
        done = ended(tmp_path, *NETLAB, "run", experiment(tmp_path, "raise SystemExit(7)"), *ONE_CELL)
        assert done.returncode == 3, done.stderr

    @only_where_the_number_is_known
    def test_4_no_lab_can_be_made_here(self, tmp_path: Path) -> None:
        done = ended(tmp_path, *without_namespaces(*NETLAB, "run", *ONE_CELL))
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith(f"netlab: backend netns is not available: {WHY}; start the container")


class TestCheck:
    def test_0_all_is_as_expected(self, tmp_path: Path) -> None:
        check_file(tmp_path)
        assert ended(tmp_path, *NETLAB, "check").returncode == 0

    def test_1_an_expectation_is_not_met(self, tmp_path: Path) -> None:
        check_file(tmp_path, allow="deny")
        assert ended(tmp_path, *NETLAB, "check").returncode == 1

    @pytest.mark.parametrize("command", ["check", "validate"])
    def test_2_the_file_is_wrong_and_it_is_said_where(self, tmp_path: Path, command: str) -> None:
        check_file(tmp_path, port="prot")
        done = ended(tmp_path, *NETLAB, command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("netlab: netlab.yaml:1: service.")

    @pytest.mark.parametrize("expected", ["allow", "deny", "not-bound"])
    def test_3_nothing_was_measured_whatever_was_expected(self, tmp_path: Path, expected: str) -> None:
        check_file(tmp_path, '[python3, -c, "raise SystemExit(7)"]', allow=expected)
        done = ended(tmp_path, *NETLAB, "check")
        assert done.returncode == 3, done.stdout
        assert "not measured" in done.stdout

    @only_where_the_number_is_known
    @pytest.mark.parametrize("expected", ["allow", "deny"])
    def test_4_no_lab_can_be_made_here(self, tmp_path: Path, expected: str) -> None:
        check_file(tmp_path, allow=expected)
        done = ended(tmp_path, *without_namespaces(*NETLAB, "check"))
        assert (done.returncode, done.stdout) == (4, "")
        assert WHY in done.stderr

    def test_4_no_container_engine_answers(self, tmp_path: Path) -> None:
        (tmp_path / "compose.yaml").write_text("services: {web: {image: nginx}}\n")
        (tmp_path / "netlab.yaml").write_text(
            "lab: {compose: compose.yaml}\nservice: {port: 80}\nbinds: {web: 0.0.0.0}\n"
        )
        done = ended(tmp_path, *NETLAB, "check", DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith("netlab: backend compose is not available: ")


class TestDoctor:
    def test_0_a_backend_works(self, tmp_path: Path) -> None:
        assert ended(tmp_path, *NETLAB, "doctor").returncode == 0

    @only_where_the_number_is_known
    def test_4_none_works_and_for_each_there_is_one_thing_to_do(self, tmp_path: Path) -> None:
        nobody = f"unix://{tmp_path}/nobody.sock"
        done = ended(tmp_path, *without_namespaces(*NETLAB, "doctor"), DOCKER_HOST=nobody)
        assert done.returncode == 4
        assert done.stdout.count("does not work") == 2
        assert f"netns: does not work: {WHY}\n  start the container with --privileged" in done.stdout


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130_interrupted_in_the_middle_and_nothing_is_left(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    """In the middle: when the service has been started, which never listens."""
    started = Started(tmp_path)
    said = f"{started.says}; import time; time.sleep(60)"
    words = [command]
    if command == "run":
        words += [experiment(tmp_path, said), *ONE_CELL]
    else:
        check_file(tmp_path, f'[python3, -c, "{said}"]')
    machine = Machine(tmp_path)
    running = machine.start(*NETLAB, *words)
    started.wait()
    lab = machine.lab()
    assert lab
    os.killpg(running.pid, number)
    out, err = running.communicate(timeout=30)
    assert running.returncode == ExitCode.INTERRUPTED, err
    assert (out, err.decode().lstrip()) == (b"", "netlab: interrupted; nothing is left behind\n")
    machine.wait_gone(lab)
