"""The servers that are compared: which there are, and one of them as a process."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from netlab.clients.figures import Variant
from netlab.clients.processes import switches, tree
from netlab.errors import NetlabError

HFTP = (sys.executable, "-m", "hftp")

# What a server has at most to say where it listens, and to end after SIGTERM.
_START_SECONDS = 10.0
_END_SECONDS = 8.0

# PR_SET_PDEATHSIG of <linux/prctl.h>: when netlab dies, however it dies, so does the server.
_SET_PARENT_DEATH_SIGNAL = 1
_libc = ctypes.CDLL(None)


class ServerError(NetlabError):
    """A server did not start."""


def variants_of(help_text: str, processors: int) -> list[Variant]:
    """Return what a server can be asked to do.

    Args:
        help_text: of `hftp serve --help`.
        processors: how many there are; with several, the best loop is also measured with as many workers.
    """
    listed = re.search(r"--strategy\s+\{([a-z,]+)\}", help_text)
    if listed is None:
        return [Variant("poll")]
    names = listed[1].split(",")
    variants = [Variant(name, ("--strategy", name)) for name in names]
    if "--workers" in help_text and "epoll" in names and processors > 1:
        flags = ("--strategy", "epoll", "--workers", str(processors))
        variants.append(Variant(f"epoll x {processors}", flags))
    return variants


def installed_variants() -> list[Variant]:
    """Return what the installed server can be asked to do."""
    return variants_of(_serve_help(), len(os.sched_getaffinity(0)))


def _serve_help() -> str:
    return subprocess.run([*HFTP, "serve", "--help"], capture_output=True, text=True, check=False).stdout


class RunningServer:
    """`hftp serve` on a free port of 127.0.0.1. A context manager that ends it and all its processes.

    Args:
        variant: how it attends clients.
        directory: what it serves.

    Raises:
        ServerError: it does not start.
    """

    def __init__(self, variant: Variant, directory: Path) -> None:
        self._process = subprocess.Popen(
            [*HFTP, "serve", "-a", "127.0.0.1", "-p", "0", "-d", str(directory), *variant.flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            preexec_fn=_die_with_parent,
        )
        self.pid = self._process.pid
        self._usage: tuple[int, float] | None = None
        self._is_ready = False
        try:
            self.port = self._wait_listening(variant)
        except BaseException:
            self.end()
            raise
        self._switches_at_rest = sum(map(switches, tree(self.pid)))
        self._cpu_at_rest_s = _cpu_s(self.pid)
        self._is_ready = True

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _wait_listening(self, variant: Variant) -> int:
        line = _first_line(self._process.stdout, _START_SECONDS)
        listening = re.match(r"listening on \S+:(\d+)", line)
        if listening is None:
            self._process.kill()
            _, said = self._process.communicate()
            raise ServerError(
                f"{variant.name}: the server did not start: {said.strip() or 'it said nothing'}"
            )
        return int(listening[1])

    def end(self) -> tuple[int, float]:
        """End the server, by SIGKILL if it takes long, and whatever is left of its processes.

        Returns:
            The context switches, and the processor time in seconds, that all its processes took since it
            was ready. A process counts when its parent has waited for it.
        """
        if self._usage is None:
            self._usage = self._end()
        return self._usage

    def _end(self) -> tuple[int, float]:
        usage = None if self._process.returncode is not None else self._reap()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(
                self.pid, signal.SIGKILL
            )  # what the server may have left: workers of one that was killed
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        if usage is None or not self._is_ready:
            return 0, 0.0
        taken_s = usage.ru_utime + usage.ru_stime - self._cpu_at_rest_s
        return usage.ru_nvcsw + usage.ru_nivcsw - self._switches_at_rest, max(0.0, taken_s)

    def _reap(self) -> resource.struct_rusage:
        os.kill(self.pid, signal.SIGTERM)
        ending = os.pidfd_open(self.pid)
        try:
            if not select.select([ending], [], [], _END_SECONDS)[0]:
                os.kill(self.pid, signal.SIGKILL)
        finally:
            os.close(ending)
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return usage


def _die_with_parent() -> None:
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _first_line(stream: IO[str] | None, patience_s: float) -> str:
    assert stream is not None
    ready, _, _ = select.select([stream], [], [], patience_s)
    return stream.readline() if ready else ""


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
