"""The plugin under pytest-xdist, and interrupted."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.netns.leftovers import Machine, Started
from tests.plugin.conftest import Pytest
from tests.plugin.test_collection import CHECK, FAILING, MESSAGE, timeless

pytestmark = pytest.mark.usefixtures("netns")

# Every lab that a worker brings up is a line in a file.
COUNTING = """
from netlab.backends.netns import NetnsLab

enter = NetnsLab.__enter__

def counted(self):
    with open("labs.txt", "a") as file:
        file.write("lab\\n")
    return enter(self)

NetnsLab.__enter__ = counted
"""
# In each of two modules, a server on the same address and the same port.
SERVERS = """
import pytest

pytestmark = pytest.mark.netlab(lab="lan")

def test_nobody_else_is_in_the_lab(netlab_host, hftp_server):
    assert netlab_host("peer").can_reach(hftp_server)

def test_what_ended_is_gone(netlab_host, netlab_server):
    server = netlab_server(["{python}", "-m", "http.server", "--bind", "{address}", "{port}"])
    server.stop()
    assert netlab_host("peer").can_reach(server).verdict == "refused"
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(COUNTING)


def labs(pytester: pytest.Pytester) -> int:
    return len((pytester.path / "labs.txt").read_text().splitlines())


@pytest.mark.parametrize("distribution", ["load", "loadfile"])
def test_the_cells_of_a_file_come_out_the_same_on_two_workers(
    run_pytest: Pytest, pytester: pytest.Pytester, distribution: str
) -> None:
    (pytester.path / "netlab.yaml").write_text(CHECK)
    result = run_pytest("-n2", "--dist", distribution)
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines([f"FAILED {FAILING}*"])
    assert MESSAGE in timeless(result.stdout.str())
    assert labs(pytester) == (1 if distribution == "loadfile" else 2)


def test_the_labs_of_two_workers_do_not_meet(run_pytest: Pytest, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_one=SERVERS, test_two=SERVERS)
    result = run_pytest("-n2", "--dist", "loadfile", "-v")
    result.assert_outcomes(passed=4)
    assert labs(pytester) == 2
    assert {line.split("]")[0] for line in result.outlines if "PASSED" in line} == {"[gw0", "[gw1"}


def test_what_is_selected_runs_on_two_workers_and_nothing_else(run_pytest: Pytest) -> None:
    Path("netlab.yaml").write_text(CHECK)
    run_pytest("-n2", "-k", "peer").assert_outcomes(passed=4)
    result = run_pytest("-n2", "--dist", "loadfile", "--maxfail=1")
    assert result.parseoutcomes()["failed"] == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_run_leaves_nothing(pytester: pytest.Pytester, workers: int) -> None:
    """Ctrl-C, as the terminal sends it, while a file's lab is up and its service is starting."""
    started = Started(pytester.path)
    starts = f'[python3, -c, "{started.says}; import time; time.sleep(60)", "{{address}}"]'
    service = '["{python}", -m, http.server, --bind, "{address}", "{port}"]'
    assert service in CHECK
    (pytester.path / "netlab.yaml").write_text(CHECK.replace(service, starts))
    (pytester.path / "labs.txt").touch()
    machine = Machine(pytester.path)
    options = ("-p", "no:cacheprovider", "-n", str(workers), "--dist", "loadfile")
    running = machine.start(sys.executable, "-m", "pytest", *options, merged=True)
    started.wait()
    lab = machine.lab()
    assert lab
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, said.decode()
    assert b"KeyboardInterrupt" in said
    machine.wait_gone(lab)


def test_an_interrupted_test_leaves_nothing_of_its_lab_and_its_server(pytester: pytest.Pytester) -> None:
    started = Started(pytester.path)
    pytester.makepyfile(
        f"""
        import time
        def test_it(hftp_server):
            {started.says}
            time.sleep(60)
        """
    )
    (pytester.path / "labs.txt").touch()
    machine = Machine(pytester.path)
    running = machine.start(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", merged=True)
    started.wait()
    lab = machine.lab()
    assert lab
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, said.decode()
    machine.wait_gone(lab)
