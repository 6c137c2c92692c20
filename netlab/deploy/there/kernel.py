"""The kernel's view: sockets and processes."""

from __future__ import annotations

import fcntl
import os
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


LISTENING = "0A"  # TCP_LISTEN, include/net/tcp_states.h
# struct flock, fcntl(2): type, whence, start, length, process.
FLOCK = struct.Struct("hhqqi")


def listening_inodes(port: int) -> set[int]:
    """Return the sockets that listen on a port, by inode (proc(5), /proc/net/tcp)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                for line in list(lines)[1:]:
                    fields = line.split()
                    if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                        inodes.add(int(fields[9]))
        except FileNotFoundError:
            pass
    return inodes


def sockets_of(pid: int) -> set[int]:
    """Return the inodes of a process's sockets, as far as we may see them."""
    inodes = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    except OSError:
        pass
    return inodes


def processes() -> list[int]:
    """Return every process that we can see."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def argv_of(pid: int) -> list[str]:
    """Return a process's arguments; none of a process that is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsdecode(file.read()).split("\0")[:-1]
    except OSError:
        return []


def is_neighbour(pid: int) -> bool:
    """Whether a process is in our own namespaces: in a container, paths mean something else."""
    try:
        return all(
            os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
            for kind in ("net", "mnt", "user")
        )
    except OSError:
        return False


def who_listens(inodes: set[int]) -> str:
    """Return which program has a socket, in words; not every process shows its sockets to us."""
    for pid in processes():
        if sockets_of(pid) & inodes:
            argv = argv_of(pid)
            name = " ".join([os.path.basename(argv[0]), *argv[1:]]) if argv else "?"
            # Of an argument nobody knows what it is: a program's name says enough.
            return f"process {pid} ({name.split()[0] if name else '?'})"
    return "a program of another account"


def lock_holder(path: str) -> int:
    """Return the process that has a record lock on a file; 0 if none does (fcntl(2), F_GETLK)."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = FLOCK.unpack_from(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked.ljust(32, b"\0")))
        return pid if kind != fcntl.F_UNLCK else 0
    finally:
        os.close(descriptor)


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not argv_of(pid)


def end(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_until(condition: Callable[[], bool], patience_s: float) -> bool:
    """Wait for a condition, looking more and more rarely; return whether it came.

    Args:
        condition: is looked at every 10 ms at first, every 200 ms in the end.
        patience_s: for how long, in seconds.
    """
    deadline, pause_s = time.monotonic() + patience_s, 0.01
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.2)
    return True
