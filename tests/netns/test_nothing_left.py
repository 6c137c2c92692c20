"""Whatever happens to the process that runs a lab, the kernel takes all of the lab with it.

Each test runs such a process (the controller) with a marker as the first directory of PATH. Every process of
its lab gets it, too: so that they are found in /proc, among whatever else this machine runs.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from netlab.model import Topology
from tests.netns.test_backend import bring_up, in_namespaces

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

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
MOMENTS = 10
# Measured: 0.01 s, and 0.3 s if the lab init is just starting; a machine busy with other labs takes longer.
GONE_WITHIN_S = 15.0


Process = tuple[int, str]  # its number, and when it started


class Machine:
    """What of labs can be seen on this machine, from outside of them."""

    def __init__(self, directory: Path) -> None:
        self.marker = f"/nowhere/{uuid.uuid4()}"
        self.directory = directory
        self._before = self._things()

    def start(self, meanwhile: str) -> subprocess.Popen[bytes]:
        """Start a controller, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", CONTROLLER.replace("{meanwhile}", meanwhile)],
            env={
                **os.environ,
                "PATH": f"{self.marker}:{os.environ.get('PATH', os.defpath)}",
                "PYTHONPATH": os.pathsep.join(sys.path),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": str(self.directory),
            },
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def marked(self) -> set[int]:
        """Return the controller's and its lab's processes, by their marker."""
        return {pid for pid in _pids() if self.marker.encode() in _environment(pid)}

    def namespaces(self) -> set[str]:
        """Return the namespaces that they are in and this process is not."""
        return {name for pid in self.marked() for name in _namespaces(pid)} - _namespaces(os.getpid())

    def lab(self) -> set[Process]:
        """Return the lab's processes, be they marked or in one of its namespaces.

        Namespaces can't be told by their names later on: the kernel gives a name anew once it is free.
        """
        before = self.namespaces()
        inside = {(pid, _start(pid)): _namespaces(pid) for pid in _pids()}
        namespaces = before & self.namespaces()  # those that were the lab's all the while
        return {process for process, its in inside.items() if its & namespaces}

    def wait_gone(self, lab: set[Process], but: frozenset[int] = frozenset()) -> None:
        """Wait until no process, mount, interface or file of the lab is left, so nothing to hold a namespace.

        Args:
            lab: its processes, as they were.
            but: marked processes that may live on.

        Raises:
            AssertionError: something stays.
        """
        deadline = time.monotonic() + GONE_WITHIN_S
        while (left := self.left(lab, but)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not left

    def left(self, lab: set[Process], but: frozenset[int] = frozenset()) -> set[str]:
        """Return what there is of the lab, in words."""
        processes = self.marked() | {pid for pid, start in lab if _start(pid) == start}
        return {f"process {pid}" for pid in processes - but} | (self._things() - self._before)

    def _things(self) -> set[str]:
        """Return what a lab could leave but processes: under names that only labs give."""
        files = [*self.directory.rglob("*"), *Path("/dev/shm").glob("left?*"), *Path("/run").glob("*/left?*")]
        interfaces = Path("/sys/class/net").glob("netlab-*")
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return {*map(str, files), *map(str, interfaces), *(line for line in mounts if " netlab " in line)}


def _pids() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it ended, or is another user's
        return b""


def _namespaces(pid: int) -> set[str]:
    try:
        return {str((Path(f"/proc/{pid}/ns") / kind).readlink()) for kind in NAMESPACES}
    except OSError:
        return set()


def _start(pid: int) -> str:
    """Say when a process started, to tell it from a later one of its number: proc_pid_stat(5).

    It is empty for one that has ended, though its parent (for an orphan, the machine) has yet to notice.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


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
    controller = machine.start("time.sleep(60)")
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
    controller = machine.start(f"time.sleep(0.3); {meanwhile}")
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
    controller = machine.start("time.sleep(60)")
    wait_up(controller)
    lab = machine.lab()
    os.killpg(controller.pid, number)
    assert controller.wait(30) == -number
    assert number != signal.SIGINT or b"KeyboardInterrupt" in end(controller)
    end(controller)
    machine.wait_gone(lab)


def test_nothing_is_left_after_sigkill_at_ten_moments_of_a_run(machine: Machine) -> None:
    began = time.monotonic()
    controller = machine.start("time.sleep(0.1)")
    assert controller.wait(60) == 0
    whole_s = time.monotonic() - began
    end(controller)
    machine.wait_gone(set())

    # One at random in each tenth of the run: start-up, set-up, running and taking down all get theirs.
    generator = random.Random(20)
    for moment in range(MOMENTS):
        delay_s = whole_s * (moment + generator.random()) / MOMENTS
        controller = machine.start("time.sleep(0.1)")
        time.sleep(delay_s)
        lab = machine.lab()
        end(controller)
        machine.wait_gone(lab)


@pytest.mark.parametrize("victim", ["unshare", "the lab init"])
def test_nothing_is_left_when_a_part_of_the_lab_is_killed(machine: Machine, victim: str) -> None:
    controller = machine.start("time.sleep(60)")
    wait_up(controller)
    lab = machine.lab()
    (unshare,) = _children(controller.pid)
    (init,) = _children(unshare)
    os.kill(unshare if victim == "unshare" else init, signal.SIGKILL)
    machine.wait_gone(lab, but=frozenset({controller.pid}))
    end(controller)
    machine.wait_gone(lab)


def test_a_process_that_the_controller_forked_does_not_keep_the_lab_alive(machine: Machine) -> None:
    controller = machine.start(
        "import os; child = os.fork(); child or time.sleep(60); print(child, flush=True); time.sleep(60)"
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
