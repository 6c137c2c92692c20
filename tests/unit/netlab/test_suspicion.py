"""What to change where the facts did not foresee what happened."""

from __future__ import annotations

import pytest

from netlab.model import Outcome, Target, Verdict
from netlab.report.suspicion import remedy
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
