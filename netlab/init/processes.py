"""Which process listens on a port, and by which command it was started, as `/proc` says.

Source: proc(5): `/proc/net/tcp`, `/proc/PID/fd`, `/proc/PID/cmdline`, `/proc/PID/exe`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netlab.errors import NetlabError
from netlab.init.secrets import masked
from netlab.printable import printable

_PROC = Path("/proc")
_LISTEN = "0A"  # include/net/tcp_states.h, TCP_LISTEN

# They hold sockets on behalf of others.
_INIT_PID = 1
_ENGINES_PROXY = "docker-proxy"


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine.

    Attributes:
        pid: its number.
        argv: how it was started, or what it has written over it (setproctitle(3)).
        program: its executable file.
        folder: its working directory.
        path: where it looks for programs (PATH).
    """

    pid: int
    argv: tuple[str, ...]
    program: Path
    folder: Path
    path: str

    def command(self, folder: Path) -> tuple[str, ...]:
        """Return what starts it from another directory.

        Args:
            folder: that directory.

        Raises:
            NetlabError: the process has written over its command line.
        """
        first, *rest = self.argv or ("",)
        found = shutil.which(first, path=self.path) if "/" not in first else str(self.folder / first)
        if not first or found is None or not Path(found).exists():
            shown = printable(" ".join(masked(self.argv)[0]))[:80]
            raise NetlabError(
                f"process {self.pid} calls itself {shown!r}, and no longer says how it was started: say it "
                f"with --command, such as --command '{printable(str(self.program))} ...'"
            )
        here = folder.resolve() == self.folder.resolve()
        program = first if _is_found_in_a_lab(first, found) else found
        return program, *(word if here else _from_anywhere(word, self.folder) for word in rest)


def process_listening(port: int) -> Process:
    """Return the process that listens on a TCP port; of several that share the socket, the first one.

    Raises:
        NetlabError: none can be seen.
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    holders = [pid for pid in _pids() if pid != _INIT_PID and _holds(pid, sockets)]
    # Workers have the socket from their parent.
    first = next((pid for pid in holders if _parent(pid) not in holders), None)
    if first is None:
        raise NetlabError(
            f"which program listens on port {port} can't be seen: it is another user's, or a container's; "
            "run this as root, or say with --command what starts it"
        )
    process = _read(first)
    if process.program.name == _ENGINES_PROXY:
        raise NetlabError(
            f"port {port} is published for a container: make the check with --from-compose FILE, or say with "
            "--command what starts the program in it"
        )
    return process


def _is_found_in_a_lab(word: str, found: str) -> bool:
    """Whether a lab, whose PATH begins with this Python's directory, finds the same program by a word."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return "/" not in word and shutil.which(word, path=path) == found


def _from_anywhere(word: str, folder: Path) -> str:
    """Return an argument that names a file of a directory as an absolute path; others as they are."""
    if word.startswith("-") or not re.search(r"[./]", word):
        return word
    return str(folder / word) if (folder / word).exists() else word


def _inodes(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _pids() -> list[int]:
    return sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _holds(pid: int, sockets: set[str]) -> bool:
    """Whether a process has one of some sockets open; of another user's process nobody can tell."""
    with suppress(OSError):
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                if str(entry.readlink()) in sockets:
                    return True
    return False


def _parent(pid: int) -> int:
    with suppress(OSError):
        status = (_PROC / str(pid) / "status").read_text(errors="replace")
        if found := re.search(r"^PPid:\t(\d+)$", status, re.MULTILINE):
            return int(found[1])
    return 0


def _read(pid: int) -> Process:
    of = _PROC / str(pid)
    try:
        words = of.joinpath("cmdline").read_bytes().decode().split("\0")
        # Of its environment nothing is kept but where it looks for programs.
        variables = of.joinpath("environ").read_bytes().split(b"\0")
        path = next((v[5:] for v in variables if v.startswith(b"PATH=")), os.fsencode(os.defpath))
        program, folder = of.joinpath("exe").readlink(), of.joinpath("cwd").readlink()
    except OSError as error:
        raise NetlabError(f"process {pid} can't be looked at: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NetlabError(f"the command line of process {pid} is no UTF-8: say it with --command") from None
    while words and not words[-1]:
        words.pop()
    return Process(pid, tuple(words), program, folder, os.fsdecode(path))
