"""A comparison as one screen: a table a load, and the answer in words. rich draws it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hftp.load.words import duration
from netlab.clients.figures import Cell, Comparison
from netlab.clients.loads import MIX, Load
from netlab.clients.words import answer

# What the clients saw, and what it cost the server. The latter needs a wider terminal than many have.
_SEEN = ("", "served", "req/s", "MB/s", "p50", "p99", "worst", "recovers", "MiB")
_COSTS = ("threads", "proc.", "sw/req", "us/req")
WIDE_COLUMNS = 116

_KEY = (
    "served: of those that asked, how many had an answer at all. recovers: how long a new client waits when "
    "all leave at once. MiB: of all the server's processes, what they share counted once. sw/req, us/req: "
    "context switches and processor time of the server for each request. *: the load generator may have been "
    "the limit."
)


def screen(comparison: Comparison, *, wide: bool = True) -> RenderableType:
    """Return all that `netlab clients` shows.

    Args:
        comparison: what was measured.
        wide: whether there are ``WIDE_COLUMNS`` for it; else some figures are left out.
    """
    parts: list[RenderableType] = [Text(summary(comparison), style="bold")]
    for load in comparison.loads:
        parts += ["", Text(_title(load), style="bold"), _table(comparison, load, wide=wide)]
    parts += ["", Text(_KEY if wide else f"{_KEY} More with {WIDE_COLUMNS} columns.", style="dim")]
    parts += ["", Text("The answer", style="bold")]
    for question, said in answer(comparison):
        parts += [Padding(Text(question, style="italic"), (0, 0, 0, 1)), Padding(Text(said), (0, 0, 0, 3))]
    return Group(*parts)


def summary(comparison: Comparison) -> str:
    """Return the run in one line."""
    return (
        f"{len(comparison.variants)} ways to attend clients, {len(comparison.loads)} loads, "
        f"{comparison.processors} processors, {comparison.seconds:.0f} s"
    )


def _title(load: Load) -> str:
    if not load.trouble:
        return f"{load.name}, each asking again and again ({MIX})"
    return f"{load.clients} clients as above, and {load.name}"


def _table(comparison: Comparison, load: Load, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for title in _SEEN + _COSTS if wide else _SEEN:
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for variant in comparison.variants:
        cell = comparison.cell(variant, load)
        table.add_row(Text(f" {variant.name}"), *(_seen(cell) + (_costs(cell) if wide else [])))
    return table


def _seen(cell: Cell) -> list[Text]:
    result, cost = cell.result, cell.cost
    if result is None or cost is None:
        return [Text("not measured", style="bold red")]
    latency = result.latency
    return [
        Text(f"{cell.asked - cell.unanswered:,}/{cell.asked:,}", style="bold red" if cell.unanswered else ""),
        Text(f"{result.requests_per_s:,.0f}{'*' if result.bottleneck else ''}"),
        Text(f"{result.bytes_per_s / 1e6:,.0f}"),
        *(Text(duration(seconds)) for seconds in (latency.p50, latency.p99, latency.worst)),
        Text("no", style="bold red") if result.recovery_s is None else Text(duration(result.recovery_s)),
        Text(f"{cost.memory_bytes / 2**20:,.0f}"),
    ]


def _costs(cell: Cell) -> list[Text]:
    cost = cell.cost
    if cost is None:
        return []
    return [
        Text(f"{cost.threads:,}"),
        Text(f"{cost.processes:,}"),
        _ratio(cell.per_request(cost.switches), "{:.2f}"),
        _ratio(cell.cpu_us, "{:,.0f}"),
    ]


def _ratio(value: float | None, form: str) -> Text:
    return Text("-" if value is None else form.format(value))
