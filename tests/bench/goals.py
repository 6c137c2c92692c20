"""What must hold, and how each of it is measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hftp.load.run import run_load
from hftp.load.shape import Shape, Target
from tests.bench.asking import HOST, ask
from tests.bench.idle import Idle, idle
from tests.bench.servers import Running

SMALL_NAME, SMALL_BYTES = "small", 41
LARGE_NAME = "large"
MIB = 1 << 20


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Args:
        seconds: how long one measurement lasts.
        rounds: how often each is repeated, interleaved.
        large_bytes: the size of the large file.
        idle: how many idle connections there are.
        crowd: how many clients a crowd has.
    """

    seconds: float = 1.0
    rounds: int = 3
    large_bytes: int = 256 * MIB
    idle: int = 10_000
    crowd: int = 500


FULL = Scale()
SMOKE = Scale(seconds=0.2, rounds=1, large_bytes=4 * MIB, idle=200, crowd=60)

Measurement = Callable[[Running, Scale], float]


@dataclass(frozen=True)
class Wanted:
    """What a figure should be.

    Args:
        reference: the server beside which it is put; empty for a figure that stands alone.
        bound: the least ratio to the reference's figure, or the most that the figure may be.
    """

    reference: str
    bound: float


@dataclass(frozen=True)
class Goal:
    """Something that is measured, and what should come of it.

    Args:
        key: in JSON.
        title: for people.
        unit: of the figures.
        measure: gives a figure of a server.
        subject: which of our servers is measured.
        wanted: what should hold; each with its reference.
        also: further servers, for comparison.
        group: goals of one group, if not empty, are measured on the same servers, without a restart.
    """

    key: str
    title: str
    unit: str
    measure: Measurement
    subject: str = "hftp"
    wanted: tuple[Wanted, ...] = ()
    also: tuple[str, ...] = ()
    group: str = ""

    @property
    def contenders(self) -> list[str]:
        """Return every server that is measured, ours first."""
        references = [wanted.reference for wanted in self.wanted if wanted.reference]
        return list(dict.fromkeys([self.subject, *references, *self.also]))


def prepare(directory: Path, scale: Scale) -> None:
    """Make the files that are asked for. What was just written is in the system's cache."""
    (directory / SMALL_NAME).write_bytes(b"!Que calor que hace hoy, pinta una birra!"[:SMALL_BYTES])
    with (directory / LARGE_NAME).open("wb") as file:
        for _ in range(scale.large_bytes // MIB):
            file.write(os.urandom(MIB))


def _large(form: str) -> Measurement:
    """Measure MB/s of one client that asks for the whole of the large file, again and again."""

    def measure(server: Running, scale: Scale) -> float:
        size = scale.large_bytes
        asked = ask(server, form, LARGE_NAME, size, clients=1, seconds=scale.seconds)
        return asked.bytes_per_s / 1e6

    return measure


def _mib(server: Running, scale: Scale) -> float:
    """Measure MB/s of one client that asks for the same MiB of the large file: from memory that is near."""
    asked = ask(server, "raw", LARGE_NAME, MIB, clients=1, seconds=scale.seconds, whole=False)
    return asked.bytes_per_s / 1e6


def _small(clients: int | None, what: str = "small") -> Measurement:
    """Measure requests a second of so many clients; None for a crowd."""

    def measure(server: Running, scale: Scale) -> float:
        count = clients or scale.crowd
        return ask(server, what, SMALL_NAME, SMALL_BYTES, clients=count, seconds=scale.seconds).requests_per_s

    return measure


def _idle(key: str, title: str, unit: str, figure: Callable[[Idle], float], most: float) -> Goal:
    """Return a goal of idle connections: a figure of them, and the most that it may be."""
    return Goal(
        key,
        title,
        unit,
        lambda server, scale: figure(idle(server, SMALL_NAME, scale.idle)),
        wanted=(Wanted("", most),),
        also=("bare loop", "nginx"),
        group="idle",
    )


def _peak_mib(server: Running, scale: Scale) -> float:
    """Measure the process's peak memory while a hundred clients take the large file, some of them nothing."""
    target = Target(HOST, server.port, 2, LARGE_NAME, scale.large_bytes)
    shape = Shape(
        {"raw": 40, "base64": 40}, {"never-reading": 20}, scale.seconds, slice_bytes=scale.large_bytes
    )
    run_load(target, shape, recovery=False)
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def _slowed(never_reading: int) -> Measurement:
    """Measure by how much the p99 of fifty clients grows when others never read their answers."""

    def measure(server: Running, scale: Scale) -> float:
        p99 = []
        for count in (0, never_reading):
            target = Target(HOST, server.port, 2, LARGE_NAME, scale.large_bytes)
            shape = Shape({"small": 50}, {"never-reading": count}, scale.seconds)
            p99.append(run_load(target, shape, recovery=False).latency.p99 or float("inf"))
        return p99[1] / p99[0]

    return measure


GOALS = (
    Goal(
        "large-base64",
        "one client, one 256 MiB slice, base64 with pybase64",
        "MB/s",
        _large("base64"),
        wanted=(Wanted("bare loop", 0.85),),
    ),
    Goal(
        "large-base64-stdlib",
        "the same with the standard library",
        "MB/s",
        _large("base64"),
        subject="hftp, stdlib base64",
        wanted=(Wanted("bare loop, stdlib base64", 0.9),),
    ),
    Goal(
        "large-raw",
        "one client, one 256 MiB slice, raw",
        "MB/s",
        _large("raw"),
        wanted=(Wanted("nginx", 0.9),),
        also=("bare loop", "http.server", "pyftpdlib"),
    ),
    Goal(
        "mib-raw",
        "one client, 1 MiB slices, raw",
        "MB/s",
        _mib,
        wanted=(Wanted("nginx", 1.0),),
        also=("bare loop",),  # http.server knows no ranges
    ),
    Goal(
        "small-50",
        "get_metadata, 50 persistent connections",
        "requests/s",
        _small(50),
        wanted=(Wanted("nginx", 1.0), Wanted("bare loop", 0.6)),
        also=("http.server", "pyftpdlib"),
    ),
    Goal(
        "small-500",
        "get_metadata, 500 persistent connections",
        "requests/s",
        _small(None),
        wanted=(Wanted("nginx", 1.0), Wanted("bare loop", 0.6)),
    ),
    Goal(
        "connect",
        "connect, one command, quit",
        "connections/s",
        _small(20, "connect"),
        wanted=(Wanted("bare loop", 0.85),),
    ),
    _idle("idle-held", "10,000 idle connections: not held", "connections", lambda seen: seen.lost, 0.0),
    _idle("idle-memory", "10,000 idle connections: memory of each", "KiB", lambda seen: seen.kib_each, 2.0),
    _idle(
        "idle-new",
        "10,000 idle connections: a new client's answer",
        "ms",
        lambda seen: seen.new_client_s * 1000,
        5.0,
    ),
    _idle(
        "idle-closed",
        "all closed at once: the next client's answer",
        "ms",
        lambda seen: seen.next_client_s * 1000,
        100.0,
    ),
    Goal(
        "peak-memory",
        "100 clients, a 256 MiB slice each: peak memory",
        "MiB",
        _peak_mib,
        wanted=(Wanted("", 48.0),),
        also=("bare loop",),
    ),
    Goal(
        "one-never-reads",
        "1 client never reads: p99 of 50 others grows by",
        "x",
        _slowed(1),
        wanted=(Wanted("", 2.0),),
        also=("bare loop",),
    ),
    Goal(
        "hundred-never-read",
        "100 clients never read: p99 of 50 others grows by",
        "x",
        _slowed(100),
        wanted=(Wanted("", 2.0),),
        also=("bare loop",),
    ),
)
