"""What `--record` writes is met by exactly what was observed; the rest of the file stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.expectations.checkfile import read
from netlab.expectations.recording import with_recorded
from netlab.expectations.results import hold
from netlab.experiments.plan import Dial
from netlab.matrix import Matrix
from netlab.model import Cell, Observation, Outcome, Prediction, Verdict

TEXT = """\
# who should reach what

service:
    command: [serve, '{address}', "{port}"]   # as it is
    port: 80
lab: lan
expect:
  - deny  # is replaced
  # and this

  - allow: peer

# where it listens
binds: {any: 0.0.0.0, local: 127.0.0.1, "::": "::"}
"""
RECORDED = "expect:\n  - open: '*'\n"

OUTCOMES = st.sampled_from(
    [
        Outcome(Verdict.OPEN),
        Outcome(Verdict.REFUSED),
        Outcome(Verdict.UNREACHABLE, "ENETUNREACH"),
        Outcome(Verdict.ACCEPTED, "reset"),
    ]
)
CHECK = read("netlab.yaml", TEXT, Path("/nonexistent"))
DIALS: tuple[Dial, ...] = CHECK.dials() or ()


def matrix(outcomes: list[Outcome]) -> Matrix:
    assert CHECK.topology is not None
    cells = tuple(
        Cell(d.bind, d.vantage, d.target, Prediction(Outcome(Verdict.TIMEOUT), ()), Observation(outcome))
        for d, outcome in zip(DIALS, outcomes, strict=True)
    )
    return Matrix(CHECK.on(CHECK.topology), "netns", {}, cells, 0.0)


@settings(deadline=None)  # how long it takes says nothing here
@given(st.lists(OUTCOMES, min_size=len(DIALS), max_size=len(DIALS)), st.data())
def test_what_is_recorded_is_met_and_nothing_else_is(outcomes: list[Outcome], data: st.DataObject) -> None:
    seen = matrix(outcomes)
    text = with_recorded(TEXT, hold(seen, lambda _: None))
    again = read("netlab.yaml", text, Path("/nonexistent"))
    topology = seen.experiment.topology
    assert not hold(seen, lambda dial: again.expectation(dial, topology)).exit_code

    changed = data.draw(st.integers(0, len(DIALS) - 1))
    other = data.draw(OUTCOMES.filter(lambda outcome: outcome != outcomes[changed]))
    cells = list(seen.cells)
    cells[changed] = replace(cells[changed], observation=Observation(other))
    held = hold(replace(seen, cells=tuple(cells)), lambda dial: again.expectation(dial, topology))
    assert [result.cell for result in held.unmet] == [cells[changed]]


def recorded(text: str) -> str:
    return with_recorded(text, hold(matrix([Outcome(Verdict.OPEN)] * len(DIALS)), lambda _: None))


def test_all_else_in_the_file_stays_as_it_was() -> None:
    before, rest = TEXT.split("expect:")
    after = rest[rest.index("\n# where") :]
    assert recorded(TEXT) == before + RECORDED + after


def test_a_file_without_rules_gets_them_at_its_end() -> None:
    before = TEXT.split("expect:")[0]
    assert recorded(before) == before + RECORDED


def test_a_file_in_braces_is_written_anew() -> None:
    text = recorded("{service: {command: [serve], port: 80}, expect: [deny]}\n")
    assert text == "{service: {command: [serve], port: 80}, expect: [open: '*']}\n"
