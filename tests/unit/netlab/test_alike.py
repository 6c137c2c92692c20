"""Many hosts of which the same is to be said are named together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from netlab.experiments.machines import MachinesDraft
from netlab.experiments.plan import Dial
from netlab.matrix import Matrix
from netlab.model import Cell, Host, Link, Network, Observation, Outcome, Prediction, Step, Topology, Verdict
from netlab.predict import predict
from netlab.report.alike import among, counted, named
from netlab.report.exposure import exposure
from netlab.report.html import page
from netlab.report.record import record
from netlab.report.screen import screen
from netlab.report.surprises import surprises
from netlab.report.words import differences
from netlab.scan import Scan, Service
from tests.unit.netlab.made import OPEN, PORT, facts, iface, interface, listener, view
from tests.unit.netlab.test_screen import drawn

LABS = tuple(f"lab{number:02}" for number in range(1, 7))
ADDRESSES = {name: f"198.18.1.{number}" for number, name in enumerate((*LABS, "guest"), start=11)}
LAN = Network("lan", IPv4Network("198.18.1.0/24"))
ROOM = Topology(
    (LAN,),
    tuple(Host(name, (Link("eth0", "lan", (iface(f"{at}/24"),)),)) for name, at in ADDRESSES.items()),
)
TIMEOUT = Outcome(Verdict.TIMEOUT)

Seen = Callable[[Dial, Outcome], Outcome | None]


def as_predicted(dial: Dial, predicted: Outcome) -> Outcome | None:
    return predicted


def room(seen: Seen = as_predicted) -> Matrix:
    """Return the experiment on six machines and a guest; `seen` says what came of a dial."""
    experiment = MachinesDraft(LABS, PORT).on(ROOM)
    cells, known = [], {}
    for dial in experiment.dials():
        bind = dial.bind
        names = {"localhost": "127.0.0.1"}
        its = {
            name: facts(
                interface("eth0", f"{at}/24"),
                names=names,
                listeners=(listener(bind.address.replace("localhost", "127.0.0.1"), PORT),)
                if name == bind.host
                else (),
            )
            for name, at in ADDRESSES.items()
        }
        known[bind.name] = its
        lab = view(**{name: (its[name], {"eth0": "lan"}) for name in its})
        prediction = predict(lab, bind, PORT, dial.host, dial.target)
        outcome = seen(dial, prediction.outcome)
        observed = Observation(outcome, not_measured="" if outcome else "it is gone")
        cells.append(Cell(bind, dial.vantage, dial.target, prediction, observed))
    return Matrix(experiment, "ssh", known, tuple(cells), 1.0)


def deaf(dial: Dial, predicted: Outcome) -> Outcome | None:
    """Every machine drops what comes from another one."""
    return TIMEOUT if dial.vantage != "server" else predicted


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        (["lab01"], "lab01"),
        (["lab01", "lab02", "lab03"], "lab01, lab02 and lab03"),
        (LABS, "lab[01:06]"),
        ((*LABS, "guest", "controller"), "lab[01:06], guest and controller"),
        (["lab01", "lab02", "lab04", "lab05", "lab06"], "lab01, lab02 and lab[04:06]"),
        (["n8", "n9", "n10", "n11", "n12"], "n[8:12]"),
        (["ada", "bob", "eve", "joe", "zoe"], "ada, bob, eve, joe and zoe"),
        (["a1", "b2", "a3", "a5", "a7"], "a1, b2, a3, a5 and a7"),
    ],
)
def test_hosts_that_are_numbered_one_after_the_other_are_a_range(hosts: list[str], text: str) -> None:
    assert named(hosts) == text


def test_who_is_left_out_is_named_where_that_is_shorter() -> None:
    everybody = (*LABS, "guest")
    assert among(everybody, everybody) == "everywhere else"
    assert among(LABS, everybody) == "everywhere else but guest"
    assert among(["guest"], everybody) == "guest"
    assert among(LABS, [*LABS, *(f"x{number}" for number in range(9))]) == "lab[01:06]"
    assert (counted(LABS), counted(LABS[:2])) == ("lab[01:06] (6 hosts)", "lab01 and lab02")


def test_binds_that_differ_only_in_their_host_are_told_together() -> None:
    told = dict(differences(room()))
    assert list(told) == ["localhost", "127.0.0.1", "0.0.0.0", "::", "lan IPv4"]
    assert told["0.0.0.0"] == (
        "lab[01:06] (6 hosts): 0.0.0.0 is no address but a wildcard, any IPv4 address of the host: "
        "reached from server (all) and everywhere else (all)."
    )
    assert told["lan IPv4"] == (
        "lab[01:06] (6 hosts): the address of each on lan: "
        "reached from server (lan IPv4) and everywhere else (all)."
    )


def test_a_machine_that_is_otherwise_has_a_line_of_its_own() -> None:
    def one_is_deaf(dial: Dial, predicted: Outcome) -> Outcome | None:
        return deaf(dial, predicted) if dial.bind.host == "lab03" else predicted

    told = [text for name, text in differences(room(one_is_deaf)) if name in ("0.0.0.0", "lab03 0.0.0.0")]
    assert told[0].startswith("lab01, lab02 and lab[04:06] (5 hosts): 0.0.0.0 is no address")
    assert told[1].endswith("any IPv4 address of the host: reached only from server (all).")


def test_one_cause_of_many_surprises_is_one_line_on_screen_and_page_and_every_cell_is_in_the_record() -> None:
    matrix = room(deaf)
    many = [cell for cell in matrix.disagreements if cell.prediction.outcome == OPEN]
    line = (
        f"lab[01:06] from everywhere else ({len(many)} dials): predicted open, observed timeout: "
        "a packet filter between whoever dials and that host, on neither host, or on one of them "
        "(its rules are not read)"
    )
    assert drawn(screen(matrix), width=400).count(line) == 1
    assert page(matrix).count(f"<summary>{line}</summary>") == 1
    cells = record(matrix)["cells"]
    assert len(cells) == len(matrix.cells)
    assert sum(not cell["agrees"] for cell in cells) == len(matrix.disagreements)


def test_few_surprises_are_told_one_by_one() -> None:
    def one(dial: Dial, predicted: Outcome) -> Outcome | None:
        return TIMEOUT if (dial.bind.name, dial.vantage) == ("lab01 0.0.0.0", "guest") else predicted

    text = drawn(screen(room(one)), width=400)
    assert (
        "lab01 0.0.0.0 guest lan IPv4: predicted open, observed timeout: a packet filter between guest"
        in text
    )


def test_what_explains_many_surprises_is_not_said_of_one_that_it_does_not_explain() -> None:
    unreachable = Outcome(Verdict.UNREACHABLE, "EHOSTUNREACH")
    cells = []
    for one in room(deaf).cells:
        if (one.vantage, one.bind.address, one.target.name) == ("guest", "0.0.0.0", "lan IPv4"):
            kind = "answer" if one.bind.host == "lab06" else "neighbour"
            reason = (Step(kind, "guest", "nobody is there", "ARP, RFC 826"),)
            cells.append(replace(one, prediction=Prediction(unreachable, reason)))
    predicted = "predicted unreachable (EHOSTUNREACH), observed timeout"
    gave_up = "the end of patience_s, before guest gave up on the neighbour, which takes it 3 s"
    assert [line for line, _ in surprises(cells, cells)] == [
        f"lab[01:05] from guest (5 dials): {predicted}: {gave_up}",
        predicted,
    ]


def test_many_services_that_the_same_hosts_reach_in_the_same_way_share_a_line_of_a_scan() -> None:
    matrix = room()
    by_host = {name: Service(name, PORT, (listener("127.0.0.1", PORT),)) for name in LABS}
    cells = tuple(
        replace(cell, bind=replace(cell.bind, name=by_host[cell.bind.host].name))
        for cell in matrix.cells
        if cell.bind.address == "127.0.0.1" and cell.vantage != "server"
    )
    resolvers = dict.fromkeys(LABS, (listener("127.0.0.53", 53),))
    scan = Scan(ROOM, None, {}, tuple(by_host.values()), cells, resolvers)
    text = drawn(exposure(scan, "room"), width=400)
    refused = "refused: the packet arrives, and no socket takes it"
    assert f"port {PORT} of lab[01:06] (6 hosts) from everywhere else: {refused}" in text
    assert "lab[01:06] (6 hosts) have 127.0.0.53:53" in text
