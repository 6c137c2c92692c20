"""A real `hftp serve` in a process of its own, and what tests ask of it."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

APP = Path(__file__).parents[2] / "app"

# The server and the commands may run on another Python than the tests: HFTP_PYTHON=python3.9 make test.
PYTHON = os.environ.get("HFTP_PYTHON", sys.executable)

# Nothing here takes long: this is for a machine that is busy.
PATIENCE_SECONDS = 10.0

# What a server that was at work may have more than one that was not: what is imported on the way, and what
# malloc keeps. It stays under 5 MiB in 64,000 clients.
_MOST_LEFT_KIB = 8 * 1024


def environment() -> dict[str, str]:
    """Make `python -m hftp` find this tree's package, also by another interpreter."""
    return {**os.environ, "PYTHONPATH": str(APP), "PYTHONUNBUFFERED": "1"}


def hftp(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return python("-m", "hftp", *arguments, cwd=cwd)


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python, with this tree's package, to its end."""
    return subprocess.run(
        [PYTHON, *arguments],
        env=environment(),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        cwd=cwd,
    )


def open_descriptors(pid: int | str = "self") -> set[str]:
    """Name the descriptors that a process has open, apart from the one that this takes."""
    directory = Path(f"/proc/{pid}/fd")
    return {entry.name for entry in directory.iterdir() if entry.is_symlink()}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what will be true soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.005)


def receive_all(sock: socket.socket) -> bytes:
    """Read to the end of what a server sends."""
    pieces = []
    while piece := sock.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    """Read so many bytes, or fail."""
    pieces = []
    while count:
        piece = sock.recv(min(count, 1 << 20))
        assert piece, f"the connection ended {count} bytes early"
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def reset(sock: socket.socket) -> None:
    """Close a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (ProcessLookupError, FileNotFoundError):  # a child that has just ended
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


class RunningServer:
    """A server process, serving a directory on a free port of 127.0.0.1."""

    def __init__(self, directory: Path, *flags: str, under: Sequence[str] = ()) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [*under, PYTHON, "-m", "hftp", "serve", "-p", "0", "-d", str(directory), *flags],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        self.says = ""  # what it may write to standard error, as a regular expression
        try:
            self._wait_ready()
        except BaseException:
            self.process.kill()
            self.process.communicate()
            raise

    def _wait_ready(self) -> None:
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        address = self.first_line.removeprefix("listening on ").split(" ")[0].strip()
        self.host, _, port = address.rpartition(":")
        self.host = self.host.strip("[]")
        self.port = int(port)
        assert self.ask(b"help\r\n").startswith(b"0 OK\r\n")
        # It has opened all that it will, and the descriptor of this client is closed.
        seen: list[set[str]] = []
        wait_until(lambda: self._is_at_rest(seen), "descriptors don't change")
        self.descriptors_at_rest = seen[-1]
        self._memory_at_rest_kib = self.resident_kib()

    def _is_at_rest(self, seen: list[set[str]]) -> bool:
        seen.append(open_descriptors(self.pid))
        return len(seen) > 3 and all(descriptors == seen[-1] for descriptors in seen[-3:])

    def connect(self, receive_buffer_bytes: int | None = None) -> socket.socket:
        """Connect, perhaps as a client that takes little at a time."""
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.settimeout(PATIENCE_SECONDS)
        try:
            sock.connect((self.host, self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, stream: bytes) -> bytes:
        """Send all, end the sending side, and give all that is answered."""
        with self.connect() as sock:
            sock.sendall(stream)
            sock.shutdown(socket.SHUT_WR)
            return receive_all(sock)

    def resident_kib(self) -> int:
        """Tell how much memory the process and its children have; what they share counts once."""
        return sum(map(_proportional_kib, [self.pid, *self.children()]))

    def threads(self) -> int:
        """Count the process's threads."""
        return self._status("Threads")

    def cpu_seconds(self) -> float:
        """Tell how long the process has computed."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def children(self) -> list[int]:
        """List the processes that the process has started."""
        return list(map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()))

    def _status(self, key: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))

    def check_nothing_is_left(self) -> None:
        """Serve a new client, and find no descriptor, thread, process and memory of those that were there."""
        assert self.ask(b"help\r\n").startswith(b"0 OK\r\n")
        wait_until(
            lambda: open_descriptors(self.pid) == self.descriptors_at_rest,
            f"descriptors {open_descriptors(self.pid)} are {self.descriptors_at_rest}",
        )
        wait_until(lambda: self.threads() == 1, "no thread is left")
        wait_until(lambda: not self.children(), "no process is left")
        wait_until(
            lambda: self.resident_kib() - self._memory_at_rest_kib < _MOST_LEFT_KIB, "no memory is left"
        )

    def last_words(self) -> str:
        """Kill it; tell whether it had ended already, and what it has written to standard error."""
        ended = self.process.poll()
        self.process.kill()
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        how = "was running" if ended is None else f"had ended with exit code {ended}"
        return f"the server {how}; it said: {errors or 'nothing'}"

    def stop(self) -> tuple[int, str]:
        """Stop with SIGTERM; give the exit code and what it wrote to standard error."""
        self.process.terminate()
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, errors


@contextlib.contextmanager
def running_server(directory: Path, *flags: str, under: Sequence[str] = ()) -> Iterator[RunningServer]:
    """Run a server, under another command perhaps; at the end it must be as at the start, and end well."""
    server = RunningServer(directory, "-a", "127.0.0.1", *flags, under=under)
    try:
        yield server
        if server.process.poll() is None:
            server.check_nothing_is_left()
            code, errors = server.stop()
            assert code == 0
            assert re.fullmatch(server.says, errors), errors
    finally:
        server.process.kill()
        server.process.communicate()
