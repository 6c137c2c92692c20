"""What was measured, as a table and as JSON: medians, and ratios taken round by round."""

from __future__ import annotations

import os
import platform
import statistics
from importlib import metadata
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from tests.bench.goals import Goal, Wanted
from tests.bench.servers import kinds


class Sample(NamedTuple):
    """One measurement of one server.

    Args:
        figure: in the goal's unit.
        cpu_s: the processor time that the server took meanwhile, in seconds.
    """

    figure: float
    cpu_s: float = 0.0


# For each goal and server, what each round gave.
Samples = dict[Goal, dict[str, list[Sample]]]


def ratio(goal: Goal, wanted: Wanted, samples: Samples) -> float | None:
    """Return the median of the rounds' ratios of our figure to the reference's, or our figure's median.

    A machine that is slower in one round than in another is so for both: the ratio holds.
    """
    ours = samples[goal][goal.subject]
    if not ours:
        return None
    if not wanted.reference:
        return statistics.median(sample.figure for sample in ours)
    theirs = samples[goal][wanted.reference]
    if not theirs:
        return None
    return statistics.median(a.figure / b.figure for a, b in zip(ours, theirs, strict=True))


def cpu_ratio(goal: Goal, reference: str, samples: Samples) -> float | None:
    """Return the same for what a second of the server's processor time gives.

    It says which server does less work for an answer, also where a busy machine, and not the server, sets
    the pace. The time until an answer comes is in the other ratio alone.
    """
    ours, theirs = samples[goal][goal.subject], samples[goal].get(reference, [])
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a.cpu_s and b.cpu_s and b.figure]
    if not pairs or not goal.unit.endswith("/s"):
        return None
    return statistics.median((a.figure / a.cpu_s) / (b.figure / b.cpu_s) for a, b in pairs)


def holds(wanted: Wanted, value: float) -> bool:
    """Say whether a ratio or a figure is as it should be."""
    return value >= wanted.bound if wanted.reference else value <= wanted.bound


def table(samples: Samples) -> Table:
    """Return one row for each thing that must hold, and one for each further server."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "ours", "reference", "its figure", "ratio", "wanted", "", "by CPU"):
        rows.add_column(title, justify="left" if title in ("", "reference") else "right", no_wrap=title != "")
    for goal in samples:
        title = f"{goal.title}, {goal.unit}"
        for wanted in goal.wanted:
            rows.add_row(title, _figure(samples[goal][goal.subject]), *_beside(goal, wanted, samples))
            title = ""
        for name in goal.also:
            rows.add_row("", "", Text(name, style="dim"), _figure(samples[goal][name]))
    return rows


def _beside(goal: Goal, wanted: Wanted, samples: Samples) -> tuple[str | Text, ...]:
    value = ratio(goal, wanted, samples)
    bound = f"{'>=' if wanted.reference else '<='} {wanted.bound:g}"
    theirs = _figure(samples[goal][wanted.reference]) if wanted.reference else ""
    by_cpu = cpu_ratio(goal, wanted.reference, samples)
    if value is None:
        missing = kinds()[wanted.reference or goal.subject].missing
        return (wanted.reference, theirs, "", bound, Text(f"not measured: {missing}", style="yellow"))
    verdict = Text("holds", style="green") if holds(wanted, value) else Text("falls short", style="bold red")
    shown = f"{value:.2f}" if wanted.reference else ""
    return (wanted.reference, theirs, shown, bound, verdict, "" if by_cpu is None else f"{by_cpu:.2f}")


def _figure(samples: list[Sample]) -> str:
    if not samples:
        return "-"
    median = statistics.median(sample.figure for sample in samples)
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


def machine() -> str:
    """Describe what this was measured on."""
    processors = len(os.sched_getaffinity(0))
    packages = []
    for name in ("pybase64", "pyftpdlib"):
        try:
            packages.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            packages.append(f"no {name}")
    return (
        "medians; ratios round by round; by CPU: the ratio of what a second of the server's processor time "
        f"gives. {processors} processors, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {', '.join(packages)}"
    )


def record(samples: Samples) -> dict[str, Any]:
    """Return everything as values that JSON can carry."""
    return {
        "machine": machine(),
        "missing": {kind.name: kind.missing for kind in kinds().values() if kind.missing},
        "goals": {goal.key: _goal(goal, samples) for goal in samples},
    }


def _goal(goal: Goal, samples: Samples) -> dict[str, Any]:
    wanted = []
    for each in goal.wanted:
        value = ratio(goal, each, samples)
        verdict = None if value is None else holds(each, value)
        wanted.append(
            {
                "reference": each.reference or None,
                "bound": each.bound,
                "value": value,
                "holds": verdict,
                "by_cpu": cpu_ratio(goal, each.reference, samples),
            }
        )
    return {
        "title": goal.title,
        "unit": goal.unit,
        "subject": goal.subject,
        "wanted": wanted,
        "samples": samples[goal],
    }
