"""One cell, explained."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from netlab.report.explain import explanation
from tests.unit.netlab.made import OPEN, matrix


def explained(width: int = 120, **changed: object) -> str:
    made = matrix(**changed)  # type: ignore[arg-type]
    (cell,) = (
        cell
        for cell in made.cells
        if (cell.bind.name, cell.vantage, cell.target.name) == ("127.0.0.1", "peer", "lan")
    )
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(explanation(cell))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_it_says_what_is_asked_what_was_predicted_and_what_was_observed() -> None:
    lines = explained().splitlines()
    assert lines[0] == "127.0.0.1: peer dials lan (198.18.1.11)"
    assert lines[1] == " predicted refused, observed refused"


def test_the_steps_are_numbered_in_order_and_each_says_what_it_rests_on() -> None:
    steps = [line.split() for line in explained().splitlines() if line.strip()[:1].isdigit()][1:]
    assert [(step[0], step[1], step[2]) for step in steps] == [
        ("1", "bind", "one"),
        ("2", "listener", "one"),
        ("3", "answer", "one"),
    ]
    assert steps[-1][-2:] == ["9293,", "3.10.7.1"]


def test_a_disagreement_is_called_one() -> None:
    assert " predicted refused, observed open: these disagree" in explained(one_peer_lan=OPEN)


def test_what_was_not_measured_says_why() -> None:
    assert " predicted refused, not measured: agent on peer: it is gone" in explained(one_peer_lan=None)


def test_evidence_and_remedy_follow() -> None:
    assert " evidence\n To open it: bind 0.0.0.0.\n" in explained()


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_word_of_a_step_is_cut_on_a_narrow_screen(width: int) -> None:
    text = "".join(explained(width).split())
    assert "…" not in text
    for word in ("198.18.1.11:19500", "listener", "3.10.7.1"):
        assert word in text or width < 80
