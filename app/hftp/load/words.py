"""What came of a load, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hftp.load.figures import BOTTLENECK_SHARE
from hftp.load.run import RECOVERY_PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hftp.load.figures import Generator, KindFigures, Result


def report(result: Result) -> Iterator[str]:
    """Word a result.

    Args:
        result: Of a load.

    Yields:
        Lines, without their ends.
    """
    yield (
        f"{result.server}: {result.requests_per_s:,.0f} requests/s, {result.bytes_per_s / 1e6:,.1f} MB/s "
        f"in {result.seconds:.1f} s"
    )
    yield ""
    row = "{:<14}{:>8}{:>8}{:>8}{:>7}{:>7}{:>11}{:>10}{:>10}{:>10}{:>10}"
    yield row.format(
        "", "clients", "served", "starved", "held", "lost", "answers", "MB", "p50", "p99", "worst"
    ).rstrip()
    for kind in result.kinds:
        yield row.format(*_cells(kind)).rstrip()
    yield ""
    yield from (
        f"wrong answers to {kind.kind} clients begin with {', '.join(kind.wrong)}"
        for kind in result.kinds
        if kind.wrong
    )
    yield _recovery(result.recovery_s)
    yield _generator(result.generator)


def _cells(kind: KindFigures) -> tuple[str, ...]:
    latency = kind.latency
    return (
        kind.kind,
        str(kind.clients),
        "-" if kind.served is None else str(kind.served),
        "-" if kind.starved is None else str(kind.starved),
        str(kind.held),
        str(kind.lost),
        f"{kind.answers:,}",
        f"{kind.bytes / 1e6:,.1f}",
        *map(duration, (latency.p50, latency.p99, latency.worst)),
    )


def duration(seconds: float | None) -> str:
    """Write a time so that three figures of it are seen: ``85 us``, ``1.25 ms``, ``3.40 s``."""
    if seconds is None:
        return "-"
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        value = seconds * factor
        if value >= 1:
            return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"
    return f"{seconds * 1e6:.0f} us"


def _recovery(recovery_s: float | None) -> str:
    if recovery_s is None:
        return f"when all had left, a new client had no answer in {RECOVERY_PATIENCE_SECONDS:g} s"
    return f"when all had left, a new client had its answer after {duration(recovery_s)}"


def _generator(generator: Generator) -> str:
    figures = (
        f"it computed {generator.cpu_share:.0%} of the time, waited {generator.queued_share:.0%} for a "
        f"processor, and saw an answer {duration(generator.longest_turn_s)} late at worst"
    )
    if generator.was_bottleneck:
        return (
            f"the load generator was busy {BOTTLENECK_SHARE:.0%} of the time or more: it may have been the "
            f"bottleneck, and the server faster than this ({figures})"
        )
    return f"the load generator was not the bottleneck: {figures}"
