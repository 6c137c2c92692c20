"""A scan as a screen: who reaches which service, why not, and what is exposed beyond the machine."""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from netlab.model import Cell, Outcome, Verdict, endpoint
from netlab.predict.binding import describe
from netlab.report.alike import FEW, among, counted, number_of
from netlab.report.beyond import beyond
from netlab.report.furthest import furthest
from netlab.report.record import cell_record
from netlab.report.surprises import surprises
from netlab.report.symbols import DISAGREES, MARKS, NOT_MEASURED, Mark, mark_of
from netlab.report.words import why
from netlab.scan import Scan, Service

# What the names of the vantages may take of a line of 80 characters; longer ones are spelled out below.
_NAMES_COLUMNS = 36


def exposure(scan: Scan, name: str, notes: Sequence[str] = (), *, ascii_only: bool = False) -> RenderableType:
    """Return all that `netlab scan` shows.

    Args:
        scan: what came of it.
        name: what was scanned.
        notes: what else there is to know.
        ascii_only: whether the terminal can write only ASCII.
    """
    parts: list[RenderableType] = [Text(_summary(scan, name), style="bold"), *_lines(notes), ""]
    if scan.services:
        parts += [*_grid(scan, ascii_only=ascii_only), _legend(scan, ascii_only=ascii_only)]
    else:
        parts += [Text("nothing listens on a TCP port")]
    for title, lines in (
        ("Beyond this machine", beyond(scan)),
        ("Why not", tuple(_whys(scan))),
        ("Not as predicted", tuple(_surprises(scan))),
        ("Not measured", tuple(_unmeasured(scan))),
        ("Not asked: UDP", tuple(_not_asked(scan))),
    ):
        if lines:
            parts += ["", Text(title, style="bold"), *_lines(lines)]
    return Group(*parts)


def scan_record(scan: Scan, name: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return a scan as JSON's own types."""
    ports = {service.name: service.port for service in scan.services}
    return {
        "format": 1,
        "scanned": name,
        "engine": scan.engine.version if scan.engine is not None else None,
        "notes": list(notes),
        "services": [
            {
                "name": service.name,
                "host": service.host,
                "port": service.port,
                "listeners": [describe(listener) for listener in service.listeners],
                "published": [endpoint(p.address, p.port) for p in scan.publications_of(service)],
            }
            for service in scan.services
        ],
        "exposed": list(beyond(scan)),
        "not_asked": {
            host: [describe(socket) for socket in sockets] for host, sockets in scan.not_asked.items()
        },
        "cells": [
            {**cell_record(cell), "port": cell.target.port or ports[cell.bind.name]} for cell in scan.cells
        ],
    }


def _not_asked(scan: Scan) -> Iterator[str]:
    alike: dict[str, list[str]] = defaultdict(list)
    for host, sockets in scan.not_asked.items():
        alike[", ".join(map(describe, sockets))].append(host)
    for sockets_said, hosts in alike.items():
        yield f"{counted(hosts)} {'has' if len(hosts) == 1 else 'have'} {sockets_said}"
    if scan.not_asked:
        yield "no question is one that all answer; netlab why HOST HOST:PORT/udp --check CHECK asks yours"


def _lines(lines: Iterable[str]) -> Iterator[RenderableType]:
    """Yield each line indented, and what of it does not fit further in."""
    for line in lines:
        table = Table.grid(padding=(0, 1))
        table.add_row(Text("-", style="dim"), Text(line))
        yield Padding(table, (0, 0, 0, 1))


def _summary(scan: Scan, name: str) -> str:
    measured = [cell for cell in scan.cells if cell.measured]
    agreeing = sum(cell.agrees for cell in measured)
    engine = f", Docker {scan.engine.version}" if scan.engine is not None else ""
    services, dials = number_of(len(scan.services), "service"), number_of(len(scan.cells), "dial")
    size = f"{services}, {dials} from {number_of(len(scan.vantages), 'host')}"
    return f"{name}{engine}: {size}, {len(measured)} measured, {agreeing} as predicted"


def _grid(scan: Scan, *, ascii_only: bool) -> Iterator[RenderableType]:
    letters = dict(zip(scan.vantages, string.ascii_letters, strict=False))
    spelled_out = sum(len(vantage) + 2 for vantage in scan.vantages) > _NAMES_COLUMNS
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("service", header_style="dim")
    table.add_column("listens on", header_style="dim")
    for vantage in scan.vantages:
        title = letters.get(vantage, "?") if spelled_out else vantage
        table.add_column(Text(title), header_style="dim", justify="center", no_wrap=True)
    for service in scan.services:
        sockets = "\n".join(describe(listener) for listener in service.listeners)
        marks = [_mark(scan, service, vantage, ascii_only=ascii_only) for vantage in scan.vantages]
        table.add_row(Text(service.name), Text(sockets), *marks)
    yield table
    if spelled_out:
        key = (Text(f"{letter} ", style="dim").append(name, "none") for name, letter in letters.items())
        yield Columns(list(key), padding=(0, 3))


def _mark(scan: Scan, service: Service, vantage: str, *, ascii_only: bool) -> Text:
    if vantage == service.host:
        return Text("-", style="dim")
    cells = scan.between(service, vantage)
    if not cells:  # it has no address
        return Text()
    best = furthest(cells)
    mark = NOT_MEASURED if best is None else mark_of(best)
    surprise = any(cell.measured and not cell.agrees for cell in cells)
    return Text(_symbol(mark, ascii_only=ascii_only), mark.style).append(
        DISAGREES if surprise else "", "bold red"
    )


def _legend(scan: Scan, *, ascii_only: bool) -> Text:
    used = {_verdict(best) for *_, best in _bests(scan)}
    legend = Text()
    for verdict, mark in MARKS.items():
        if verdict in used:
            legend.append(f"{_symbol(mark, ascii_only=ascii_only)} ", mark.style).append(f"{verdict}   ")
    if not all(cell.measured for cell in scan.cells):
        legend.append(f"{_symbol(NOT_MEASURED, ascii_only=ascii_only)} ", NOT_MEASURED.style)
        legend.append("not measured")
    return legend


def _symbol(mark: Mark, *, ascii_only: bool) -> str:
    return mark.ascii if ascii_only else mark.symbol


def _bests(scan: Scan) -> Iterator[tuple[Service, str, Cell]]:
    """Yield for each service and vantage the dial that got furthest."""
    for service in scan.services:
        for vantage in scan.vantages:
            if (best := furthest(scan.between(service, vantage))) is not None:
                yield service, vantage, best


def _whys(scan: Scan) -> Iterator[str]:
    """Yield for each service who does not get through, and why; hosts with the same reason share a line."""
    groups: dict[tuple[str, Outcome, str], list[Cell]] = defaultdict(list)
    for service, _, best in _bests(scan):
        if best.observation.outcome is not None and _verdict(best) is not Verdict.OPEN:
            groups[service.name, best.observation.outcome, _reason(best)].append(best)
    ports = {service.name: service.port for service in scan.services}
    alike: dict[tuple[int, str, Outcome, str], list[list[Cell]]] = defaultdict(list)
    for (name, outcome, _), cells in groups.items():
        others = [vantage for vantage in scan.vantages if vantage != cells[0].bind.host]
        who = among([cell.vantage for cell in cells], others)
        alike[ports[name], who, outcome, why(cells[0])].append(cells)
    for (port, who, outcome, reason), its in alike.items():
        if len(its) > FEW:
            hosts = [cells[0].bind.host for cells in its]
            everything = [cell for cells in its for cell in cells]
            yield f"port {port} of {counted(hosts)} from {who}: {outcome}: {reason}{_remedy(everything)}"
            continue
        for cells in its:
            yield f"{cells[0].bind.name} from {who}: {outcome}: {_reason(cells[0])}{_remedy(cells)}"


def _remedy(cells: Iterable[Cell]) -> str:
    """Return what would open them; one that names who dials is not the same for several."""
    remedies = {cell.prediction.remedy for cell in cells}
    return f"; to open it: {remedies.pop()}" if len(remedies) == 1 and any(remedies) else ""


def _surprises(scan: Scan) -> Iterator[str]:
    disagreeing = [cell for cell in scan.cells if cell.measured and not cell.agrees]
    for line, cells in surprises(disagreeing, scan.cells):
        yield f"{_dial(cells[0])}: {line}" if len(cells) == 1 else line


def _unmeasured(scan: Scan) -> Iterator[str]:
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in scan.cells:
        if not cell.measured:
            groups[cell.observation.not_measured].append(cell)
    for why_not, cells in groups.items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        yield f"{_dial(cells[0])}{more}: {why_not}"


def _dial(cell: Cell) -> str:
    return f"{cell.vantage} to {cell.bind.name} ({cell.target.name})"


def _verdict(cell: Cell) -> Verdict:
    assert cell.observation.outcome is not None, "only a measured dial got anywhere"
    return cell.observation.outcome.verdict


def _reason(cell: Cell) -> str:
    """Return the step that decided: of what is refused or lost, the answer says least."""
    steps = [step for step in cell.prediction.reason if step.kind != "answer"] or list(cell.prediction.reason)
    return steps[-1].text
