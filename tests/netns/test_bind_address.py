"""The standard experiment on a real kernel, by TCP and by UDP: every cell, as it is drawn, and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from ipaddress import ip_address

import pytest

from netlab.errors import ExitCode
from netlab.matrix import Matrix
from tests.netns.bind_address import (
    BY_TCP,
    BY_UDP_DIALLED,
    BY_UDP_ROUTED,
    OUTCOMES,
    WAYS,
    Way,
    cell_of,
    measured,
    name_of,
)

Runs = Callable[[Way], Matrix]
of_each = pytest.mark.parametrize("way", WAYS, ids=str)
of_datagrams = pytest.mark.parametrize("way", [BY_UDP_ROUTED, BY_UDP_DIALLED], ids=str)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Run the experiment in one of the ways, each once."""
    return cache(lambda way: measured(way.draft(tmp_path_factory.mktemp(str(way)))))


@pytest.fixture
def matrix(runs: Runs) -> Matrix:
    return runs(BY_TCP)


# --- As it is drawn ----------------------------------------------------------------------------------------


@of_each
def test_every_cell_is_observed_as_it_is_drawn(runs: Runs, way: Way) -> None:
    observed = {name_of(cell): way.symbol(cell.observation.outcome) for cell in runs(way).cells}
    assert observed == way.drawn()


@of_each
def test_every_cell_is_predicted_as_it_is_drawn(runs: Runs, way: Way) -> None:
    predicted = {name_of(cell): way.symbol(cell.prediction.outcome) for cell in runs(way).cells}
    assert predicted == way.drawn()


@of_each
def test_all_312_cells_are_measured_and_as_predicted_down_to_the_address_that_answers(
    runs: Runs, way: Way
) -> None:
    matrix = runs(way)
    assert len(matrix.cells) == 13 * 24 == 312
    assert [cell for cell in matrix.cells if not (cell.measured and cell.agrees)] == []
    assert matrix.exit_code is ExitCode.OK
    assert {cell.protocol for cell in matrix.cells} == {way.protocol}


@of_each
def test_every_step_names_where_it_happens_and_what_it_rests_on(runs: Runs, way: Way) -> None:
    matrix = runs(way)
    hosts = {host.name for host in matrix.experiment.topology.hosts}
    for each in matrix.cells:
        assert each.prediction.reason
        for step in each.prediction.reason:
            assert step.host in hosts
            assert step.text
            assert step.rests_on


@of_each
def test_what_is_not_open_has_a_remedy_and_what_is_open_has_none(runs: Runs, way: Way) -> None:
    for each in runs(way).cells:
        assert bool(each.prediction.remedy) == (each.prediction.outcome != OUTCOMES["O"]), each


@pytest.mark.parametrize("way", [BY_TCP, BY_UDP_DIALLED], ids=str)
def test_following_the_remedy_opens_the_cell(runs: Runs, way: Way) -> None:
    """`bind 0.0.0.0 or ADDRESS`: the rows of those binds are open in that column."""
    matrix = runs(way)
    refused = [c for c in matrix.cells if c.prediction.remedy.startswith("bind 0.0.0.0 or ")]
    assert len(refused) > 50
    for each in refused:
        opened = cell_of(matrix, "0.0.0.0", each.vantage, each.target.name)
        assert opened.observation.outcome == OUTCOMES["O"]


@of_datagrams
def test_where_another_address_answers_the_remedy_opens_the_cell(runs: Runs, way: Way) -> None:
    """`bind ADDRESS itself`: the row of that bind is open in that column."""
    matrix = runs(way)
    lost = [cell for cell in matrix.cells if way.symbol(cell.observation.outcome) == "s"]
    assert bool(lost) == way.routed
    for cell in lost:
        bind = {"back-ipv4": "back-ipv4", "127.0.0.2": "127.0.0.2", "hostname": "hostname"}[cell.target.name]
        assert cell.prediction.remedy.startswith("bind ")
        opened = cell_of(matrix, bind, cell.vantage, cell.target.name)
        assert opened.observation.outcome == OUTCOMES["O"]


@of_datagrams
def test_a_refusal_is_told_by_icmp_from_the_address_dialled(runs: Runs, way: Way) -> None:
    refused = [cell for cell in runs(way).cells if cell.observation.outcome == OUTCOMES["x"]]
    assert len(refused) > 100
    for cell in refused:
        assert "(port unreachable)" in cell.observation.evidence[-1]
        assert cell.prediction.reason[-1].text.endswith("port unreachable")


def test_the_facts_are_those_of_the_hosts(matrix: Matrix) -> None:
    facts = matrix.facts["lan-ipv4"]["server-lan"]
    assert facts.hostname == "server-lan"
    assert next(own.ip for i in facts.interfaces for own in i.addresses if i.name == "eth0") == ip_address(
        "198.18.1.18"
    )
    assert {str(listener.address) for listener in facts.listeners} == {"198.18.1.18"}


# --- Reasons, step by step ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bind", "vantage", "target", "steps"),
    [
        (
            "0.0.0.0",
            "remote",
            "lan-ipv4",
            [
                ("bind", "server-any", "listening on 0.0.0.0:19500"),
                ("route", "remote", "198.18.1.0/24 via 198.18.3.1 dev eth0, source 198.18.3.102"),
                ("forward", "router", "passes it on: 198.18.1.0/24 dev eth0"),
                ("delivery", "server-any", "198.18.1.14 is local, on eth0"),
                ("listener", "server-any", "0.0.0.0:19500 takes it"),
                ("answer", "server-any", "the service answers"),
            ],
        ),
        (
            "127.0.0.1",
            "peer",
            "lan-ipv4",
            [
                ("bind", "server-loopback", "listening on 127.0.0.1:19500"),
                ("route", "peer", "198.18.1.0/24 dev eth0"),
                ("delivery", "server-loopback", "198.18.1.12 is local, on eth0"),
                ("listener", "server-loopback", "no socket for 198.18.1.12:19500"),
                ("answer", "server-loopback", "RST"),
            ],
        ),
        (
            "back-device",
            "peer",
            "back-ipv4",
            [
                ("bind", "server-device", "listening on 0.0.0.0:19500 on eth1"),
                ("route", "peer", "198.18.2.21/32 via 198.18.1.21 dev eth0"),
                ("delivery", "server-device", "is local, on eth1, and taken though it came in by eth0"),
                ("listener", "server-device", "no socket for 198.18.2.21:19500 by eth0"),
                ("answer", "server-device", "RST"),
            ],
        ),
        (
            "::",
            "remote",
            "back-ipv4",
            [
                ("bind", "server-any6", "listening on [::]:19500 (IPv4 too)"),
                ("route", "remote", "no route to 198.18.2.16"),
            ],
        ),
        (
            "::",
            "outsider",
            "name",
            [
                ("bind", "server-any6", "listening on [::]:19500 (IPv4 too)"),
                ("resolve", "outsider", "server-any6 has no address (EAI_NONAME)"),
            ],
        ),
        (
            "0.0.0.0",
            "server",
            "0.0.0.0",
            [
                ("bind", "server-any", "listening on 0.0.0.0:19500"),
                ("resolve", "server-any", "0.0.0.0 as a destination is 127.0.0.1"),
                ("delivery", "server-any", "127.0.0.1 is this host itself, on lo"),
                ("listener", "server-any", "0.0.0.0:19500 takes it"),
                ("answer", "server-any", "the service answers"),
            ],
        ),
        (
            "lan-ipv4",
            "peer",
            "name",
            [
                ("bind", "server-lan", "listening on 198.18.1.18:19500"),
                ("resolve", "peer", "server-lan is 2001:db8:1::18, then 198.18.1.18"),
                ("route", "peer", "2001:db8:1::/64 dev eth0"),
                ("delivery", "server-lan", "2001:db8:1::18 is local, on eth0"),
                ("listener", "server-lan", "no socket for [2001:db8:1::18]:19500"),
                ("answer", "server-lan", "RST"),
                ("route", "peer", "198.18.1.0/24 dev eth0"),
                ("delivery", "server-lan", "198.18.1.18 is local, on eth0"),
                ("listener", "server-lan", "198.18.1.18:19500 takes it"),
                ("answer", "server-lan", "the service answers"),
            ],
        ),
        (
            "not-ours",
            "peer",
            "name",
            [("bind", "server-elsewhere", "198.18.1.250 is no address of this host")],
        ),
    ],
)
def test_the_reason_goes_the_way_of_the_packet(
    matrix: Matrix, bind: str, vantage: str, target: str, steps: list[tuple[str, str, str]]
) -> None:
    reason = cell_of(matrix, bind, vantage, target).prediction.reason
    assert [(step.kind, step.host) for step in reason] == [(kind, host) for kind, host, _ in steps]
    for step, (_, _, text) in zip(reason, steps, strict=True):
        assert text in step.text


def test_the_evidence_says_what_happened(matrix: Matrix) -> None:
    assert "ECONNREFUSED" in cell_of(matrix, "127.0.0.1", "peer", "lan-ipv4").observation.evidence[0]
    assert "ENETUNREACH" in cell_of(matrix, "127.0.0.1", "outsider", "lan-ipv4").observation.evidence[0]
    assert "nonce" in cell_of(matrix, "0.0.0.0", "peer", "lan-ipv4").observation.evidence[-1]
    assert "EAI_NONAME" in cell_of(matrix, "0.0.0.0", "outsider", "name").observation.evidence[0]
    assert "exit code" in cell_of(matrix, "not-ours", "peer", "name").observation.evidence[0]
