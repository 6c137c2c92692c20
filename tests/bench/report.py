"""What was measured, as a table and as JSON: medians, and ratios taken round by round."""

from __future__ import annotations

import os
import platform
import statistics
from importlib import metadata
from typing import Any

from rich.table import Table
from rich.text import Text

from tests.bench.goals import Goal, Wanted
from tests.bench.servers import kinds

# For each goal and server, the figure of each round.
Samples = dict[Goal, dict[str, list[float]]]


def ratio(goal: Goal, wanted: Wanted, samples: Samples) -> float | None:
    """Return the median of the rounds' ratios of our figure to the reference's, or our figure's median.

    A machine that is slower in one round than in another is so for both: the ratio holds.
    """
    ours = samples[goal][goal.subject]
    if not ours:
        return None
    if not wanted.reference:
        return statistics.median(ours)
    theirs = samples[goal][wanted.reference]
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True)) if theirs else None


def holds(wanted: Wanted, value: float) -> bool:
    """Say whether a ratio or a figure is as it should be."""
    return value >= wanted.bound if wanted.reference else value <= wanted.bound


def table(samples: Samples) -> Table:
    """Return one row for each thing that must hold, and one for each further server."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "ours", "reference", "its figure", "ratio", "wanted", ""):
        rows.add_column(title, justify="left" if title in ("", "reference") else "right")
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
    if value is None:
        missing = kinds()[wanted.reference or goal.subject].missing
        return (wanted.reference, theirs, "", bound, Text(f"not measured: {missing}", style="yellow"))
    verdict = Text("holds", style="green") if holds(wanted, value) else Text("falls short", style="bold red")
    return (wanted.reference, theirs, f"{value:.2f}" if wanted.reference else "", bound, verdict)


def _figure(values: list[float]) -> str:
    if not values:
        return "-"
    median = statistics.median(values)
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
        f"medians; ratios round by round. {processors} processors, Linux {platform.release()}, "
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
            {"reference": each.reference or None, "bound": each.bound, "value": value, "holds": verdict}
        )
    return {
        "title": goal.title,
        "unit": goal.unit,
        "subject": goal.subject,
        "wanted": wanted,
        "samples": samples[goal],
    }
