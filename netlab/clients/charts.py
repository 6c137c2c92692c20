"""A comparison as a picture: speed, waiting, memory over the number of clients, and what trouble does.

matplotlib draws it, the field's own library: SVG for pages, PNG for everything else. Only this imports it.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.clients.figures import Cell, Comparison
from netlab.errors import NetlabError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind people, too. Markers tell them apart without colour.
_COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#999999")
_MARKERS = "osD^vP*X"

_INCHES = (11.0, 8.0)
FORMATS = ("svg", "png")


def check_available() -> None:
    """Raise an error where charts can't be drawn.

    Raises:
        NetlabError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise NetlabError("charts need matplotlib: pip install 'hftp-netlab[charts]', or leave out --charts")


def draw(comparison: Comparison, directory: Path, name: str = "clients") -> list[Path]:
    """Draw a comparison.

    Args:
        comparison: what was measured.
        directory: where the files go; it is made.
        name: of the files, without their suffix.

    Returns:
        The files: an SVG and a PNG.
    """
    from matplotlib import rc_context

    directory.mkdir(parents=True, exist_ok=True)
    files = [directory / f"{name}.{suffix}" for suffix in FORMATS]
    with rc_context({"svg.hashsalt": "netlab", "font.size": 9}):  # the same figures give the same file
        figure = _figure(comparison)
        for file in files:
            figure.savefig(file, dpi=120, metadata={"Date": None} if file.suffix == ".svg" else None)
    return files


def _figure(comparison: Comparison) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    (speed, waiting), (memory, trouble) = figure.subplots(2, 2)
    _lines(speed, comparison, "requests a second", _speed)
    _lines(waiting, comparison, "p99 latency, ms", _p99_ms)
    _lines(memory, comparison, "memory of all its processes, MiB", _memory_mib)
    _served(trouble, comparison)
    handles, labels = speed.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def _speed(cell: Cell) -> float | None:
    return cell.result.requests_per_s if cell.result else None


def _p99_ms(cell: Cell) -> float | None:
    p99 = cell.result.latency.p99 if cell.result else None
    return p99 * 1000 if p99 is not None else None


def _memory_mib(cell: Cell) -> float | None:
    return cell.cost.memory_bytes / 2**20 if cell.cost else None


def _lines(axes: Axes, comparison: Comparison, title: str, value: Callable[[Cell], float | None]) -> None:
    """Draw a line a variant over the number of clients. A hollow marker: some of them starved."""
    for index, variant in enumerate(comparison.variants):
        cells = [cell for cell in comparison.cells if cell.variant == variant and not cell.load.trouble]
        points = [(cell, y) for cell in cells if (y := value(cell)) is not None]
        colour = _COLOURS[index % len(_COLOURS)]
        marker = _MARKERS[index % len(_MARKERS)]
        counts = [cell.load.clients for cell, _ in points]
        axes.plot(counts, [y for _, y in points], color=colour, marker=marker, label=variant.name)
        hollow = [(cell.load.clients, y) for cell, y in points if cell.starved]
        axes.plot(
            [x for x, _ in hollow], [y for _, y in hollow], marker, color=colour, markerfacecolor="white"
        )
    axes.set(xscale="log", yscale="log", xlabel="clients", title=title)
    _whole_decades(axes)
    axes.grid(alpha=0.3, which="both", linewidth=0.4)


def _whole_decades(axes: Axes) -> None:
    """Let the scale begin and end with a power of ten, and write these as people do."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    low, high = axes.get_ylim()
    axes.set_ylim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())


def _served(axes: Axes, comparison: Comparison) -> None:
    """Draw which share of those who asked again and again was served at all, a group of bars a load."""
    variants = comparison.variants
    width = 0.8 / len(variants)
    for index, variant in enumerate(variants):
        cells = [comparison.cell(variant, load) for load in comparison.loads]
        shares = [100 * (1 - cell.starved / cell.load.clients) if cell.result else 0.0 for cell in cells]
        places = [place + (index - (len(variants) - 1) / 2) * width for place in range(len(cells))]
        axes.bar(places, shares, width, color=_COLOURS[index % len(_COLOURS)])
    names = [load.name for load in comparison.loads]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set(ylim=(0, 105), title="clients served at all, % (hollow markers above: not all were)")
