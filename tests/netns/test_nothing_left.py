"""Whatever happens to the process that runs a lab, the kernel takes all of the lab with it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netlab.model import Topology
from tests.namespaces import bring_up
from tests.netns.leftovers import Machine
from tests.netns.test_backend import in_namespaces

# Three hosts, a server and a child of it on each, a file; it stays up for a while, and ends well.
CONTROLLER = """
import sys, time
from ipaddress import ip_interface
from netlab.backends.netns import NetnsLab
from netlab.model import Host, Link, Network, Topology
program = '''
import os, tempfile, time
tempfile.mkstemp("left?")
if os.fork():
    print("runs")
else:
    os.setsid()
time.sleep(600)
'''
links = [Link("netlab-e", "lan", (ip_interface(f"198.18.0.{n}/24"),)) for n in (1, 2, 3)]
hosts = tuple(Host(f"h{n}", (link,)) for n, link in enumerate(links))
with NetnsLab(Topology((Network("lan"),), hosts)) as lab:
    channels = [lab.spawn(host, [lab.python(host), "-c", program]) for host in lab.hosts]
    for channel in channels:
        channel.readline(10)
    print("up", flush=True)
    {meanwhile}
"""

MOMENTS = 10


def start(machine: Machine, meanwhile: str) -> subprocess.Popen[bytes]:
    """Start a controller."""
    return machine.start(sys.executable, "-c", CONTROLLER.replace("{meanwhile}", meanwhile))


def end(controller: subprocess.Popen[bytes]) -> bytes:
    """Kill a controller that still runs; return what it wrote to standard error."""
    if controller.poll() is None:
        controller.kill()
    return controller.communicate(timeout=30)[1]


def wait_up(controller: subprocess.Popen[bytes]) -> None:
    assert controller.stdout is not None
    assert controller.stdout.readline() == b"up\n", end(controller).decode()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    with bring_up(Topology((), ())):
        pass  # where no lab can be, there is nothing to see
    return Machine(tmp_path)


def test_a_running_lab_is_seen_so_that_these_tests_would_notice(machine: Machine) -> None:
    controller = start(machine, "time.sleep(60)")
    wait_up(controller)
    lab, namespaces = machine.lab(), machine.namespaces()
    # Unshare, the lab init, three servers and their children.
    assert len(lab) == 8
    assert {pid for pid, _ in lab} | {controller.pid} == machine.marked()
    # The fabric, three hosts, and what unshare itself entered.
    assert {kind: sum(name.startswith(f"{kind}:") for name in namespaces) for kind in ("net", "pid")} == {
        "net": 4,
        "pid": 1,
    }
    assert machine.left(lab)
    end(controller)
    machine.wait_gone(lab)


@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [("pass", 0), ("raise SystemExit(7)", 7), ("raise RuntimeError", 1), ("import os; os._exit(5)", 5)],
    ids=["ends well", "exits", "fails", "leaves without a word"],
)
def test_nothing_is_left_when_the_controller(machine: Machine, meanwhile: str, code: int) -> None:
    controller = start(machine, f"time.sleep(0.3); {meanwhile}")
    wait_up(controller)
    lab = machine.lab()
    assert controller.wait(30) == code
    end(controller)
    machine.wait_gone(lab)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_nothing_is_left_after_a_signal_to_all_of_its_process_group(
    machine: Machine, number: signal.Signals
) -> None:
    """As the terminal sends them: Ctrl-C, Ctrl-backslash, or its window's end."""
    controller = start(machine, "time.sleep(60)")
    wait_up(controller)
    lab = machine.lab()
    os.killpg(controller.pid, number)
    assert controller.wait(30) == -number
    assert number != signal.SIGINT or b"KeyboardInterrupt" in end(controller)
    end(controller)
    machine.wait_gone(lab)


def test_nothing_is_left_after_sigkill_at_ten_moments_of_a_run(machine: Machine) -> None:
    began = time.monotonic()
    controller = start(machine, "time.sleep(0.1)")
    assert controller.wait(60) == 0
    whole_s = time.monotonic() - began
    end(controller)
    machine.wait_gone(set())

    # One at random in each tenth of the run: start-up, set-up, running and taking down all get theirs.
    generator = random.Random(20)
    for moment in range(MOMENTS):
        delay_s = whole_s * (moment + generator.random()) / MOMENTS
        controller = start(machine, "time.sleep(0.1)")
        time.sleep(delay_s)
        lab = machine.lab()
        end(controller)
        machine.wait_gone(lab)


@pytest.mark.parametrize("victim", ["unshare", "the lab init"])
def test_nothing_is_left_when_a_part_of_the_lab_is_killed(machine: Machine, victim: str) -> None:
    controller = start(machine, "time.sleep(60)")
    wait_up(controller)
    lab = machine.lab()
    (unshare,) = _children(controller.pid)
    (init,) = _children(unshare)
    os.kill(unshare if victim == "unshare" else init, signal.SIGKILL)
    machine.wait_gone(lab, but=frozenset({controller.pid}))
    end(controller)
    machine.wait_gone(lab)


def test_a_process_that_the_controller_forked_does_not_keep_the_lab_alive(machine: Machine) -> None:
    controller = start(
        machine,
        "import os; child = os.fork(); child or time.sleep(60); print(child, flush=True); time.sleep(60)",
    )
    wait_up(controller)
    assert controller.stdout is not None
    child = int(controller.stdout.readline())
    lab = machine.lab()
    try:
        controller.kill()
        controller.wait(30)
        machine.wait_gone(lab, but=frozenset({child}))
    finally:
        os.kill(child, signal.SIGKILL)
        end(controller)
    machine.wait_gone(lab)


def test_the_kernel_gets_every_namespace_back() -> None:
    """Where there may be only so many network namespaces as a lab needs, lab after lab comes up."""
    with bring_up(Topology((), ())):
        pass
    program = """
import time
from netlab.backends.netns import NetnsLab
from netlab.errors import BackendUnavailableError
from netlab.model import Host, Topology
topology = Topology((), tuple(Host(f"h{n}", ()) for n in range(7)))
for _ in range(5):
    deadline = time.monotonic() + 10  # the kernel dismantles network namespaces at its leisure
    while True:
        try:
            with NetnsLab(topology):
                break
        except BackendUnavailableError:
            if time.monotonic() > deadline:
                raise
print("all came up")
"""
    assert in_namespaces('echo 8 > /proc/sys/user/max_net_namespaces; exec "$@"', program) == "all came up\n"


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
