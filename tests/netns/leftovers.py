"""What a lab could leave behind, seen from outside of it.

A program that brings labs up (the controller) gets a marker as the first directory of PATH. Every process of
its labs gets it, too: so that they are found in /proc, among whatever else this machine runs.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
import uuid
from pathlib import Path

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
# Measured: 0.01 s, and 0.3 s if the lab init is just starting; a machine busy with other labs takes longer.
GONE_WITHIN_S = 15.0


Process = tuple[int, str]  # its number, and when it started


class Machine:
    """What of labs can be seen on this machine, from outside of them."""

    def __init__(self, directory: Path) -> None:
        self.marker = f"/nowhere/{uuid.uuid4()}"
        self.directory = directory
        self._before = self._things()

    def start(self, *command: str, merged: bool = False, **variables: str) -> subprocess.Popen[bytes]:
        """Start a program that brings labs up, in a session of its own.

        Args:
            command: the program and its arguments.
            merged: whether standard error goes where standard output does.
            variables: more of its environment.
        """
        return subprocess.Popen(
            command,
            env={
                **os.environ,
                "PATH": f"{self.marker}:{os.environ.get('PATH', os.defpath)}",
                "PYTHONPATH": os.pathsep.join(sys.path),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": str(self.directory),
                **variables,
            },
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
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


class Started:
    """Knows when a service has been started: a named pipe, which the service writes to.

    Args:
        directory: where the pipe is made.
    """

    WITHIN_MS = 60_000  # for a machine that runs much else

    def __init__(self, directory: Path) -> None:
        self._pipe = directory / "started"
        os.mkfifo(self._pipe)
        # Open from now on: who writes is not kept waiting, and who waits is not for ever.
        self._end = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK)

    @property
    def says(self) -> str:
        """Python for the service to say so with."""
        return f"open({str(self._pipe)!r}, 'w').write('started')"

    def wait(self) -> None:
        """Wait until it is said."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        assert poll.poll(self.WITHIN_MS), "the service was not started"
        os.close(self._end)


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
