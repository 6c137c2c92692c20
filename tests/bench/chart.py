"""What must hold as a picture: each figure as a share of what is wanted."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tests.bench.report import Samples, holds, ratio

_HOLDS, _FALLS_SHORT = "#0072B2", "#D55E00"


def draw(samples: Samples, directory: Path) -> None:
    """Draw bench.svg and bench.png: a bar a goal, as long as the figure is of what is wanted.

    Args:
        samples: what was measured.
        directory: where the files go; it is made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names, shares, colours, texts = [], [], [], []
    for goal in samples:
        for wanted in goal.wanted:
            value = ratio(goal, wanted, samples)
            if value is None:
                continue
            names.append(f"{goal.title}{f' / {wanted.reference}' if wanted.reference else ''}")
            shares.append(value / wanted.bound if wanted.bound else 1.0 + value)
            colours.append(_HOLDS if holds(wanted, value) else _FALLS_SHORT)
            sign = ">=" if wanted.reference else "<="
            texts.append(
                f"{value:.3g}{'' if wanted.reference else ' ' + goal.unit} ({sign} {wanted.bound:g})"
            )
    figure = Figure(figsize=(11, 0.6 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, shares, color=colours)
    axes.bar_label(bars, texts, padding=3, fontsize=8)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_title("ratios should pass the line, amounts should not")
    for suffix in ("svg", "png"):
        metadata = {"Date": None} if suffix == "svg" else None
        figure.savefig(directory / f"bench.{suffix}", dpi=120, metadata=metadata)
