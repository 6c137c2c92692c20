"""Does the work of `netlab deploy` on a host: keeps releases there, and a service that runs one of them.

It is sent over the connection, as the agent is (`netlab.session`), runs on Python 3.8 and later with the
standard library alone, and ends with the connection. JSON lines in, JSON lines out. Nothing that it is told
ever comes near a shell.

    BASE/lock                  flock(2) of the one deployer at work; the kernel takes it back when that ends
    BASE/releases/ID/          a release: hftp.pyz, supervisor.py, release.json, of which ID is the SHA-256
    BASE/releases/ID/good      it was healthy and reached as wanted: a release to go back to
    BASE/current -> ID         the one that runs; replaced by rename(2), so always there and whole
    BASE/run/, BASE/log/       the supervisor's, where no systemd does the work
    BASE/deploys.log           a line for each change, and who made it

A release that was switched to is on trial until `confirm`. If the connection ends before, however it ends,
this program goes back to the release before, and only then gives the lock back.
"""

# It has to start quickly, and pathlib alone takes as long as the rest: paths are strings here.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH105, PTH108, PTH110, PTH111, PTH112, PTH116, PTH117
# ruff: noqa: PTH118, PTH119, PTH120, PTH123, PTH208, PTH211, SIM105, UP022

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any, BinaryIO

    Json = dict[str, Any]

# A controller that says nothing for so long is gone, though the connection does not show it: it pings.
IDLE_S = 120
# How long the server may take to listen and answer, on a machine that fifty others are busy beside.
HEALTHY_WITHIN_S = 15.0
ANSWER_S = 5.0
# How long it must have run before it is believed to go on: longer than what fails late at its start takes.
SETTLED_S = 1.0
# Longer than the supervisor gives the server.
STOP_S = 12.0
MARGIN_BYTES = 1 << 20
PIECE_BYTES = 1 << 18
COMMAND_S = 20.0
MANIFEST, PROGRAM, SUPERVISOR, GOOD = "release.json", "hftp.pyz", "supervisor.py", "good"
ID = re.compile(r"[0-9a-f]{64}")
UNIT = "netlab-hftp.service"
NO_SYSTEMD = "systemd does not run"
INCOMING = ".netlab-incoming"
NONCE_PREFIX = "netlab-nonce-"
SHARED_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "afs", "ceph", "9p")


class ProblemError(Exception):
    """Something to tell the user in one line."""


# --- Files -----------------------------------------------------------------------------------------------


def data_home() -> str:
    """Return where an account's programs keep their files (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_DATA_HOME", "")
    return named if os.path.isabs(named) else os.path.join(os.path.expanduser("~"), ".local", "share")


def file_system_of(path: str) -> str:
    """Return the kind of file system a path is on: of the longest mount point above it (proc(5))."""
    best, kind = "", ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                fields = line.split()
                point = fields[4]
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, fields[fields.index("-") + 1]
    except (OSError, ValueError, IndexError):
        pass
    return kind


def base_directory() -> str:
    """Return the deployment's directory; where a home is shared between hosts, each has one of its own."""
    base = os.path.join(os.path.realpath(data_home()), "netlab")
    if file_system_of(base) in SHARED_FILE_SYSTEMS:
        return os.path.join(base, "on-" + os.uname().nodename)
    return base


def nearest(path: str) -> str:
    """Return the longest part of a path that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """Return what an ordinary user may still write there (statvfs(3))."""
    status = os.statvfs(nearest(path))
    return status.f_bavail * status.f_frsize


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE_BYTES), b""):
            digest.update(piece)
    return digest.hexdigest()


def write_whole(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file by another name, and rename it: there whole or not at all, even after a power cut."""
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    sync(os.path.dirname(path))


def sync(path: str) -> None:
    """Have the disk remember a file, or a directory's names (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: str) -> None:
    """Remove a directory, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


# --- Releases --------------------------------------------------------------------------------------------


class Store:
    """The releases on this host.

    Args:
        base: the deployment's directory.
    """

    def __init__(self, base: str) -> None:
        self.base = base

    def path(self, *parts: str) -> str:
        """Return a path below the directory."""
        return os.path.join(self.base, *parts)

    def release(self, name: str) -> str:
        """Return a release's directory."""
        return self.path("releases", name)

    def current(self) -> str:
        """Return the release that is to run; empty for none."""
        try:
            return os.path.basename(os.readlink(self.path("current")))
        except OSError:
            return ""

    def point(self, name: str) -> None:
        """Make a release the current one, in one step; empty for none."""
        if not name:
            remove(self.path("current"))
            return
        remove(self.path("current.new"))
        os.symlink(os.path.join("releases", name), self.path("current.new"))
        os.replace(self.path("current.new"), self.path("current"))
        sync(self.base)

    def names(self) -> list[str]:
        """Return the releases that are there, in no order."""
        try:
            return [name for name in os.listdir(self.path("releases")) if ID.fullmatch(name)]
        except FileNotFoundError:
            return []

    def good(self) -> list[str]:
        """Return those that have proved good, the latest first."""
        times = {}
        for name in self.names():
            try:
                times[name] = os.stat(os.path.join(self.release(name), GOOD)).st_mtime_ns
            except FileNotFoundError:
                pass
        return sorted(times, key=lambda name: -times[name])

    def is_whole(self, name: str) -> bool:
        """Whether every byte of a release is what its name says."""
        if not ID.fullmatch(name):
            return False
        place = self.release(name)
        try:
            if digest_of(os.path.join(place, MANIFEST)) != name:
                return False
            files = self.manifest(name)["files"]
            return all(digest_of(os.path.join(place, file)) == digest for file, digest in files.items())
        except (OSError, ValueError, KeyError):
            return False

    def manifest(self, name: str) -> Json:
        """Return what a release says of itself."""
        with open(os.path.join(self.release(name), MANIFEST), encoding="utf-8") as file:
            manifest: Json = json.load(file)
        return manifest

    def accept(self, incoming: str, name: str) -> None:
        """Give an upload its name, if it is that release.

        Raises:
            ProblemError: it is not.
        """
        with open(os.path.join(incoming, MANIFEST), encoding="utf-8") as file:
            files = json.load(file)["files"]
        for file_name, digest in files.items():
            came = digest_of(os.path.join(incoming, file_name))
            if came != digest:
                raise ProblemError(
                    f"{file_name} did not come over whole: its SHA-256 is {came[:12]}, not {digest[:12]}"
                )
            sync(os.path.join(incoming, file_name))
        if digest_of(os.path.join(incoming, MANIFEST)) != name:
            raise ProblemError(f"{MANIFEST} did not come over whole")
        if os.path.exists(self.release(name)):  # damaged: it would not have been sent again otherwise
            os.rename(self.release(name), incoming + ".damaged")
        os.rename(incoming, self.release(name))
        sync(self.path("releases"))
        remove_tree(incoming + ".damaged")

    def prune(self, keep: int) -> list[str]:
        """Remove all releases but the current one and the latest good ones; return what is left."""
        current = self.current()
        kept = {current, *[name for name in self.good() if name != current][:keep]}
        for name in self.names():
            if name not in kept:
                self.drop(name)
        self.sweep()
        return [name for name in self.good() if name in kept]

    def drop(self, name: str) -> None:
        """Remove a release: by another name first, as half a release must never look like one."""
        doomed = self.path("releases", ".doomed-" + name)
        remove_tree(doomed)
        os.rename(self.release(name), doomed)
        remove_tree(doomed)

    def sweep(self) -> None:
        """Remove what deployments that were cut short have left."""
        try:
            left = [name for name in os.listdir(self.path("releases")) if name.startswith(".")]
        except FileNotFoundError:
            return
        for name in left:
            remove_tree(self.path("releases", name))


# --- The kernel's view: sockets and processes ------------------------------------------------------------

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
    """Wait for a condition, looking more and more rarely; return whether it came."""
    deadline, pause_s = time.monotonic() + patience_s, 0.01
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.2)
    return True


# --- The service: what runs the current release, and keeps it running ------------------------------------


class Supervised:
    """The service where no systemd is: our own supervisor, in the background.

    Args:
        store: the releases.
    """

    method = "supervised"

    def __init__(self, store: Store) -> None:
        self._store = store

    def _supervisor(self) -> int:
        return lock_holder(self._store.path("run", "supervisor.lock"))

    def pid(self) -> int:
        """Return the server's process; 0 if none runs."""
        if not self._supervisor():
            return 0
        return self._state().get("pid") or 0

    def _state(self) -> Json:
        try:
            with open(self._store.path("run", "state.json"), encoding="utf-8") as file:
                state: Json = json.load(file)
        except (OSError, ValueError):
            return {}
        return state

    def since(self) -> float:
        """Return when the server was started, in seconds since the epoch; 0 if none runs."""
        return float(self._state().get("since") or 0) if self._supervisor() else 0.0

    def restarts(self) -> int:
        """Return how often it ended by itself, since it was deployed or the host started."""
        return int(self._state().get("restarts") or 0) if self._supervisor() else 0

    def ended(self) -> str:
        """Return how it ended last."""
        return str(self._state().get("ended") or "")

    def start(self) -> None:
        """Start the current release."""
        remove(self._store.path("run", "state.json"))
        script = self._store.path("current", SUPERVISOR)
        devnull = subprocess.DEVNULL
        # Its own session: it is to outlive this one. It gets none of our descriptors, so not the lock.
        subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.realpath(script), "supervise", self._store.base],
            stdin=devnull,
            stdout=devnull,
            stderr=devnull,
            cwd="/",
            start_new_session=True,
        )

    def stop(self) -> None:
        """End the supervisor and its server, and a server whose supervisor was killed."""
        pid = self._supervisor()
        if pid:
            end(pid, signal.SIGTERM)
            if not wait_until(lambda: self._supervisor() != pid, STOP_S):
                end(pid, signal.SIGKILL)
        for pid in self._orphans():
            end(pid, signal.SIGTERM)
            if not wait_until(partial(is_gone, pid), STOP_S):
                end(pid, signal.SIGKILL)
                wait_until(partial(is_gone, pid), 1.0)
        remove(self._store.path("run", "state.json"))

    def _orphans(self) -> list[int]:
        ours = self._store.path("releases") + os.sep
        return [
            pid
            for pid in processes()
            if any(word.startswith(ours) and word.endswith(PROGRAM) for word in argv_of(pid)[:4])
            and is_neighbour(pid)
        ]

    def enable(self) -> str:
        """Have it started when the host starts; return why that is not possible."""
        line = reboot_line(sys.executable, self._store.path("current", SUPERVISOR), self._store.base)
        table = read_crontab()
        if table is None:
            return "it will not start with the host: this account has neither a systemd unit nor cron"
        kept = [other for other in table if not other.endswith(CRON_MARK)]
        if [*kept, line] != table:
            return write_crontab([*kept, line])
        return ""

    def disable(self) -> None:
        """Take that back."""
        table = read_crontab() or []
        kept = [line for line in table if not line.endswith(CRON_MARK)]
        if kept != table:
            write_crontab(kept)

    def log(self, lines: int, cursor: str) -> Json:
        """Return the last lines of the log, or what came after a cursor."""
        path = self._store.path("log", "server.log")
        if not cursor:
            return self._log_tail(path, lines)
        inode, _, offset = cursor.partition(":")
        pieces = []
        for candidate in (path + ".1", path):
            try:
                with open(candidate, "rb") as file:
                    same = str(os.fstat(file.fileno()).st_ino) == inode
                    if candidate != path and not same:
                        continue
                    file.seek(int(offset) if same else 0)
                    pieces.append(file.read(PIECE_BYTES))
                    cursor = f"{os.fstat(file.fileno()).st_ino}:{file.tell()}"
            except FileNotFoundError:
                continue
        return {"text": b"".join(pieces).decode("utf-8", "replace"), "cursor": cursor}

    def _log_tail(self, path: str, lines: int) -> Json:
        content, cursor = b"", "0:0"
        for candidate in (path + ".1", path):
            try:
                with open(candidate, "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    file.seek(max(0, size - (1 << 20)))
                    content += file.read()
                    cursor = f"{os.fstat(file.fileno()).st_ino}:{file.tell()}"
            except FileNotFoundError:
                continue
        last = content.decode("utf-8", "replace").splitlines(True)[-lines:]
        return {"text": "".join(last), "cursor": cursor}


# --- cron: crontab(1), crontab(5) ------------------------------------------------------------------------

CRON_MARK = "# netlab deploy"


def reboot_line(python: str, script: str, base: str) -> str:
    """Return the crontab line that starts the supervisor with the host.

    cron gives the line to a shell, and takes a bare % for the end of it (crontab(5)).
    """
    words = " ".join(quoted(word) for word in (python, "-I", "-S", script, "start", base))
    return f"@reboot {words}".replace("%", "\\%") + f" {CRON_MARK}"


def quoted(word: str) -> str:
    """Quote a word for the shell: what is not harmless, in single quotes (shlex.quote)."""
    if re.fullmatch(r"[a-zA-Z0-9@_+=:,./-]+", word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def read_crontab() -> list[str] | None:
    """Return the account's lines; None where it can't have any."""
    if not shutil.which("crontab"):
        return None
    code, out, err = command(["crontab", "-l"])
    if code and "no crontab" not in err:
        return None
    return out.splitlines() if not code else []


def write_crontab(lines: list[str]) -> str:
    """Write the account's lines; return what went wrong."""
    code, _, err = command(["crontab", "-"], "".join(line + "\n" for line in lines))
    return f"it will not start with the host: crontab: {err.strip()}" if code else ""


def command(argv: list[str], given: str = "") -> tuple[int, str, str]:
    """Run a program to its end; return its exit code, output and errors."""
    try:
        done = subprocess.run(
            argv,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=COMMAND_S,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, "", str(error)
    return done.returncode, done.stdout, done.stderr


# --- systemd: systemd.service(5), systemd.exec(5) --------------------------------------------------------

# What a service that reads one directory and listens does not need. The first works everywhere; the second
# needs namespaces (for a user's manager those of users, which some kernels forbid); the third often fails in
# containers.
ALWAYS = ("NoNewPrivileges=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "UMask=0077")
SANDBOX = (
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
)
DEVICES = ("PrivateDevices=yes",)
# For the system's manager only: a user's has no capabilities to give up.
CAPABILITIES = ("CapabilityBoundingSet=CAP_NET_BIND_SERVICE",)
HARDENINGS = ((*ALWAYS, *SANDBOX, *DEVICES), (*ALWAYS, *SANDBOX), ALWAYS)
# EXIT_NAMESPACE and EXIT_CAPABILITIES of systemd.exec(5), "Process exit codes".
NO_SANDBOX_CODES = ("218", "226")


def unit_text(python: str, base: str, hardening: tuple[str, ...], *, system: bool) -> str:
    """Return the unit."""
    words = " ".join(
        unit_word(word) for word in (python, "-I", "-S", base + "/current/" + SUPERVISOR, "run", base)
    )
    lines = "\n".join([*hardening, *(CAPABILITIES if system else ())])
    return f"""# Written by `netlab deploy`, which replaces it.
[Unit]
Description=HFTP server, deployed by netlab
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={words}
Restart=on-failure
RestartSec=0.2
TimeoutStopSec=10
{lines}

[Install]
WantedBy={"multi-user.target" if system else "default.target"}
"""


def unit_word(word: str) -> str:
    """Quote a word of ExecStart (systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting")."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(plain, escaped)
    return f'"{word}"'


class Systemd:
    """The service as a unit: of the account's own manager, or of the system's where the account is root.

    Args:
        store: the releases.
    """

    method = "systemd"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._system = os.geteuid() == 0
        if not self._system:
            os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
            self._bus = f"unix:path={os.environ['XDG_RUNTIME_DIR']}/bus"
            os.environ.setdefault("DBUS_SESSION_BUS_ADDRESS", self._bus)

    @classmethod
    def why_not(cls) -> str:
        """Return why there is no such service here; empty if there is.

        Source: sd_booted(3). A user's manager outlives the last login only where the account lingers
        (loginctl(1)).
        """
        if not os.path.isdir("/run/systemd/system"):
            return NO_SYSTEMD
        if os.geteuid() == 0:
            return ""
        user = account_name()
        if not os.path.exists(f"/var/lib/systemd/linger/{user}"):
            code, _, err = command(["loginctl", "enable-linger"])
            if code or not os.path.exists(f"/var/lib/systemd/linger/{user}"):
                return f"the account may not linger: {err.strip() or 'loginctl enable-linger'}"
        manager = f"/run/user/{os.getuid()}/systemd"
        return "" if wait_until(lambda: os.path.isdir(manager), 5.0) else "the account has no manager"

    def _control(self, *words: str) -> tuple[int, str, str]:
        return command(["systemctl", *(() if self._system else ("--user",)), *words])

    def _unit_path(self) -> str:
        if self._system:
            return f"/etc/systemd/system/{UNIT}"
        named = os.environ.get("XDG_CONFIG_HOME", "")
        config = named if os.path.isabs(named) else os.path.join(os.path.expanduser("~"), ".config")
        return os.path.join(config, "systemd", "user", UNIT)

    def _show(self) -> dict[str, str]:
        wanted = "MainPID,ExecMainStartTimestamp,NRestarts,ExecMainStatus,Result,ActiveState"
        _, out, _ = self._control("show", UNIT, "--property", wanted)
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def pid(self) -> int:
        """Return the server's process; 0 if none runs."""
        return int(self._show().get("MainPID") or 0)

    def since(self) -> float:
        """Return when the server was started, in seconds since the epoch; 0 if none runs."""
        try:
            return os.stat(f"/proc/{self.pid()}").st_mtime
        except OSError:
            return 0.0

    def restarts(self) -> int:
        """Return how often it ended by itself."""
        return int(self._show().get("NRestarts") or 0)

    def ended(self) -> str:
        """Return how it ended last."""
        shown = self._show()
        return f"{shown.get('Result', '')}, status {shown.get('ExecMainStatus', '')}"

    def start(self) -> None:
        """Start the current release; with a lighter sandbox where the kernel refuses the full one.

        Raises:
            ProblemError: it can't be started.
        """
        for hardening in HARDENINGS:
            text = unit_text(sys.executable, self._store.base, hardening, system=self._system)
            os.makedirs(os.path.dirname(self._unit_path()), exist_ok=True)
            write_whole(self._unit_path(), text.encode(), 0o644)
            # What systemd would start again by itself is not to come in between.
            for words in (("stop", UNIT), ("daemon-reload",), ("reset-failed", UNIT), ("enable", UNIT)):
                self._control(*words)
            code, _, err = self._control("start", UNIT)
            time.sleep(0.1)
            if self._show().get("ExecMainStatus") in NO_SANDBOX_CODES and hardening is not ALWAYS:
                continue
            if code:
                raise ProblemError(f"systemctl start {UNIT}: {' '.join(err.split())}")
            return

    def stop(self) -> None:
        """End the server."""
        self._control("stop", UNIT)

    def enable(self) -> str:
        """Do nothing: an enabled unit starts with the host."""
        return ""

    def disable(self) -> None:
        """Remove the unit."""
        self._control("disable", UNIT)
        remove(self._unit_path())
        self._control("daemon-reload")

    def log(self, lines: int, cursor: str) -> Json:
        """Return the last lines of the journal, or what came after a cursor (journalctl(1))."""
        unit = f"--unit={UNIT}" if self._system else f"--user-unit={UNIT}"
        since = [f"--after-cursor={cursor}"] if cursor else [f"--lines={lines}"]
        code, out, err = command(
            ["journalctl", unit, "--output=short-iso", "--show-cursor", "--quiet", *since]
        )
        if code:
            raise ProblemError(f"journalctl: {' '.join(err.split())}")
        text, mark, last = out.rpartition("-- cursor: ")
        return {"text": text if mark else out, "cursor": last.strip() if mark else cursor}


def account_name() -> str:
    """Return the account's name; its number where it has none."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


if TYPE_CHECKING:
    from typing import Union

    Service = Union[Supervised, Systemd]


def choose_service(store: Store, wanted: str) -> tuple[Service, str]:
    """Return what runs the server here, and why not a unit, where systemd runs.

    Args:
        store: the releases.
        wanted: `auto`, `systemd` or `supervised`.

    Raises:
        ProblemError: what is wanted is not there.
    """
    if wanted == "supervised":
        return Supervised(store), ""
    why_not = Systemd.why_not()
    if not why_not:
        return Systemd(store), ""
    if wanted == "systemd":
        raise ProblemError(f"no systemd unit is possible: {why_not}")
    return Supervised(store), "" if why_not == NO_SYSTEMD else f"no systemd unit: {why_not}"


def recorded_service(store: Store) -> Service:
    """Return what runs the server that was deployed here."""
    try:
        with open(store.path("method"), encoding="ascii") as file:
            method = file.read().strip()
    except OSError:
        method = Supervised.method
    return Systemd(store) if method == Systemd.method else Supervised(store)


# --- Checks ----------------------------------------------------------------------------------------------


def listening_places(address: str, port: int) -> list[tuple[int, Any]]:
    """Return the socket address that a configured one means: the first that a name has, as hftp takes it.

    Raises:
        ProblemError: the name has none.
    """
    try:
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(address, port, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, flags)
    except (OSError, UnicodeError) as error:
        raise ProblemError(f"{address} has no address here: {getattr(error, 'strerror', error)}") from None
    return [(family, place) for family, _, _, _, place in found[:1]]


def address_problem(address: str, port: int, ours: set[int]) -> str:
    """Return why a server can't listen there; empty if it can, or if ours does.

    The kernel is asked: bind(2) says whether the address is there and the port free.
    """
    try:
        places = listening_places(address, port)
    except ProblemError as unresolved:
        return str(unresolved)
    for family, place in places:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(place)
            except OSError as error:
                problem = bind_problem(error, address, port, ours)
                if problem:
                    return problem
    return ""


def bind_problem(error: OSError, address: str, port: int, ours: set[int]) -> str:
    """Return what an error of bind(2) means for a deployment."""
    if error.errno == errno.EADDRINUSE:
        others = listening_inodes(port) - ours
        return f"port {port} is taken by {who_listens(others)}" if others else ""
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this host"
    if error.errno == errno.EACCES:
        return f"port {port} may be listened on by root only (net.ipv4.ip_unprivileged_port_start)"
    return f"{address}: {error.strerror}"


def directory_problem(directory: str, base: str) -> str:
    """Return why a directory can't be served."""
    real = os.path.realpath(directory)
    if real == base or real.startswith(base + os.sep) or base.startswith(real.rstrip(os.sep) + os.sep):
        return f"{directory} can't be served: netlab's own files are there ({base})"
    if os.path.exists(directory):
        if not os.path.isdir(directory):
            return f"{directory} is no directory"
        return (
            "" if os.access(directory, os.R_OK | os.X_OK) else f"{directory} may not be read by this account"
        )
    parent = nearest(directory)
    return (
        ""
        if os.access(parent, os.W_OK | os.X_OK)
        else f"{directory} can't be made: {parent} may not be written"
    )


def served_directory(serve: Json) -> str:
    """Return the data directory: as the server sees it."""
    return os.path.join(os.path.expanduser("~"), serve["directory"])


def ask(address: str, port: int) -> str:
    """Ask an HFTP server for its listing; return what is wrong, empty if it answers."""
    try:
        family, place = listening_places(address, port)[0]
        host = place[0]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(ANSWER_S)
            sock.connect((host, *place[1:]))
            sock.sendall(b"get_file_listing\r\n")
            line = b""
            while b"\n" not in line and len(line) < 64:
                piece = sock.recv(64)
                if not piece:
                    break
                line += piece
    except ProblemError as problem:
        return str(problem)
    except TimeoutError:
        return f"{address} port {port} does not answer within {ANSWER_S:g} s"
    except OSError as error:
        return f"{address} port {port}: {error.strerror}"
    return "" if line.startswith(b"0 ") else f"{address} port {port} answers {ascii(line[:40])[1:]}"


# --- The deployer ----------------------------------------------------------------------------------------


class Deployer:
    """Answers requests; holds the lock, and a release on trial."""

    def __init__(self) -> None:
        self._store = Store(base_directory())
        self._service: Service = recorded_service(self._store)
        self._lock = -1
        self._who = "?"
        self._trial = False  # whether a release was switched to that is not confirmed
        self._before = ""  # the release to go back to
        self._nonces: list[str] = []
        self._operations = {
            "ping": lambda request: {},
            "lock": self.lock,
            "survey": self.survey,
            "receive": self.receive,
            "install": self.install,
            "switch": self.switch,
            "revert": self.revert,
            "confirm": self.confirm,
            "offer": self.offer,
            "withdraw": self.withdraw,
            "compare": self.compare,
            "incoming": self.incoming,
            "place": self.place,
            "delete": self.delete,
            "rollback": self.rollback,
            "undeploy": self.undeploy,
            "log": self.log,
        }

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a request."""
        answer: Json = {"id": None}
        try:
            request = json.loads(line)
            answer["id"] = request["id"]
            answer["ok"] = self._operations[request["op"]](request)
        except ProblemError as problem:
            answer["error"] = str(problem)
        except Exception as error:
            answer["error"] = in_words(error)
        return json.dumps(answer).encode() + b"\n"

    def close(self) -> None:
        """Take back what was not confirmed."""
        self.withdraw({})
        if self._trial:
            self.revert({"why": "the deployment ended before it was confirmed"})

    # --- the lock

    def lock(self, request: Json) -> Json:
        """Be the only one who changes this host; wait a little for one who is about to end.

        Source: flock(2): the lock goes with the last descriptor, so with this process.
        """
        os.makedirs(self._store.base, mode=0o700, exist_ok=True)
        self._who = str(request["who"])
        path = self._store.path("lock")
        deadline = time.monotonic() + float(request["wait_s"])
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_same(descriptor, path):  # or it was removed with the deployment meanwhile
                    break
            except OSError:
                if time.monotonic() > deadline:
                    holder = os.read(descriptor, 256).decode("utf-8", "replace")
                    raise ProblemError(f"another deployment is at work: {printable(holder)}") from None
                time.sleep(0.1)
            os.close(descriptor)
        os.ftruncate(descriptor, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        os.pwrite(descriptor, f"{self._who}, process {os.getpid()}, since {since}".encode(), 0)
        self._lock = descriptor
        self._store.sweep()
        return {}

    # --- what there is

    def survey(self, request: Json) -> Json:
        """Say what is here, and what stands against the release that is asked about; change nothing."""
        store, service = self._store, self._service
        current, pid = store.current(), service.pid()
        manifest = store.manifest(current) if current and store.is_whole(current) else None
        found: Json = {
            "base": store.base,
            "current": current,
            "good": store.good(),
            "whole": manifest is not None,
            "running": pid != 0,
            "since": service.since(),
            "restarts": service.restarts(),
            "method": service.method,
            "serve": manifest["serve"] if manifest else None,
            "version": manifest["version"] if manifest else "",
            "health": self._health(current) if current else "nothing is deployed",
            "now": time.time(),
            "problems": [],
            "here": False,
        }
        if request.get("release"):
            found["here"] = store.is_whole(request["release"])
            found["problems"] = self._problems(request, found["here"])
        return found

    def _problems(self, request: Json, here: bool) -> list[str]:
        problems = []
        if sys.version_info < (3, 9):
            version = ".".join(str(part) for part in sys.version_info[:3])
            problems.append(f"the server needs Python 3.9, here is {version}: name another one (python:)")
        base = self._store.base
        free, needed = free_bytes(base), 0 if here else 2 * int(request["bytes"]) + MARGIN_BYTES
        if free < needed:
            problems.append(
                f"the disk is full: {free >> 10} KiB free in {nearest(base)}, {needed >> 10} needed"
            )
        if not os.access(nearest(base), os.W_OK | os.X_OK):
            problems.append(f"{nearest(base)} may not be written by this account")
        serve = request["serve"]
        ours = self._own_sockets()
        asked = [address_problem(address, serve["port"], ours) for address in serve["addresses"]]
        problems += [*dict.fromkeys(asked), directory_problem(served_directory(serve), base)]
        return [problem for problem in problems if problem]

    def _own_sockets(self) -> set[int]:
        """Return the sockets of servers that are ours, also of one whose supervisor was killed."""
        pids = {self._service.pid()}
        if isinstance(self._service, Supervised):
            pids.update(self._service._orphans())
        return {inode for pid in pids if pid for inode in sockets_of(pid)}

    def _health(self, name: str) -> str:
        """Return what is wrong with a release that should run; empty if it serves."""
        try:
            serve = self._store.manifest(name)["serve"]
        except (OSError, ValueError, KeyError):
            return "its files are damaged"
        pid = self._service.pid()
        if not pid:
            return f"it does not run ({self._service.ended() or 'it was never started'})"
        program = os.path.join(self._store.release(name), PROGRAM)
        argv = argv_of(pid)
        if program not in argv:
            if "run" in argv or not argv:  # on its way to become the server
                return "it has not started yet"
            return "another release runs"
        if not sockets_of(pid) & listening_inodes(serve["port"]):
            return f"it does not listen on port {serve['port']}"
        for address in serve["addresses"]:
            problem = ask(address, serve["port"])
            if problem:
                return problem
        return ""

    # --- a new release

    def receive(self, request: Json) -> Json:
        """Make room for an upload; return where it goes."""
        self._must_be_locked()
        incoming = self._store.path("releases", ".incoming-" + checked_id(request["release"]))
        remove_tree(incoming)
        os.makedirs(incoming, mode=0o700)
        return {"path": incoming}

    def install(self, request: Json) -> Json:
        """Complete an upload: verified, on disk, and with its name. What SFTP brought is there already."""
        self._must_be_locked()
        name = checked_id(request["release"])
        incoming = self._store.path("releases", ".incoming-" + name)
        for file, content in ((MANIFEST, request["manifest"]), (SUPERVISOR, request["supervisor"])):
            write_whole(os.path.join(incoming, file), content.encode())
        self._store.accept(incoming, name)
        return {}

    def switch(self, request: Json) -> Json:
        """Run a release that is here; go back by itself if it is not healthy.

        Returns:
            `healthy`; otherwise `problem`, and in `back` the release that runs again, empty for none.
        """
        self._must_be_locked()
        name = checked_id(request["release"])
        if not self._store.is_whole(name):
            raise ProblemError(f"release {name[:12]} is not here, or damaged")
        service, no_unit = choose_service(self._store, request["method"])
        previous = [good for good in self._store.good() if good != name and self._store.is_whole(good)]
        self._before = previous[0] if previous else ""
        os.makedirs(served_directory(self._store.manifest(name)["serve"]), exist_ok=True)
        serves_already = self._store.current() == name and not self._health(name)
        if self._service.pid() and not serves_already:
            problem = self._try_out(name)
            if problem:
                self._audit("refused", name, problem)
                self._discard(name)
                return {"healthy": False, "problem": problem, "back": self._store.current(), "never": True}
        self._trial = True
        try:
            note = self._change_to(name, service)
        except (ProblemError, OSError) as error:
            problem = in_words(error)
            return {"healthy": False, "problem": problem, **self.revert({"why": problem})}
        return {"healthy": True, "notes": [text for text in (no_unit, note) if text]}

    def _try_out(self, name: str) -> str:
        """Run a release beside the old one, on a free port of 127.0.0.1; return what is wrong."""
        serve = self._store.manifest(name)["serve"]
        program = os.path.join(self._store.release(name), PROGRAM)
        argv = [sys.executable, "-I", program, "serve", "--address=127.0.0.1", "--port=0"]
        argv += [f"--directory={served_directory(serve)}", *serve.get("options", ())]
        out = subprocess.PIPE
        devnull = subprocess.DEVNULL
        with subprocess.Popen(argv, stdin=devnull, stdout=out, stderr=subprocess.STDOUT, cwd="/") as server:
            assert server.stdout is not None
            try:
                said = read_announcement(server.stdout.fileno(), HEALTHY_WITHIN_S)
                port = re.search(r"listening on \S*:(\d+)", said)
                if not port:
                    lines = [line.strip() for line in said.splitlines() if line.strip()]
                    last = printable(lines[-1]) if lines else "it says nothing"
                    return f"tried out beside the old one, it does not serve: {last}"
                problem = ask("127.0.0.1", int(port[1]))
                return f"tried out beside the old one: {problem}" if problem else ""
            finally:
                server.kill()

    def _change_to(self, name: str, service: Service) -> str:
        """Stop what runs, switch, start, and wait until it is healthy.

        Raises:
            ProblemError: it is not.
        """
        if (
            self._store.current() == name
            and service.method == self._service.method
            and not self._health(name)
        ):
            return ""
        self._service.stop()
        if service.method != self._service.method:
            self._service.disable()
        self._service = service
        write_whole(self._store.path("method"), service.method.encode())
        self._store.point(name)
        service.start()
        self._wait_healthy(name)
        return service.enable()

    def _wait_healthy(self, name: str) -> None:
        problem = "it was not asked"

        def settled() -> bool:
            nonlocal problem
            problem = self._health(name)
            return not problem or self._service.restarts() >= 2

        wait_until(settled, HEALTHY_WITHIN_S)
        if problem:
            raise ProblemError(self._with_last_words(problem))

    def _with_last_words(self, problem: str) -> str:
        try:
            lines = self._service.log(20, "")["text"].splitlines()
        except (ProblemError, OSError):
            return problem
        said = [line.strip() for line in lines if " supervisor: " not in line and line.strip()]
        return f"{problem}; its last words: {printable(said[-1])}" if said else problem

    def revert(self, request: Json) -> Json:
        """Go back to the release before, or to none; return which one runs now."""
        self._must_be_locked()
        failed, back = self._store.current(), self._before
        self._trial = False
        problem = ""
        self._audit("took back", failed, str(request.get("why", "")))
        try:
            if back:
                self._change_to(back, self._service)
            else:
                self._service.stop()
                self._service.disable()
                self._store.point("")
        except (ProblemError, OSError) as error:
            problem = in_words(error)
        if failed != back:
            self._discard(failed)
        return {"back": back, "back_problem": problem}

    def _discard(self, name: str) -> None:
        """Remove a release that failed, unless it is one that was good before."""
        if name in self._store.names() and name not in (self._store.current(), *self._store.good()):
            self._store.drop(name)

    def confirm(self, request: Json) -> Json:
        """Keep the release that runs: it is one to go back to from now on.

        Raises:
            ProblemError: it does not serve any more.
        """
        self._must_be_locked()
        current = self._store.current()
        if self._trial:
            wait_until(self._has_settled, HEALTHY_WITHIN_S)
        problem = self._health(current)
        if not problem and self._service.restarts() and self._trial:
            problem = f"it ended and had to be started again ({self._service.ended()})"
        if problem:
            raise ProblemError(self._with_last_words(problem))
        write_whole(os.path.join(self._store.release(current), GOOD), b"")
        if self._trial:
            self._audit("deployed", current, f"before: {self._before[:12] or 'nothing'}")
        self._trial = False
        return {"kept": self._store.prune(int(request["keep"]))}

    def _has_settled(self) -> bool:
        """Whether the server has run for a while, or has ended: some live just long enough to answer."""
        return time.time() - self._service.since() > SETTLED_S or self._service.restarts() > 0

    def rollback(self, request: Json) -> Json:
        """Say which release a rollback goes to: a good one but not the current, the latest or one by name."""
        current = self._store.current()
        wanted = str(request.get("to") or "")
        others = [name for name in self._store.good() if name != current and self._store.is_whole(name)]
        chosen = [name for name in others if name.startswith(wanted)]
        if not chosen:
            which = f"no release {wanted} is kept" if wanted else "no earlier release is kept"
            listed = ", ".join(name[:12] for name in others)
            raise ProblemError(which + (f": there is {listed}" if others else ""))
        return {"id": chosen[0]}

    def undeploy(self, request: Json) -> Json:
        """Remove everything but the data directory."""
        self._must_be_locked()
        there = bool(self._store.current() or self._store.names())
        self._service.stop()
        self._service.disable()
        remove_tree(self._store.base)
        if os.path.exists(self._store.base):
            raise ProblemError(f"{self._store.base} can't be removed altogether: see who owns what is in it")
        return {"there": there}

    # --- proof that it is us

    def offer(self, request: Json) -> Json:
        """Put a file with a nonce among those that are served, so that who reads it has reached this host."""
        self._must_be_locked()
        path = os.path.join(self._data(), NONCE_PREFIX + checked_id(request["name"])[:16])
        self._nonces.append(path)
        write_whole(path, str(request["nonce"]).encode(), 0o644)
        return {"file": os.path.basename(path)}

    def withdraw(self, request: Json) -> Json:
        """Remove such files, also those of a deployment that was cut short."""
        for path in self._nonces:
            remove(path)
        self._nonces = []
        return {}

    def _data(self) -> str:
        current = self._store.current()
        if not current:
            raise ProblemError("nothing is deployed")
        return served_directory(self._store.manifest(current)["serve"])

    # --- the files to serve

    def compare(self, request: Json) -> Json:
        """Say which files are missing here or other ones, and which are here alone."""
        directory = served_directory(request)
        wanted: dict[str, list[Any]] = request["files"]
        changed = [
            name for name, (size, digest) in wanted.items() if not is_file(directory, name, size, digest)
        ]
        try:
            present = [entry.name for entry in os.scandir(directory) if entry.is_file(follow_symlinks=False)]
        except OSError:
            present = []
        extra = [name for name in present if name not in wanted and not name.startswith(NONCE_PREFIX)]
        return {"changed": changed, "extra": sorted(extra), "free": free_bytes(directory)}

    def incoming(self, request: Json) -> Json:
        """Make room for files; return where they go: on the same file system, and not served."""
        self._must_be_locked()
        directory = served_directory(request)
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, INCOMING)
        remove_tree(path)
        os.mkdir(path, 0o700)
        for entry in list(os.scandir(directory)):
            if entry.name.startswith(NONCE_PREFIX):
                remove(entry.path)
        return {"path": path}

    def place(self, request: Json) -> Json:
        """Give uploaded files their names, each in one step, if they came over whole."""
        self._must_be_locked()
        directory = served_directory(request)
        for name, digest in request["files"].items():
            path = os.path.join(directory, INCOMING, plain_name(name))
            came = digest_of(path)
            if came != digest:
                raise ProblemError(
                    f"{name} did not come over whole: its SHA-256 is {came[:12]}, not {digest[:12]}"
                )
            os.chmod(path, 0o644)
            sync(path)
            os.replace(path, os.path.join(directory, name))
        sync(directory)
        if request["last"]:
            remove_tree(os.path.join(directory, INCOMING))
        return {}

    def delete(self, request: Json) -> Json:
        """Remove files from the data directory."""
        self._must_be_locked()
        for name in request["names"]:
            remove(os.path.join(served_directory(request), plain_name(name)))
        return {}

    # --- what it says

    def log(self, request: Json) -> Json:
        """Return what the server printed."""
        return self._service.log(int(request["lines"]), str(request["cursor"]))

    def _audit(self, what: str, name: str, detail: str) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = printable(f"{when} {self._who} {what} {name[:12] or 'nothing'} {detail}") + "\n"
        try:
            with open(self._store.path("deploys.log"), "a", encoding="utf-8") as file:
                file.write(line)
        except OSError:
            pass

    def _must_be_locked(self) -> None:
        if self._lock < 0:
            raise ProblemError("the lock comes first")


def is_same(descriptor: int, path: str) -> bool:
    """Whether a path still names the file that is open."""
    try:
        return (
            os.path.sameopenfile(descriptor, descriptor)
            and os.fstat(descriptor).st_ino == os.stat(path).st_ino
        )
    except OSError:
        return False


def is_file(directory: str, name: str, size: int, digest: str) -> bool:
    """Whether a regular file has that content."""
    path = os.path.join(directory, plain_name(name))
    try:
        status = os.lstat(path)
        return stat.S_ISREG(status.st_mode) and status.st_size == size and digest_of(path) == digest
    except OSError:
        return False


def plain_name(name: str) -> str:
    """Return a file's name, which leads to no other directory.

    Raises:
        ProblemError: it does.
    """
    if name in ("", ".", "..", INCOMING) or "/" in name or "\0" in name:
        raise ProblemError(f"{name!r} is no file's name")
    return name


def checked_id(name: object) -> str:
    """Return a release's ID.

    Raises:
        ProblemError: it is none.
    """
    if not (isinstance(name, str) and ID.fullmatch(name)):
        raise ProblemError(f"{name!r} is no release")
    return name


def read_announcement(descriptor: int, patience_s: float) -> str:
    """Return what a server prints until it says where it listens, or ends, or patience does."""
    said = b""
    deadline = time.monotonic() + patience_s
    while b"listening on" not in said.rpartition(b"\n")[0]:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(descriptor, 4096) if readable else b""
        if not piece:
            break
        said += piece
    return said.decode("utf-8", "replace")


def printable(text: str) -> str:
    """Return a text of strangers in one line."""
    return "".join(char if char.isprintable() else " " for char in text)[:400]


def in_words(error: BaseException) -> str:
    """Write an exception in one line."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return " ".join(
        (str(error) if isinstance(error, ProblemError) else f"{type(error).__name__}: {error}").split()
    )


class IdleError(Exception):
    """The controller has said nothing for too long."""


def be_idle(number: int, frame: FrameType | None) -> None:
    """End the wait for a request (alarm(2))."""
    raise IdleError


def requests(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines until the stream's end, or until nobody has said anything for too long."""
    signal.signal(signal.SIGALRM, be_idle)
    while True:
        signal.alarm(IDLE_S)
        try:
            line = stream.readline()
        except IdleError:
            return
        finally:
            signal.alarm(0)
        if not line.endswith(b"\n"):
            return
        yield line


def main() -> None:
    """Answer requests until there are no more, and leave a whole release behind."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    deployer = Deployer()
    try:
        for line in requests(sys.stdin.buffer):
            sys.stdout.buffer.write(deployer.answer(line))
            sys.stdout.buffer.flush()
    except OSError:  # nobody reads the answers any more
        pass
    finally:
        deployer.close()
        os._exit(0)  # what could not be written is not to be tried again


if __name__ == "__main__":
    main()
