"""What the cells of a run add up to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.errors import ExitCode
from netlab.model import Outcome, Verdict
from tests.unit.netlab.made import OPEN, matrix


def test_a_run_as_predicted_is_a_success() -> None:
    assert matrix().exit_code is ExitCode.OK
    assert matrix().disagreements == matrix().not_measured == ()


def test_one_cell_otherwise_than_predicted_is_a_disagreement() -> None:
    surprised = matrix(one_peer_lan=OPEN)
    assert surprised.exit_code is ExitCode.DISAGREES
    (cell,) = surprised.disagreements
    assert (cell.bind.name, cell.vantage, cell.target.name) == ("127.0.0.1", "peer", "lan")
    assert cell.measured
    assert not cell.agrees


def test_another_detail_is_another_outcome() -> None:
    one, other = (Outcome(Verdict.UNREACHABLE, errno) for errno in ("ENETUNREACH", "EHOSTUNREACH"))
    (cell,) = matrix(one_peer_lan=one).disagreements
    assert replace(cell, prediction=replace(cell.prediction, outcome=one)).agrees
    assert not replace(cell, prediction=replace(cell.prediction, outcome=other)).agrees


def test_a_cell_that_was_not_measured_is_never_a_success_and_no_disagreement() -> None:
    silent = matrix(one_peer_lan=None)
    assert silent.exit_code is ExitCode.NOT_MEASURED
    assert len(silent.not_measured) == 1
    assert not silent.disagreements
    assert not silent.not_measured[0].agrees


def test_a_disagreement_weighs_more_than_a_cell_that_was_not_measured() -> None:
    assert matrix(one_peer_lan=None, two_peer_lan=None, one_server_lan=OPEN).exit_code is ExitCode.DISAGREES


def test_the_kernel_is_the_hosts_or_unknown() -> None:
    assert matrix().kernel == "6.1"
    assert replace(matrix(), facts={}).kernel == "unknown"


@pytest.mark.parametrize(
    ("outcome", "text"),
    [(OPEN, "open"), (Outcome(Verdict.UNREACHABLE, "ENETUNREACH"), "unreachable (ENETUNREACH)")],
)
def test_an_outcome_is_written_with_its_detail(outcome: Outcome, text: str) -> None:
    assert str(outcome) == text
