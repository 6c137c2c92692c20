"""Keeps the server running on a host where no systemd does: ships with each release, standard library only.

`supervise BASE` runs the release that `BASE/current` names: starts it again when it ends, later and later
when it ends soon, and keeps what it prints in `BASE/log/server.log`, rotated. `start BASE` does so in the
background, for `@reboot` of crontab(5). `run BASE` only becomes the server, for systemd, which does the rest
itself.

A lock on `BASE/run/supervisor.lock` says that it runs, and who it is: fcntl(2), F_GETLK tells the process.
The kernel takes it back when the process ends, however it ends.
"""

# It has to start quickly, and pathlib alone takes as long as the rest: paths are strings here.
# ruff: noqa: PTH103, PTH105, PTH111
# ruff: noqa: PTH118, PTH123, SIM105

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import IO, Any

# A log file, and how many of them there are beside the one that is written.
LOG_BYTES = 1 << 20
LOGS_KEPT = 3
# The pause before the first new start, doubled with each further one up to the longest; what has run for so
# long counts as well again.
PAUSE_S, PAUSE_MAX_S, WELL_AFTER_S = 0.2, 30.0, 30.0
# hftp gives running answers 5 s after SIGTERM.
STOP_S = 8.0
RECENT_BYTES = 65536


def server_argv(base: str) -> list[str]:
    """Return the command of the release that is current: with its own path, not the symbolic link's."""
    release = os.path.realpath(os.path.join(base, "current"))
    with open(os.path.join(release, "release.json"), encoding="utf-8") as file:
        serve = json.load(file)["serve"]
    argv = [sys.executable, "-I", os.path.join(release, "hftp.pyz"), "serve"]
    for address in serve["addresses"]:
        argv.append(f"--address={address}")
    directory = os.path.join(os.path.expanduser("~"), serve["directory"])
    return [*argv, f"--port={serve['port']}", f"--directory={directory}", *serve.get("options", ())]


class Log:
    """A file that is rotated: `server.log`, `server.log.1` and so on, the oldest dropped.

    Args:
        path: the one that is written.
        limit_bytes: of each file.
    """

    def __init__(self, path: str, limit_bytes: int = LOG_BYTES) -> None:
        self._path, self._limit = path, limit_bytes
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (open as long as this process)

    def write(self, piece: bytes) -> None:
        """Append; a full disk loses lines, and nothing else."""
        try:
            if self._file.tell() + len(piece) > self._limit:
                self._rotate()
            self._file.write(piece)
        except OSError:
            pass

    def say(self, text: str) -> None:
        """Append a line of the supervisor's own."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.write(f"{when} supervisor: {text}\n".encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(LOGS_KEPT, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            try:
                os.replace(older, f"{self._path}.{number}")
            except FileNotFoundError:
                pass
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115


class Supervisor:
    """One server at a time, until SIGTERM.

    Args:
        base: the directory of this deployment.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._log = Log(os.path.join(base, "log", "server.log"))
        self._restarts = 0
        self._stopping = False
        self._wakeup, waker = os.pipe()
        for descriptor in (self._wakeup, waker):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGHUP, signal.SIGINT):  # a terminal's: there is none
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def supervise(self) -> None:
        """Run the server again and again."""
        pause_s = PAUSE_S
        while not self._stopping:
            started = time.monotonic()
            said = self._run()
            if self._stopping:
                return
            pause_s = PAUSE_S if time.monotonic() - started > WELL_AFTER_S else pause_s
            self._restarts += 1
            self._log.say(f"the server ended: {said}; it starts again in {pause_s:g} s")
            self._tell(None, said)
            select.select([self._wakeup], [], [], 0)
            self._drain()
            deadline = time.monotonic() + pause_s
            while not self._stopping and time.monotonic() < deadline:
                select.select([self._wakeup], [], [], max(0.0, deadline - time.monotonic()))
                self._drain()
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    def _run(self) -> str:
        """Run the server to its end; return how it ended."""
        try:
            server = subprocess.Popen(
                server_argv(self._base),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                restore_signals=True,
            )
        except (OSError, ValueError, KeyError) as error:
            return f"it can't be started: {error}"
        assert server.stdout is not None
        with server.stdout as output:
            self._tell(server.pid, "")
            self._watch(server, output)
            self._keep(output)
        code = server.wait()
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def _watch(self, server: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        """Keep what it prints until it has ended; end it when this supervisor is to end."""
        os.set_blocking(output.fileno(), False)
        told, deadline = False, float("inf")
        watched = [output.fileno(), self._wakeup]
        while server.poll() is None:
            if self._stopping and not told:
                server.terminate()
                told, deadline = True, time.monotonic() + STOP_S
            if time.monotonic() > deadline:
                server.kill()
            patience_s = 0.5 if told else None
            readable, _, _ = select.select(watched, [], [], patience_s)
            if output.fileno() in readable and not self._keep(output):
                watched.remove(output.fileno())  # it has closed its output, and may still serve
            self._drain()

    def _keep(self, output: IO[bytes]) -> bool:
        """Keep what there is to read; return whether there may be more."""
        try:
            piece = os.read(output.fileno(), RECENT_BYTES)
        except BlockingIOError:
            return True
        self._log.write(piece)
        return bool(piece)

    def _drain(self) -> None:
        try:
            os.read(self._wakeup, 4096)
        except BlockingIOError:
            pass

    def _tell(self, pid: int | None, ended: str) -> None:
        """Write for `status` what runs: whole or not at all."""
        state: dict[str, Any] = {"pid": pid, "since": time.time(), "restarts": self._restarts, "ended": ended}
        path = os.path.join(self._base, "run", "state.json")
        try:
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(state, file)
            os.replace(path + ".new", path)
        except OSError as error:
            self._log.say(f"{path} can't be written: {error.strerror}")


def supervise(base: str) -> int:
    """Be the one supervisor of a deployment, until SIGTERM."""
    for name in ("run", "log"):
        os.makedirs(os.path.join(base, name), mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(base, "run", "supervisor.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0  # another one does it already
    Supervisor(base).supervise()
    return 0


def start(base: str) -> int:
    """Supervise in the background, in a session of its own."""
    argv = [sys.executable, "-I", "-S", os.path.realpath(__file__), "supervise", base]
    devnull = subprocess.DEVNULL
    subprocess.Popen(argv, stdin=devnull, stdout=devnull, stderr=devnull, cwd="/", start_new_session=True)
    return 0


def run(base: str) -> int:
    """Become the server."""
    argv = server_argv(base)
    os.execv(argv[0], argv)


COMMANDS = {"supervise": supervise, "start": start, "run": run}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](sys.argv[2]))
