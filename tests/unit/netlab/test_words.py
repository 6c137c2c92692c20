"""What differs between the binds, in sentences, of a matrix made by hand."""

from __future__ import annotations

from dataclasses import replace

from netlab.model import Outcome, Protocol, Step, Target, Verdict
from netlab.report.words import constants, differences, refusal
from tests.unit.netlab.made import BINDS, OPEN, REFUSED, facts, interface, listener, matrix


def test_each_bind_is_said_to_be_what_it_is_and_who_gets_through() -> None:
    assert differences(matrix()) == [
        (
            "127.0.0.1",
            "127.0.0.1 is an address of the loopback interface, inside the host: "
            "reached only from server (localhost).",
        ),
        (
            "0.0.0.0",
            "0.0.0.0 is no address but a wildcard, any IPv4 address of the host: "
            "reached from server (all) and peer (all).",
        ),
    ]


def test_what_no_bind_changes_is_said_once() -> None:
    assert constants(matrix()) == [
        ("server", "localhost: open: no socket for 127.0.0.1:19500 by eth0."),
        ("peer", "127.0.0.1: refused: the packet arrives, and no socket takes it."),
    ]


def test_a_reason_that_each_bind_has_of_its_own_is_not_said_of_all() -> None:
    made = matrix()
    cells = []
    for cell in made.cells:
        taken = Step("listener", cell.bind.host, f"{cell.bind.address}:19500 takes it", "sockets")
        seen = cell.observation.outcome == OPEN
        cells.append(replace(cell, prediction=replace(cell.prediction, reason=(taken,))) if seen else cell)
    assert constants(replace(made, cells=tuple(cells)))[0] == ("server", "localhost: open.")


def test_what_is_said_of_a_host_stands_together() -> None:
    made = matrix()
    here, there = Target("x", "198.18.1.9"), Target("y", "198.18.1.8")
    cells = [
        replace(cell, target=target, vantage=vantage, observation=replace(cell.observation, outcome=REFUSED))
        for cell in made.cells
        if (cell.vantage, cell.target.name) == ("peer", "127.0.0.1")
        for vantage, target in [("peer", here), ("remote", here), ("peer", there)]
    ]
    far = [
        replace(c, prediction=replace(c.prediction, reason=(Step("route", c.vantage, "none", "routes"),)))
        if c.target == there
        else c
        for c in cells
    ]
    told = constants(replace(made, cells=tuple(far)))
    assert [name for name, _ in told] == ["peer", "peer", "remote"]


def test_a_column_that_one_bind_changes_is_no_constant() -> None:
    assert [vantage for vantage, _ in constants(matrix(one_peer_127_0_0_1=OPEN))] == ["server"]


def test_a_refusal_from_another_host_is_explained_on_the_first() -> None:
    (line,) = refusal(matrix())
    assert line.startswith(
        "Refused means that the packet arrived and no socket took it. When peer dials the lan"
    )
    assert "RFC 9293" in line


def test_without_a_refusal_from_another_host_nothing_is_explained() -> None:
    open_to_all = matrix(one_peer_lan=OPEN, one_peer_127_0_0_1=OPEN, two_peer_127_0_0_1=OPEN)
    assert refusal(open_to_all) == []


def test_what_nobody_reaches_is_said_so() -> None:
    shut = matrix(one_server_localhost=REFUSED)
    assert differences(shut)[0][1].endswith("nobody gets through.")


def said_of(*sockets: object, bind: object = BINDS[0], names: dict[str, str] | None = None) -> str:
    """Return what is said of the first bind, with other sockets on its host."""
    made = matrix()
    known = facts(
        interface("eth0", "198.18.1.11/24"),
        listeners=tuple(sockets),  # type: ignore[arg-type]
        names=names,
    )
    experiment = replace(made.experiment, binds=(bind, BINDS[1]))  # type: ignore[arg-type]
    cells = tuple(replace(c, bind=bind) if c.bind == BINDS[0] else c for c in made.cells)  # type: ignore[arg-type]
    read = {**made.facts, experiment.binds[0].name: {"one": known}}
    return differences(replace(made, experiment=experiment, cells=cells, facts=read))[0][1]


def test_a_socket_is_called_by_what_it_means() -> None:
    assert "any IPv6 or IPv4 address" in said_of(listener("::"))
    assert "any IPv6 address" in said_of(listener("::", v6only=True))
    assert "198.18.1.11 is the host's address on lan" in said_of(listener("198.18.1.11"))
    assert "but only for what comes in by eth0" in said_of(listener("0.0.0.0", device="eth0"))
    assert "198.18.1.99 is an address of the host" in said_of(listener("198.18.1.99"))


def test_several_sockets_are_told_one_after_the_other() -> None:
    assert said_of(listener("127.0.0.1"), listener("198.18.1.11")).startswith(
        "127.0.0.1 is an address of the loopback interface, inside the host "
        "and 198.18.1.11 is the host's address on lan: "
    )


def test_a_name_is_told_by_its_addresses() -> None:
    named = replace(BINDS[0], address="localhost")
    assert said_of(listener("::1"), bind=named, names={"localhost": "::1 127.0.0.1"}).startswith(
        "localhost is ::1, then 127.0.0.1 there, and the server took the first."
    )
    assert said_of(listener("127.0.1.1"), bind=named, names={"localhost": "127.0.1.1"}).startswith(
        "localhost is 127.0.1.1 there. "
    )


def test_a_server_that_does_not_listen_is_told_by_its_reason() -> None:
    assert said_of() == "Nothing listens: the server did not start."


def test_a_connection_that_opens_and_dies_is_told_with_its_remedy() -> None:
    dies = matrix(two_peer_lan=Outcome(Verdict.ACCEPTED, "reset"))
    assert "From peer the connection opens, and then dies" in differences(dies)[1][1]


def test_an_answer_from_elsewhere_is_told_with_who_asked_and_with_its_remedy() -> None:
    lost = Outcome(Verdict.WRONG_SOURCE, "198.18.1.11")
    told = differences(matrix(two_peer_lan=lost, two_server_lan=lost))[1][1]
    assert (
        "Asked by server (lan) and peer (lan), it answers from another address or port, which nobody takes"
        in told
    )


def test_a_refused_datagram_is_told_by_icmp_and_not_by_a_reset() -> None:
    made = matrix()
    cells = tuple(replace(cell, protocol=Protocol.UDP) for cell in made.cells)
    assert "port unreachable" in refusal(replace(made, cells=cells))[0]
    assert "reset" in refusal(made)[0]
