"""What a process and its descendants take, from /proc.

Source: proc(5): /proc/PID/stat, /proc/PID/task/TID/children, /proc/PID/smaps_rollup, /proc/PID/status.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Often enough to see a second's peak, seldom enough not to be one: a thousand processes take 20 ms.
_SAMPLE_SECONDS = 0.2

# Fields of /proc/PID/stat, counted from after the command's closing parenthesis, where 0 is the state.
_THREADS, _RSS_PAGES = 17, 21


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that was seen at a time.

    Args:
        rss_bytes: resident memory, summed over the processes.
        pss_bytes: memory with what is shared divided among those that share it.
        threads: in all.
        processes: the descendants and the process itself.
    """

    rss_bytes: int = 0
    pss_bytes: int = 0
    threads: int = 0
    processes: int = 0

    def joined(self, other: Peak) -> Peak:
        """Return the larger of each figure."""
        return Peak(
            max(self.rss_bytes, other.rss_bytes),
            max(self.pss_bytes, other.pss_bytes),
            max(self.threads, other.threads),
            max(self.processes, other.processes),
        )


def tree(pid: int) -> list[int]:
    """Return a process and its descendants, as far as they are there."""
    found = [pid]
    for parent in found:  # grows meanwhile
        with suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 - half the time, for a thousand
                with suppress(OSError):
                    children = Path(f"/proc/{parent}/task/{task}/children").read_text(encoding="ascii")
                    found += map(int, children.split())
    return found


def look(pid: int, *, with_pss: bool = False) -> Peak:
    """Return what a process and its descendants have now.

    Args:
        pid: of the process.
        with_pss: read the shared memory's division, too: it takes the kernel a walk through all pages.
    """
    pids = tree(pid)
    fields = [stat for stat in map(_stat, pids) if stat]
    return Peak(
        rss_bytes=sum(int(stat[_RSS_PAGES]) for stat in fields) * _PAGE_BYTES,
        pss_bytes=sum(map(_pss_bytes, pids)) if with_pss else 0,
        threads=sum(int(stat[_THREADS]) for stat in fields),
        processes=len(fields),
    )


def _stat(pid: int) -> list[str]:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:  # it has ended
        return []


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def switches(pid: int) -> int:
    """Return how many context switches the process's threads have had that live now."""
    total = 0
    with suppress(OSError):
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            for line in status.read_text(encoding="ascii", errors="replace").splitlines():
                if "ctxt_switches" in line:
                    total += int(line.split()[1])
    return total


class Watch:
    """Looks at a process and its descendants again and again, on a thread of its own. A context manager.

    Args:
        pid: of the process.
        pss_after_s: from when on the division of shared memory is read, too, in seconds; it takes time.
    """

    def __init__(self, pid: int, pss_after_s: float) -> None:
        self.peak = Peak()
        self._pid = pid
        self._looks_before_pss = int(pss_after_s / _SAMPLE_SECONDS)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        looks = 0
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.peak = self.peak.joined(look(self._pid, with_pss=looks >= self._looks_before_pss))
            looks += 1
