"""Running a load: find a file, attend the clients, let them go, and see how soon a new one is served."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hftp.client import Client
from hftp.errors import HFTPError
from hftp.load.client import Tally
from hftp.load.figures import Generator, Result, figures_of, latency_of, waiting_times
from hftp.load.kinds import KINDS
from hftp.load.loop import Loop, clock
from hftp.load.shape import ACTIVE, TROUBLE, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hftp.load.client import LoadClient
    from hftp.load.shape import Shape

# How long a new client waits for its answer when the load is over, before the server counts as down.
RECOVERY_PATIENCE_SECONDS = 5.0

# Connections that are begun before those that were begun are looked after: half of an ordinary backlog.
_CONNECT_BATCH = 64


def find_target(host: str, port: int, timeout_s: float, name: str | None = None) -> Target:
    """Ask a server which file the load may be for.

    Args:
        host: A name or an address.
        port: The server's.
        timeout_s: How long to wait for it, in seconds.
        name: Of the file; None for the largest of the first hundred that are listed.

    Raises:
        HFTPError: It does not answer, or has no file.
    """
    with Client(host, port, timeout_s) as client:
        family, address = client.family, client.address
        if name is not None:
            return Target(address, port, family, name, client.size(name))
        names = client.listing()[:100]
        if not names:
            raise NoFileError(client.server)
        for name in names:
            client.send(f"get_metadata {name}")
        size, name = max((client.take_size(f"get_metadata {name}"), name) for name in names)
        return Target(address, port, family, name, size)


class NoFileError(HFTPError):
    """A server has no file that a load could ask for.

    Attributes:
        server: Where it is.
    """

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.server = server

    def __str__(self) -> str:
        return f"{self.server} lists no file to ask for: put one there, or name one with --file"


def run_load(
    target: Target, shape: Shape, kinds: Mapping[str, type[LoadClient]] = KINDS, *, recovery: bool = True
) -> Result:
    """Put a load on a server.

    Args:
        target: The server, and the file that is asked for.
        shape: Who asks for what.
        kinds: What each kind of client does; those of another protocol may be given.
        recovery: Whether to see how soon a new client is served afterwards.

    Returns:
        What came of it.
    """
    loop = Loop(shape.seconds)
    tallies = {kind: Tally(kind) for kind in (*TROUBLE, *ACTIVE) if _count(shape, kind)}
    clients = [
        kinds[kind](loop, tally, target, shape)
        for kind, tally in tallies.items()
        for _ in range(_count(shape, kind))
    ]
    active = [tally for kind, tally in tallies.items() if kind in ACTIVE]
    meter = _Meter()
    try:
        _begin_in_batches(loop, clients, shape.seconds)
        seconds = loop.run(lambda: _is_enough(active, shape.count))
        generator = meter.read(loop, seconds)
        ended_at = clock()
        figures = [figures_of(tally, ended_at) for tally in tallies.values()]
    finally:
        for client in clients:
            client.end()
        loop.close()
    recovery_s = measure_recovery(target) if recovery else None
    answers = sum(len(tally.latencies) for tally in active)
    return Result(
        server=f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}",
        seconds=seconds,
        answers=answers,
        requests_per_s=answers / seconds,
        bytes_per_s=sum(each.bytes for each in figures) / seconds,
        latency=latency_of(
            [latency for tally in active for latency in tally.latencies],
            [wait for tally in active for wait in waiting_times(tally, ended_at)],
        ),
        kinds=figures,
        recovery_s=recovery_s,
        generator=generator,
        bottleneck=generator.was_bottleneck,
    )


def measure_recovery(target: Target) -> float | None:
    """Connect as a new client, and measure how long the answer to one request takes, in seconds.

    Args:
        target: The server.

    Returns:
        None where there was none in ``RECOVERY_PATIENCE_SECONDS``.
    """
    began = clock()
    patience_s = RECOVERY_PATIENCE_SECONDS
    while patience_s > 0:
        with suppress(HFTPError):
            client = Client(target.host, target.port, patience_s)
            try:
                client.size(target.name)
                return clock() - began
            finally:
                client.close()
        time.sleep(0.01)
        patience_s = began + RECOVERY_PATIENCE_SECONDS - clock()
    return None


def _count(shape: Shape, kind: str) -> int:
    return shape.active.get(kind, 0) + shape.trouble.get(kind, 0)


def _is_enough(active: list[Tally], count: int | None) -> bool:
    return count is not None and sum(len(tally.latencies) for tally in active) >= count


def _begin_in_batches(loop: Loop, clients: Iterable[LoadClient], seconds: float) -> None:
    """Connect everyone at once, but look after those who are connected meanwhile."""
    iterator = iter(clients)

    def begin_some() -> None:
        batch = list(islice(iterator, _CONNECT_BATCH))
        for client in batch:
            client.begin()
        if batch:
            # The time counts from the last one's beginning, so that each has had the whole of it.
            loop.ends_at = clock() + seconds
            loop.call_at(clock(), begin_some)

    begin_some()


class _Meter:
    """What this process takes: its processor time, and its waiting for a processor."""

    def __init__(self) -> None:
        self._cpu_s = time.process_time()
        self._queued_s = _queued_s()

    def read(self, loop: Loop, seconds: float) -> Generator:
        """Tell what was taken since, as shares of the time."""
        return Generator(
            cpu_share=(time.process_time() - self._cpu_s) / seconds,
            queued_share=(_queued_s() - self._queued_s) / seconds,
            busy_share=loop.busy_s / seconds,
            longest_turn_s=loop.longest_turn_s,
        )


def _queued_s() -> float:
    """Tell how long this process has been ready to run without a processor, in seconds.

    Source:
        Linux, Documentation/scheduler/sched-stats.rst: the second field of /proc/PID/schedstat.
    """
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
