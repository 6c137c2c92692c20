"""`make bench` in its smoke mode: every goal is measured, without a look at the clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.bench.__main__ import main
from tests.bench.goals import GOALS, Goal, Wanted
from tests.bench.report import Sample, cpu_ratio, holds, ratio
from tests.bench.servers import kinds

if TYPE_CHECKING:
    from pathlib import Path


def test_every_goal_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["--smoke", "--json", str(tmp_path / "it.json"), "--charts", str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "it.json").read_text())
    assert set(kept["goals"]) == {goal.key for goal in GOALS}
    for goal in kept["goals"].values():
        for name, figures in goal["samples"].items():
            assert len(figures) == (0 if name in kept["missing"] else 1), (goal["title"], name)
            assert all(figure >= 0 for figure, _ in figures)
    assert all(figure == 0 for figure, _ in kept["goals"]["idle-held"]["samples"]["hftp"])
    output = capsys.readouterr().out
    for missing in kept["missing"].values():
        assert missing.split(" (")[0] in output
    assert (tmp_path / "bench.svg").exists()


def test_ratios_are_taken_round_by_round() -> None:
    goal = Goal("key", "title", "unit", lambda _, __: 0.0, wanted=(Wanted("nginx", 0.9), Wanted("", 5.0)))
    ours, theirs = [10.0, 1.0, 30.0], [10.0, 2.0, 20.0]
    samples = {goal: {"hftp": list(map(Sample, ours)), "nginx": list(map(Sample, theirs))}}
    assert ratio(goal, goal.wanted[0], samples) == 1.0
    assert ratio(goal, goal.wanted[1], samples) == 10.0
    assert ratio(goal, goal.wanted[0], {goal: {"hftp": [Sample(1.0)], "nginx": []}}) is None


def test_what_a_second_of_processor_time_gives_is_compared_too() -> None:
    goal = Goal("key", "title", "requests/s", lambda _, __: 0.0, wanted=(Wanted("nginx", 0.9),))
    samples = {goal: {"hftp": [Sample(100.0, 0.5)], "nginx": [Sample(200.0, 2.0)]}}
    assert ratio(goal, goal.wanted[0], samples) == 0.5
    assert cpu_ratio(goal, "nginx", samples) == 2.0
    assert cpu_ratio(goal, "", samples) is None


def test_a_ratio_has_a_least_and_an_amount_a_most() -> None:
    assert holds(Wanted("nginx", 0.9), 0.95)
    assert not holds(Wanted("nginx", 0.9), 0.85)
    assert holds(Wanted("", 2.0), 1.5)
    assert not holds(Wanted("", 2.0), 2.5)


def test_every_contender_is_known() -> None:
    assert {name for goal in GOALS for name in goal.contenders} <= set(kinds())
