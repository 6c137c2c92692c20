"""What may stand between a prediction and what happened, and what to change then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.model import Outcome, Protocol, Step, Target, Verdict
from netlab.report.suspicion import remedy, suspicion
from tests.unit.netlab.made import BINDS, OPEN, REFUSED, cell

TARGET = Target("lan", "198.18.1.12")


def told(predicted: Outcome, observed: Outcome | None) -> str:
    return remedy(cell(BINDS[1], "peer", TARGET, predicted, observed))


@pytest.mark.parametrize(
    ("verdict", "detail", "said"),
    [
        (Verdict.TIMEOUT, "", "the packet filter that drops it, on peer, on two or between them"),
        (Verdict.UNREACHABLE, "EHOSTUNREACH", "that of whoever sent the ICMP message above"),
        (Verdict.REFUSED, "", "start the service on two again if it has ended"),
        (Verdict.UNRESOLVED, "EAI_NONAME", "make 198.18.1.12 known to peer"),
        (Verdict.ACCEPTED, "reset", "it may not serve peer"),
        (Verdict.ACCEPTED, "silent", "hangs, or speaks another protocol"),
        (Verdict.WRONG_SERVICE, "", "answer as the check wants it"),
        (Verdict.NOT_BOUND, "EADDRINUSE", "end the program that has the port on two"),
        (Verdict.NOT_BOUND, "EACCES", "take a port from 1024 on"),
        (Verdict.NOT_BOUND, "EADDRNOTAVAIL", "bind an address that two has"),
        (Verdict.NOT_BOUND, "ENODEV", "mend what the service on two says above"),
    ],
)
def test_what_was_to_be_open_and_is_not_has_a_remedy(verdict: Verdict, detail: str, said: str) -> None:
    assert said in told(OPEN, Outcome(verdict, detail))


def test_what_the_facts_know_comes_on_top_of_what_stops_it_on_the_way() -> None:
    assert told(REFUSED, Outcome(Verdict.TIMEOUT)).endswith("; and then bind 0.0.0.0")
    assert "and then" not in told(REFUSED, Outcome(Verdict.NOT_BOUND, "EACCES"))


def test_what_came_out_as_predicted_has_the_remedy_of_the_facts_and_what_is_open_none() -> None:
    assert told(REFUSED, REFUSED) == "bind 0.0.0.0"
    assert told(REFUSED, OPEN) == ""
    assert told(OPEN, OPEN) == ""


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        (Outcome(Verdict.NO_ANSWER), "see whether the service on two answers such a question"),
        (Outcome(Verdict.WRONG_SOURCE, "198.18.2.12"), "or dial 198.18.2.12"),
        (
            Outcome(Verdict.WRONG_SOURCE, "port"),
            "make the service on two answer by the socket that it is asked by",
        ),
        (Outcome(Verdict.REFUSED), "the packet filter that answers with an ICMP error"),
        (Outcome(Verdict.NOT_BOUND, "EADDRINUSE"), "`ss -lunp` names it"),
    ],
)
def test_what_datagrams_meet_has_a_remedy_of_its_own(observed: Outcome, said: str) -> None:
    one = cell(BINDS[1], "peer", TARGET, OPEN, observed)
    assert said in remedy(replace(one, protocol=Protocol.UDP))


@pytest.mark.parametrize("observed", [Verdict.TIMEOUT, Verdict.NO_ANSWER])
def test_who_does_not_wait_for_a_neighbour_is_not_told_of_a_filter(observed: Verdict) -> None:
    one = cell(BINDS[1], "peer", TARGET, Outcome(Verdict.UNREACHABLE, "EHOSTUNREACH"), Outcome(observed))
    nobody = Step("neighbour", "peer", "nobody on eth0 answers for 198.18.1.12", "ARP, RFC 826")
    one = replace(one, prediction=replace(one.prediction, reason=(nobody,)))
    assert suspicion(one) == "the end of patience_s, before peer gave up on the neighbour, which takes it 3 s"
    assert remedy(one) == "bind 0.0.0.0"  # what the facts have


CASES = [
    (Verdict.OPEN, Verdict.TIMEOUT, Protocol.TCP, "a packet filter between peer and two"),
    (Verdict.OPEN, Verdict.REFUSED, Protocol.TCP, "a filter that answers with a reset"),
    (Verdict.TIMEOUT, Verdict.OPEN, Protocol.TCP, "routes and addresses don't show"),
    (Verdict.WRONG_SOURCE, Verdict.OPEN, Protocol.UDP, "say answers-from: dialled"),
    (Verdict.OPEN, Verdict.WRONG_SOURCE, Protocol.UDP, "answers by another socket than it is asked by"),
    (Verdict.OPEN, Verdict.NO_ANSWER, Protocol.UDP, "the service on two does not answer what it is sent"),
    (Verdict.REFUSED, Verdict.NO_ANSWER, Protocol.UDP, "net.ipv4.icmp_ratelimit"),
    (Verdict.NO_ANSWER, Verdict.OPEN, Protocol.UDP, "routes and addresses don't show"),
]


@pytest.mark.parametrize(("predicted", "observed", "protocol", "said"), CASES)
def test_a_disagreement_suggests_what_facts_don_t_show(
    predicted: Verdict, observed: Verdict, protocol: Protocol, said: str
) -> None:
    one = cell(BINDS[1], "peer", TARGET, Outcome(predicted), Outcome(observed))
    assert said in suspicion(replace(one, protocol=protocol))
