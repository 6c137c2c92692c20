"""The labs of this user that are up, found in /proc, and the way into their hosts.

Nothing is written anywhere for this, so that nothing can be left behind or be out of date: a lab is its init
process, and a host what the processes on it see. Sources: proc(5), setns(2), nsenter(1).
"""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from netlab.backends.netns.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    end_with_parent,
    mount,
    setns,
    unshare,
)
from netlab.errors import LabError

# How `launch` starts the lab init.
_INIT = b"netlab.backends.netns.init"

# The user namespace first: it gives the right to enter the others. Mounts last: /proc is of use until then.
_KINDS = {
    "user": CLONE_NEWUSER,
    "pid": CLONE_NEWPID,
    "net": CLONE_NEWNET,
    "uts": CLONE_NEWUTS,
    "mnt": CLONE_NEWNS,
}

# What a terminal needs from outside of the lab; all else is as for the lab's own programs.
_TERMINAL_VARIABLES = ("TERM", "COLORTERM", "LANG", "LC_ALL", "HOME", "USER", "LOGNAME")
_ADMINISTRATION = "/usr/local/sbin:/usr/sbin:/sbin"

_EXITING = 0x4  # PF_EXITING

# As shells report it: a program that can't be found, and one that a signal ended (plus its number).
_NOT_FOUND, _SIGNALLED = 127, 128


@dataclass(frozen=True)
class RunningNetns:
    """A lab of network namespaces that is up.

    Attributes:
        init: the process id of its init.
        owner: the process that has it up.
        places: for each host a process on it.
    """

    init: int
    owner: int
    places: dict[str, int]

    backend = "netns"

    @property
    def id(self) -> str:
        """What `--lab` calls it."""
        return str(self.init)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts on which something runs."""
        return tuple(sorted(self.places))

    def __str__(self) -> str:
        return f"{self.id}: running, process {self.owner}: {len(self.places)} hosts on netns"

    def enter(self, host: str, argv: Sequence[str]) -> int:
        """Run a program on a host, in this terminal, and return its exit code. Not beside other threads.

        Args:
            host: one of `hosts`.
            argv: the program and its arguments; empty for a shell.

        Raises:
            LabError: the lab is gone, or the kernel refuses.
        """
        try:
            environment = _environment(self.places[host])
            with _terminal_kept():
                code = _run_inside(self.places[host], tuple(argv) or (_shell(),), environment)
        except OSError as error:
            raise LabError(f"{host} of lab {self.id} can't be entered: {error.strerror}") from error
        if code == _SIGNALLED + signal.SIGKILL and _is_ending(self.init):
            raise LabError(f"lab {self.id} is gone, and with it what ran on {host}")
        return code

    def end(self) -> None:
        """End the lab: with its init goes all of it.

        Raises:
            LabError: the kernel refuses.
        """
        try:
            os.kill(self.init, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except OSError as error:
            raise LabError(f"lab {self.id} can't be ended: {error.strerror}") from error


def running_labs() -> list[RunningNetns]:
    """Return this user's labs that are up, in the order of their ids."""
    inits = {_namespace(pid, "pid"): pid for pid in _processes() if _is_init(pid)}
    inits.pop("", None)
    places: dict[int, dict[str, int]] = {init: {} for init in inits.values()}
    for pid in _processes():
        init = inits.get(_namespace(pid, "pid"))
        if init is not None and init != pid and (host := _hostname(pid)):
            places[init].setdefault(host, pid)
    return [RunningNetns(init, _parent(_parent(init)), places[init]) for init in sorted(places)]


# --- /proc -------------------------------------------------------------------------------------------------


def _processes() -> Iterator[int]:
    """Yield the processes of this user."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _field(int(entry.name), "Uid").split()[:1] == [str(os.geteuid())]:
            yield int(entry.name)


def _is_init(pid: int) -> bool:
    """Whether a process is a lab's init; `unshare`, which waits for it, has its words on its command line."""
    with suppress(OSError):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return _INIT in arguments and _field(pid, "NSpid").split()[1:] == ["1"]
    return False


def _field(pid: int, name: str) -> str:
    """Return a field of /proc/PID/status; empty for a process that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
    return ""


def _parent(pid: int) -> int:
    return int(_field(pid, "PPid") or 0)


def _namespace(pid: int, kind: str) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    return ""


def _is_ending(pid: int) -> bool:
    """Whether a process has ended, or is about to: its children are killed first. Source: <linux/sched.h>."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    return state in "ZX" or bool(int(fields[5]) & _EXITING)


def _hostname(pid: int) -> str:
    """Return the name of the host that a process is on; empty where it has ended."""
    with suppress(OSError, ValueError):
        return Path(f"/proc/{pid}/root/etc/hostname").read_text(encoding="utf-8").strip()
    return ""


# --- Inside ------------------------------------------------------------------------------------------------


def _environment(pid: int) -> dict[str, str]:
    """Return the environment of the lab's own programs, and what a terminal needs besides."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    inside = dict(os.fsdecode(entry).split("=", 1) for entry in entries if b"=" in entry)
    own = {name: os.environ[name] for name in _TERMINAL_VARIABLES if name in os.environ}
    path = f"{inside.get('PATH', os.defpath)}:{_ADMINISTRATION}"
    return {**inside, **own, "PATH": path}


def _shell() -> str:
    return os.environ.get("SHELL") or "/bin/sh"


def _run_inside(pid: int, argv: Sequence[str], environment: dict[str, str]) -> int:
    """Run a program in the namespaces of a process, and return its exit code.

    This process is in them afterwards, too, but for the PID namespace: it is of no other use any more.

    Raises:
        OSError: the kernel refused, or the process has ended.
    """
    here = os.getcwd()  # noqa: PTH109
    with ExitStack() as stack:
        descriptors = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in _KINDS}
        for descriptor in descriptors.values():
            stack.callback(os.close, descriptor)
        for kind, descriptor in descriptors.items():
            # The lab of root may have no user namespace of its own, and one's own can't be entered.
            if _namespace(os.getpid(), kind) != str(Path(f"/proc/self/fd/{descriptor}").readlink()):
                setns(descriptor, _KINDS[kind])
    child = os.fork()
    if child == 0:
        _become(argv, environment, here)
    for number in (signal.SIGINT, signal.SIGQUIT):  # Ctrl-C is for the program: as system(3) does
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # and the program ends with this process
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else _SIGNALLED - code


def _become(argv: Sequence[str], environment: dict[str, str], directory: str) -> NoReturn:
    """Be a program, with a /proc of the lab's processes, in a directory that the host has, too."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    end_with_parent(signal.SIGHUP)
    with suppress(OSError):  # in a container it may be refused: then the machine's own stays
        unshare(CLONE_NEWNS)
        mount("proc", "/proc", "proc")
    with suppress(OSError):
        os.chdir(directory)
    try:
        os.execvpe(argv[0], list(argv), environment)
    except OSError as error:
        os.write(2, os.fsencode(f"netlab: {argv[0]}: {error.strerror}\n"))
    os._exit(_NOT_FOUND)


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Have the terminal afterwards as it was: a shell that is killed leaves it without echo, to nobody."""
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    settings = termios.tcgetattr(terminal)
    try:
        yield
    finally:
        # From the background, as which this process counts until then, it would be stopped for it.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(OSError):
            os.tcsetpgrp(terminal, os.getpgrp())
            termios.tcsetattr(terminal, termios.TCSADRAIN, settings)
