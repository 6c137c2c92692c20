"""A scan as a screen: who reaches which service, why not, and what is exposed beyond the machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from netlab.facts import Engine, Publication
from netlab.model import Cell, Outcome, Verdict, endpoint
from netlab.predict.binding import describe
from netlab.report.record import cell_record
from netlab.report.symbols import DISAGREES, MARKS, NOT_MEASURED, Mark
from netlab.scan import Scan, Service

# Of several dials from one host to one service, the one that got furthest counts.
_FURTHEST = (
    Verdict.OPEN,
    Verdict.WRONG_SERVICE,
    Verdict.ACCEPTED,
    Verdict.REFUSED,
    Verdict.UNREACHABLE,
    Verdict.TIMEOUT,
    Verdict.UNRESOLVED,
)


def exposure(scan: Scan, name: str, *, ascii_only: bool = False) -> RenderableType:
    """Return all that `netlab scan` shows.

    Args:
        scan: what came of it.
        name: what was scanned.
        ascii_only: whether the terminal can write only ASCII.
    """
    return Group(
        Text(_summary(scan, name), style="bold"),
        "",
        _grid(scan, ascii_only=ascii_only),
        _legend(scan, ascii_only=ascii_only),
        "",
        Text("Beyond this machine", style="bold"),
        *(Text(f" {line}") for line in beyond(scan)),
        *_whys(scan),
    )


def scan_record(scan: Scan, name: str) -> dict[str, Any]:
    """Return a scan as JSON's own types."""
    return {
        "format": 1,
        "scanned": name,
        "engine": scan.engine.version if scan.engine is not None else None,
        "services": [
            {
                "name": service.name,
                "listeners": [describe(listener) for listener in service.listeners],
                "published": [endpoint(p.address, p.port) for p in scan.publications_of(service)],
            }
            for service in scan.services
        ],
        "exposed": list(beyond(scan)),
        "cells": [cell_record(cell) for cell in scan.cells],
    }


def furthest(cells: Iterable[Cell]) -> Cell | None:
    """Return the dial that got furthest; None where none was measured."""
    measured = [(cell.observation.outcome.verdict, cell) for cell in cells if cell.observation.outcome]
    return min(measured, key=lambda pair: _FURTHEST.index(pair[0]), default=(None, None))[1]


def beyond(scan: Scan) -> Iterable[str]:
    """Yield a line for each published port that other machines can dial, and what they meet there."""
    engine = scan.engine
    lines = [
        _published_line(scan, engine, service, publication)
        for service in scan.services
        for publication in scan.publications_of(service)
        if engine is not None and not publication.address.is_loopback
    ]
    found = {(s.host, s.port) for s in scan.services}
    for publication in engine.publications if engine is not None else ():
        if (publication.host, publication.inside) not in found and not publication.address.is_loopback:
            at = endpoint(publication.address, publication.port)
            lines.append(f"{at} leads to {publication.host}:{publication.inside}, where nothing listens")
    return lines or ["nothing: no port is published, but on 127.0.0.1 at most"]


def _published_line(scan: Scan, engine: Engine, service: Service, publication: Publication) -> str:
    at = endpoint(publication.address, publication.port)
    dials = [
        cell
        for cell in scan.between(service, engine.host)
        if cell.target.port == publication.port and _same_family(cell, publication)
    ]
    met = furthest(dials)
    outcome = str(met.observation.outcome) if met is not None else "not measured"
    who = (
        "any machine that reaches this one"
        if publication.address.is_unspecified
        else "who reaches that address"
    )
    remedy = f"; {met.prediction.remedy}" if met is not None and met.prediction.remedy else ""
    return f"{at} leads {who} to {service.name}: {outcome}{remedy}"


def _same_family(cell: Cell, publication: Publication) -> bool:
    return (":" in cell.target.address) == (publication.address.version == 6)


def _summary(scan: Scan, name: str) -> str:
    measured = [cell for cell in scan.cells if cell.measured]
    agreeing = sum(cell.agrees for cell in measured)
    engine = f", Docker {scan.engine.version}" if scan.engine is not None else ""
    size = f"{len(scan.services)} services, {len(scan.cells)} dials from {len(scan.vantages)} hosts"
    return f"{name}{engine}: {size}, {len(measured)} measured, {agreeing} as predicted"


def _grid(scan: Scan, *, ascii_only: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("service", header_style="dim")
    table.add_column("listens on", header_style="dim")
    for vantage in scan.vantages:
        table.add_column(Text(f"from {vantage}"), header_style="dim", justify="center")
    for service in scan.services:
        sockets = ", ".join(describe(listener) for listener in service.listeners)
        marks = [_mark(scan, service, vantage, ascii_only=ascii_only) for vantage in scan.vantages]
        table.add_row(Text(service.name), Text(sockets), *marks)
    return table


def _mark(scan: Scan, service: Service, vantage: str, *, ascii_only: bool) -> Text:
    if vantage == service.host:
        return Text("itself", style="dim")
    cells = scan.between(service, vantage)
    best = furthest(cells)
    mark = NOT_MEASURED if best is None else MARKS[_verdict(best)]
    surprise = any(cell.measured and not cell.agrees for cell in cells)
    text = Text(mark.ascii if ascii_only else mark.symbol, mark.style)
    return text.append(DISAGREES if surprise else "", "bold red")


def _verdict(cell: Cell) -> Verdict:
    assert cell.observation.outcome is not None
    return cell.observation.outcome.verdict


def _legend(scan: Scan, *, ascii_only: bool) -> Text:
    bests = (furthest(scan.between(s, v)) for s in scan.services for v in scan.vantages if v != s.host)
    used = {_verdict(best) for best in bests if best is not None}
    legend = Text()
    for verdict, mark in MARKS.items():
        if verdict in used:
            legend.append(f"{_symbol(mark, ascii_only=ascii_only)} ", mark.style).append(f"{verdict}   ")
    return legend


def _symbol(mark: Mark, *, ascii_only: bool) -> str:
    return mark.ascii if ascii_only else mark.symbol


def _whys(scan: Scan) -> Iterable[RenderableType]:
    """Yield for each service who does not get through, and why; hosts with the same reason share a line."""
    yield Text("")
    yield Text("Why not", style="bold")
    for service in scan.services:
        groups: dict[tuple[Outcome, str], list[str]] = defaultdict(list)
        for vantage in scan.vantages:
            best = furthest(scan.between(service, vantage)) if vantage != service.host else None
            if best is not None and best.observation.outcome and _verdict(best) is not Verdict.OPEN:
                groups[best.observation.outcome, _reason(best)].append(vantage)
        for (outcome, reason), vantages in groups.items():
            yield Text(f" {service.name} from {_and(vantages)}: {outcome}: {reason}")
    for cell in scan.cells:
        if cell.measured and not cell.agrees:
            said, seen = cell.prediction.outcome, cell.observation.outcome
            dial = f"{cell.vantage} to {cell.bind.name} ({cell.target.name})"
            yield Text(f" {dial}: predicted {said}, observed {seen}", style="bold red")


def _reason(cell: Cell) -> str:
    steps = [step for step in cell.prediction.reason if step.kind != "answer"] or list(cell.prediction.reason)
    remedy = f"; to open it, {cell.prediction.remedy}" if cell.prediction.remedy else ""
    return f"{steps[-1].text}{remedy}"


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
