"""What a scan shows: who reaches what, why not, and what other machines meet."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from netlab.facts import Engine, Publication
from netlab.model import Bind, Cell, Host, Observation, Outcome, Prediction, Step, Target, Topology, Verdict
from netlab.report.beyond import beyond
from netlab.report.exposure import exposure, scan_record
from netlab.report.furthest import furthest
from netlab.scan import Scan, Service
from tests.unit.netlab.made import OPEN, REFUSED, ip, listener

WEB = Service("web", 80, (listener("0.0.0.0", 80), listener("::", 8080, v6only=True)))
ADMIN = Service("admin", 9000, (listener("127.0.0.1", 9000),))
PUBLISHED = (
    Publication(ip("0.0.0.0"), 8080, "web", 80),
    Publication(ip("127.0.0.1"), 8081, "web", 80),
    Publication(ip("::"), 8090, "admin", 9000),
    Publication(ip("198.18.1.1"), 8099, "admin", 1),
)
DIED = Outcome(Verdict.ACCEPTED, "reset")
TIMEOUT = Outcome(Verdict.TIMEOUT)


def cell(
    service: Service,
    vantage: str,
    address: str,
    outcome: Outcome | None,
    *,
    port: int | None = None,
    predicted: Outcome | None = None,
    remedy: str = "",
) -> Cell:
    bind = Bind(service.name, service.host, str(service.listeners[0].address))
    said = predicted or outcome or OPEN
    steps = (
        Step("listener", service.host, f"no socket for {address}", "s"),
        Step("answer", "host", "RST", "r"),
    )
    target = Target(f"published, {address}" if port else f"front, {address}", address, port)
    seen = Observation(outcome, not_measured="" if outcome else "the agent is gone")
    return Cell(bind, vantage, target, Prediction(said, steps, remedy), seen)


CELLS = (
    cell(WEB, "admin", "198.18.1.2", OPEN),
    cell(WEB, "host", "198.18.1.2", OPEN),
    cell(WEB, "host", "127.0.0.1", OPEN, port=8080),
    cell(WEB, "host", "198.18.9.1", OPEN, port=8080),
    cell(ADMIN, "web", "198.18.1.3", REFUSED, remedy="bind 0.0.0.0"),
    cell(ADMIN, "tiny", "198.18.1.3", REFUSED, remedy="bind 0.0.0.0"),
    cell(ADMIN, "host", "198.18.1.3", REFUSED, remedy="bind 0.0.0.0"),
    cell(ADMIN, "host", "::1", DIED, port=8090, remedy="in admin, listen on 0.0.0.0"),
)
ENGINE = Engine("host", "26.1.5", filters_ipv6=True, publications=PUBLISHED)


def scan(*cells: Cell, engine: Engine | None = ENGINE, services: tuple[Service, ...] = (ADMIN, WEB)) -> Scan:
    hosts = tuple(Host(name, ()) for name in ("admin", "tiny", "web", "host"))
    return Scan(Topology((), hosts), engine, {}, services, cells or CELLS)


def shown(it: Scan, *notes: str, width: int = 80, ascii_only: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(exposure(it, "shop", notes, ascii_only=ascii_only))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_the_screen() -> None:
    assert shown(scan(), "db does not run (exited)") == (
        """\
shop, Docker 26.1.5: 2 services, 8 dials from 4 hosts, 8 measured, 8 as
predicted
 - db does not run (exited)

service     listens on             admin  tiny  web  host
admin:9000  127.0.0.1:9000           -     ✗     ✗    ◐
web:80      0.0.0.0:80               ●           -    ●
            [::]:8080 (IPv6 only)
● open   ✗ refused   ◐ accepted

Beyond this machine
 - 0.0.0.0:8080 leads any machine that reaches this one to web:80: open at
   198.18.9.1
 - [::]:8090 leads any machine that reaches this one to admin:9000: accepted
   (reset) at ::1; to open it: in admin, listen on 0.0.0.0
 - 198.18.1.1:8099 leads to admin:1, where nothing listens
 - 127.0.0.1:8081 is for this machine alone, but a neighbour on its link that
   routes packets for web to it reaches port 80 there: Docker 26.1.5 lets them
   pass, 28 does not

Why not
 - admin:9000 from tiny and web: refused: no socket for 198.18.1.3; to open it:
   bind 0.0.0.0
 - admin:9000 from host: accepted (reset): no socket for ::1; to open it: in
   admin, listen on 0.0.0.0"""
    )


def test_what_is_not_as_predicted_and_what_was_not_measured_have_places_of_their_own() -> None:
    odd = cell(WEB, "admin", "198.18.1.2", TIMEOUT, predicted=OPEN)
    gone = cell(WEB, "tiny", "198.18.1.2", None)
    text = shown(scan(odd, gone))
    assert "2 dials from 4 hosts, 1 measured, 0 as predicted" in text.replace("\n", " ")
    assert (
        "Not as predicted\n - admin to web:80 (front, 198.18.1.2): predicted open, observed timeout" in text
    )
    assert "Not measured\n - tiny to web:80 (front, 198.18.1.2): the agent is gone" in text
    assert "…!" in text
    assert "□ not measured" in text


def test_udp_sockets_are_named_and_it_is_said_that_nobody_asked() -> None:
    sockets = {"dns": (listener("0.0.0.0", 53), listener("::", 53, v6only=True))}
    text = shown(replace(scan(), not_asked=sockets), width=110)
    assert text.endswith(
        """
Not asked: UDP
 - dns has 0.0.0.0:53, [::]:53 (IPv6 only)
 - no question is one that all answer; netlab why HOST HOST:PORT/udp --check CHECK asks yours"""
    )
    record = scan_record(replace(scan(), not_asked=sockets), "shop")
    assert record["not_asked"] == {"dns": ["0.0.0.0:53", "[::]:53 (IPv6 only)"]}
    assert "UDP" not in shown(scan())


def test_a_remedy_that_names_who_dials_is_not_told_of_several() -> None:
    cells = [
        cell(WEB, vantage, "198.18.1.2", REFUSED, remedy=f"give {vantage} a route")
        for vantage in ("admin", "tiny")
    ]
    assert " - web:80 from admin and tiny: refused: no socket for 198.18.1.2\n" in shown(scan(*cells)) + "\n"
    assert "to open it: give admin a route" in " ".join(shown(scan(cells[0])).split())


def test_many_vantages_are_headed_by_letters() -> None:
    names = [f"a-service-with-a-long-name-{n}" for n in range(12)]
    hosts = tuple(Host(name, ()) for name in (*names, "web"))
    cells = [cell(WEB, name, "198.18.1.2", OPEN) for name in names]
    text = shown(Scan(Topology((), hosts), ENGINE, {}, (WEB,), tuple(cells)))
    assert max(map(len, text.splitlines())) <= 80
    assert "a  b  c  d  e" in text
    assert f"l {names[11]}" in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal(width: int) -> None:
    assert max(map(len, shown(scan(), "note " * 40, width=width).splitlines())) <= width


def test_ascii_is_enough_where_there_is_no_more() -> None:
    assert shown(scan(), ascii_only=True).isascii()


def test_a_project_that_listens_on_nothing_says_so() -> None:
    empty = Scan(Topology((), ()), Engine("host", "28.0", True), {}, (), ())
    assert "nothing listens on a TCP port" in shown(empty)
    assert beyond(empty) == ("nothing: no port is published, but on 127.0.0.1 at most",)


def test_without_an_engine_nothing_is_said_of_other_machines() -> None:
    assert beyond(scan(engine=None)) == ()
    assert "Beyond" not in shown(scan(engine=None))


def test_from_version_28_on_a_port_on_loopback_is_for_this_machine_alone() -> None:
    old, new = beyond(scan()), beyond(scan(engine=replace(ENGINE, version="28.0.1")))
    assert [line for line in old if line not in new] == [
        line for line in old if line.startswith("127.0.0.1:8081")
    ]


def test_what_counts_is_what_is_met_at_an_address_that_others_would_dial() -> None:
    cells = (
        cell(WEB, "host", "127.0.0.1", DIED, port=8080),
        cell(WEB, "host", "198.18.9.1", REFUSED, port=8080, remedy="bind 0.0.0.0"),
    )
    assert beyond(scan(*cells))[0] == (
        "0.0.0.0:8080 leads any machine that reaches this one to web:80: "
        "refused at 198.18.9.1; to open it: bind 0.0.0.0"
    )
    assert "web:80: not measured" in beyond(scan(cell(WEB, "admin", "198.18.1.2", OPEN)))[0]


def test_sockets_of_a_container_on_the_hosts_network_are_named() -> None:
    its = Service("host", 9100, (listener("0.0.0.0", 9100), listener("127.0.0.1", 9101)))
    sharing = Engine("host", "28.0", True, sharing=("exporter",))
    said = "is a socket of this machine, or of exporter, which shares its network: no port is published"
    assert beyond(scan(engine=sharing, services=(its,))) == (f"0.0.0.0:9100 {said}",)


def test_the_dial_that_got_furthest_counts() -> None:
    cells = [cell(WEB, "admin", "a", outcome) for outcome in (None, TIMEOUT, REFUSED, DIED, OPEN)]
    for number in range(1, len(cells)):
        assert furthest(cells[: number + 1]) is cells[number]
    assert furthest(cells[:1]) is None


def test_the_record_has_everything() -> None:
    said = scan_record(scan(), "shop", ("db does not run",))
    assert said["notes"] == ["db does not run"]
    assert said["services"][1] == {
        "name": "web:80",
        "host": "web",
        "port": 80,
        "listeners": ["0.0.0.0:80", "[::]:8080 (IPv6 only)"],
        "published": ["0.0.0.0:8080", "127.0.0.1:8081"],
    }
    assert [cell["port"] for cell in said["cells"]] == [80, 80, 8080, 8080, 9000, 9000, 9000, 8090]
    assert len(said["exposed"]) == 4
