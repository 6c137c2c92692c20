"""What came out otherwise than predicted: dial by dial where it is little, else many hosts in one line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from netlab.experiments.plan import SERVER
from netlab.model import Cell
from netlab.report.alike import FEW, among, named
from netlab.report.suspicion import suspicion

# A line, and the cells that it is about.
Told = tuple[str, tuple[Cell, ...]]


def surprises(disagreeing: Sequence[Cell], cells: Sequence[Cell]) -> Iterator[Told]:
    """Yield what is to be said of cells that disagree; the line is without a name where it is of one cell.

    Args:
        disagreeing: those, in the order of the matrix.
        cells: all of it: who could have dialled.
    """
    dialling: dict[str, dict[str, None]] = defaultdict(dict)
    for cell in cells:
        if cell.vantage != SERVER:
            dialling[cell.bind.host][cell.vantage] = None
    # What explains one may not explain another, though both came out alike.
    by_host: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in disagreeing:
        by_host[cell.bind.host, _said(cell, None, None)].append(cell)
    alike: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for (host, said_of_any), its in by_host.items():
        who = among(list(dict.fromkeys(cell.vantage for cell in its)), list(dialling[host]))
        alike[who, said_of_any] += its
    for (who, _), group in alike.items():
        if len(group) > FEW:
            hosts = list(dict.fromkeys(cell.bind.host for cell in group))
            said_of_all = _said(group[0], _only([c.vantage for c in group]), _only(hosts))
            yield f"{named(hosts)} from {who} ({len(group)} dials): {said_of_all}", tuple(group)
        else:
            yield from ((_said(cell), (cell,)) for cell in group)


def _only(hosts: Sequence[str]) -> str | None:
    return hosts[0] if len(set(hosts)) == 1 else None


def _said(cell: Cell, here: str | None = "", there: str | None = "") -> str:
    """Return what was predicted and observed, and what may explain it; None: of several hosts."""
    here = "whoever dials" if here is None else here
    there = "that host" if there is None else there
    why = suspicion(cell, here, there)
    predicted, observed = cell.prediction.outcome, cell.observation.outcome
    return f"predicted {predicted}, observed {observed}" + (f": {why}" if why else "")
