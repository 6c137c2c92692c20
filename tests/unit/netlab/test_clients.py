"""`netlab clients`: what it says follows from the figures, whatever they are."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from hftp.load.figures import Generator, KindFigures, Latency, Result
from netlab.clients.charts import draw
from netlab.clients.figures import Cell, Comparison, Cost, Variant
from netlab.clients.loads import ALL, CALM, CROWDS, QUICK, TROUBLES, Load
from netlab.clients.record import record
from netlab.clients.screen import WIDE_COLUMNS, screen
from netlab.clients.server import variants_of
from netlab.clients.words import answer

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = Variant("one", ("--strategy", "one")), Variant("other", ("--strategy", "other"))
NEVER_READS = TROUBLES[1]


def seen(kind: str, clients: int, starved: int = 0) -> KindFigures:
    latency = Latency(0.001, 0.002, 0.003)
    return KindFigures(kind, clients, clients - starved, starved, clients, 0, 10, 0, 9, 0.0, latency, [])


def measured(
    variant: Variant,
    load: Load,
    rate: float = 1000.0,
    starved: int = 0,
    p99: float = 0.002,
    recovery_s: float | None = 0.001,
    mib: int = 20,
    bottleneck: bool = False,
    queued: float = 0.0,
) -> Cell:
    result = Result(
        server="127.0.0.1:1",
        seconds=1.0,
        answers=int(rate),
        requests_per_s=rate,
        bytes_per_s=1e6,
        latency=Latency(0.001, p99, 0.9),
        kinds=[seen("small", load.clients, starved)],
        recovery_s=recovery_s,
        generator=Generator(0.5, queued, 0.5, 0.001),
        bottleneck=bottleneck,
    )
    return Cell(variant, load, result, Cost(mib << 20, mib << 20, 1, 1, 2000, 0.5))


def compared(*cells: Cell, processors: int = 8) -> Comparison:
    return Comparison(cells, processors, 12.0)


def said(comparison: Comparison) -> dict[str, str]:
    return dict(answer(comparison))


def test_who_serves_everyone_is_said() -> None:
    words = said(compared(measured(ONE, CALM), measured(OTHER, CALM, starved=99)))
    assert words["Who attends several clients?"] == (
        "one gave everyone an answer under each load. "
        "other left clients without any answer under 100 clients; at worst 99 of 100 (100 clients)."
    )


def test_the_fastest_is_named_and_the_others_beside_it() -> None:
    words = said(compared(measured(ONE, CALM, rate=500.0), measured(OTHER, CALM, rate=1000.0)))
    assert words["How fast?"] == (
        "With 100 clients: other, 1,000 requests a second; of that rate, one 0.50. "
        "Of its processor time a request takes, with 100 clients, in microseconds: other 500 and one 1,000."
    )


def test_rates_that_are_near_are_not_ranked() -> None:
    words = said(compared(measured(ONE, CALM, rate=950.0), measured(OTHER, CALM, rate=1000.0)))
    assert "other and one (too near to tell apart)" in words["How fast?"]


def test_a_client_costs_what_more_of_them_add() -> None:
    words = said(compared(measured(ONE, CROWDS[0], mib=10), measured(ONE, CROWDS[3], mib=1009)))
    assert (
        "1,009 MiB, 1 thread and 1 process for 1,000 clients, 1,024 KiB for each more"
        in (words["What does a client cost?"])
    )


@pytest.mark.parametrize(
    ("trouble", "said_of_it"),
    [
        (measured(ONE, NEVER_READS, p99=0.0039), "nobody felt it"),
        (measured(ONE, NEVER_READS, p99=0.02), "with one the others' p99 went from 2.00 ms to 20.0 ms"),
        (measured(ONE, NEVER_READS, starved=40), "one starved 40 of the 100 (0 without it)"),
        (Cell(ONE, NEVER_READS, None, None, "why"), "one was not measured"),
    ],
)
def test_what_trouble_does_to_the_others_is_said(trouble: Cell, said_of_it: str) -> None:
    words = said(compared(measured(ONE, CALM), trouble))
    assert words["Who bears trouble?"] == f"1 never reads: {said_of_it}."


def test_of_who_starves_clients_without_trouble_no_waiting_is_compared() -> None:
    calm, troubled = measured(ONE, CALM, starved=70), measured(ONE, NEVER_READS, starved=70, p99=9.0)
    assert said(compared(calm, troubled))["Who bears trouble?"] == "1 never reads: nobody felt it."


def test_who_does_not_recover_is_said() -> None:
    words = said(compared(measured(ONE, CALM, recovery_s=None), measured(OTHER, CALM, recovery_s=0.25)))
    assert words["And afterwards?"] == (
        "one served no new client in time after 100 clients. "
        "other served a new client after 250 ms at worst (100 clients)."
    )


def test_the_choice_works_least_of_those_that_serve_everyone() -> None:
    fast_but_unfair = measured(ONE, CALM, rate=9000.0, starved=1)
    assert said(compared(fast_but_unfair, measured(OTHER, CALM)))["So which?"].startswith("other: ")


def test_of_those_that_work_least_the_smallest_is_chosen() -> None:
    words = said(compared(measured(ONE, CALM, mib=99), measured(OTHER, CALM, rate=950.0, mib=9)))
    assert words["So which?"].startswith("other: of those that served everyone it is the smallest of those")


def test_where_none_serves_everyone_none_is_chosen() -> None:
    assert "none of them" in said(compared(measured(ONE, CALM, starved=1)))["So which?"]


def test_a_busy_generator_is_a_caveat() -> None:
    words = said(compared(measured(ONE, CALM, bottleneck=True)))
    assert "may have been the limit for one with 100 clients" in words["But"]
    assert "But" not in said(compared(measured(ONE, CALM)))


def test_a_busy_machine_is_a_caveat() -> None:
    words = said(compared(measured(ONE, CALM, queued=0.4), measured(OTHER, CALM, queued=0.3)))
    assert "waited 35% of its time for a processor" in words["But"]


def test_few_processors_are_a_caveat() -> None:
    assert "2 processors" in said(compared(measured(ONE, CALM), processors=2))["But"]


def printed(comparison: Comparison, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(screen(comparison, wide=width >= WIDE_COLUMNS))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, WIDE_COLUMNS])
def test_every_figure_fits_the_screen(width: int) -> None:
    variant = Variant("sequential")
    large = replace(measured(variant, CROWDS[3], rate=123_456.0, p99=0.123, starved=999), load=CROWDS[3])
    text = printed(compared(large), width)
    assert "…" not in text
    for figure in ("1/1,000", "123,456", "1.00 ms", "123 ms", "900 ms", "20"):
        assert figure in text
    assert ("us/req" in text.splitlines()[3]) == (width == WIDE_COLUMNS)


def test_what_was_not_measured_has_a_row() -> None:
    text = printed(compared(measured(ONE, CALM), Cell(OTHER, CALM, None, None, "it did not start")), 110)
    assert "not measured" in text
    assert "other could not be measured under 100 clients: it did not start." in " ".join(text.split())


def test_json_carries_everything() -> None:
    text = json.dumps(record(compared(measured(ONE, CALM), Cell(OTHER, CALM, None, None, "why"))))
    kept = json.loads(text)
    assert kept["cells"][0]["result"]["requests_per_s"] == 1000.0
    assert kept["cells"][1]["failure"] == "why"
    assert "So which?" in kept["answer"]


def test_charts_are_an_svg_and_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cells = [measured(variant, load) for load in ALL for variant in (ONE, OTHER)]
    svg, png = draw(compared(*cells), tmp_path / "charts")
    assert b"<svg" in svg.read_bytes()[:1000]
    assert png.read_bytes().startswith(b"\x89PNG")
    before = svg.read_bytes()
    draw(compared(*cells), tmp_path / "charts")
    assert svg.read_bytes() == before  # the same figures, the same file


def test_variants_are_what_the_server_offers() -> None:
    usage = "usage: hftp serve [--strategy {sequential,epoll}] [--workers N]"
    assert [variant.name for variant in variants_of(usage, 4)] == ["sequential", "epoll", "epoll x 4"]
    assert [variant.name for variant in variants_of(usage, 1)] == ["sequential", "epoll"]
    assert variants_of("usage: hftp serve [-a ADDRESS]", 4) == [Variant("poll")]


def test_loads_are_the_same_hundred_with_and_without_trouble() -> None:
    assert [load.clients for load in CROWDS] == [1, 10, 100, 1000]
    assert {load.clients for load in TROUBLES} == {CALM.clients}
    assert CALM in QUICK
    assert TROUBLES[0].flags(1.0)[-2:] == ["--idle", "100"]
