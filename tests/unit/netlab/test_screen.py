"""A run as one screen: what is drawn, that it fits, that it can be read without colour or Unicode."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from netlab.experiments import load
from netlab.experiments.plan import Headline
from netlab.matrix import Matrix
from netlab.model import Cell, Observation, Outcome, Prediction, Step, Topology, Verdict
from netlab.report.explain import explanation
from netlab.report.grid import Grid
from netlab.report.screen import headline, screen, summary
from netlab.report.symbols import MARKS, NOT_MEASURED
from tests.unit.netlab.made import OPEN, matrix


def drawn(content: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(content)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def standard(verdict: Verdict = Verdict.OPEN) -> Matrix:
    """Return a run of the standard experiment in which every cell has one verdict."""
    draft = load("bind-address")
    assert isinstance(draft.lab, Topology)
    experiment = draft.on(draft.lab)
    outcome = Outcome(verdict)
    prediction = Prediction(outcome, (Step("listener", "router", "text", "rule"),))
    cells = tuple(
        Cell(dial.bind, dial.vantage, dial.target, prediction, Observation(outcome))
        for dial in experiment.dials()
    )
    made = matrix()
    known = made.facts_of(made.experiment.binds[0])
    return Matrix(
        experiment, "netns", {bind.name: {bind.host: known} for bind in experiment.binds}, cells, 1.9
    )


def test_the_summary_counts_what_was_asked_measured_and_predicted() -> None:
    assert summary(matrix()) == (
        "made-by-hand on netns, Linux 6.1: 2 binds x 4 cells, 8 measured, 8 as predicted, 1.2 s"
    )
    assert "7 measured, 6 as predicted" in summary(matrix(one_peer_lan=None, one_server_lan=OPEN))
    one = replace(matrix(), cells=matrix().cells[:1])
    one = replace(one, experiment=replace(one.experiment, binds=one.experiment.binds[:1]))
    assert ": 1 bind x 1 cell, 1 measured" in summary(one)


def test_the_headline_answers_in_words() -> None:
    rows = [line.split("   ") for line in drawn(headline(matrix())).splitlines()]
    assert [[word.strip() for word in row if word.strip()] for row in rows] == [
        ["the server runs on", "from the same machine", "from another machine"],
        ["127.0.0.1", "open", "refused"],
        ["0.0.0.0", "open", "open"],
    ]


def test_the_headline_leaves_out_what_was_not_asked() -> None:
    whole = matrix()
    part = replace(whole, cells=tuple(cell for cell in whole.cells if cell.bind.name == "0.0.0.0"))
    assert "127.0.0.1" not in drawn(headline(part))


@pytest.mark.parametrize(
    "said", [Headline((), ()), Headline(("127.0.0.1",), ()), Headline(("127.0.0.1",), (("t", "x", "y"),))]
)
def test_a_headline_without_rows_is_left_out_whole(said: Headline) -> None:
    made = matrix()
    text = drawn(screen(replace(made, experiment=replace(made.experiment, headline=said))), 120)
    lines = [line.strip() for line in text.splitlines()]
    assert lines[1:6] == ["", "What differs?", "", "server  peer", "a b     b c"]


def test_the_headline_marks_a_disagreement_and_what_was_not_measured() -> None:
    assert "open ! predicted refused" in drawn(headline(matrix(one_peer_lan=OPEN)))
    assert "not measured" in drawn(headline(matrix(one_peer_lan=None)))


def test_the_matrix_has_a_row_a_bind_and_a_letter_a_target() -> None:
    assert [line.split() for line in drawn(Grid(matrix())).splitlines()] == [
        ["server", "peer"],
        ["a", "b", "b", "c"],
        ["127.0.0.1", "●", "✗", "✗", "✗"],
        ["0.0.0.0", "●", "●", "●", "✗"],
    ]


def test_a_disagreement_is_marked_in_the_matrix_and_told_beside_it() -> None:
    text = drawn(screen(matrix(one_peer_lan=OPEN)))
    assert "●!" in text
    assert "! not as predicted" in text
    assert "127.0.0.1 peer lan: predicted refused, observed open" in text


def test_cells_that_were_not_measured_are_told_once_with_their_reason() -> None:
    text = drawn(screen(matrix(one_peer_lan=None, two_peer_lan=None)))
    assert text.count("agent on peer: it is gone") == 1
    assert "127.0.0.1 peer lan and 1 more: not measured" in text


def test_a_run_without_trouble_tells_of_none() -> None:
    text = drawn(screen(matrix()))
    assert "not as predicted" not in text
    assert "not measured" not in text


def test_the_legend_explains_the_symbols_that_are_there_and_no_others() -> None:
    text = drawn(screen(matrix()))
    assert "● open   ✗ refused" in text
    assert "unreachable" not in text


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_symbol_of_its_own_in_either_alphabet(verdict: Verdict) -> None:
    mark = MARKS[verdict]
    assert mark.symbol != NOT_MEASURED.symbol.strip() != ""
    assert mark.ascii != NOT_MEASURED.ascii.strip() != ""
    assert len(mark.symbol) == len(mark.ascii) == 1
    assert mark.ascii.isascii()
    assert [m.symbol for m in MARKS.values()].count(mark.symbol) == 1
    assert [m.ascii for m in MARKS.values()].count(mark.ascii) == 1


@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_matrix_of_the_standard_experiment_fits_on_80_columns(ascii_only: bool) -> None:
    lines = drawn(Grid(standard(), ascii_only=ascii_only)).rstrip("\n").splitlines()
    assert len(lines) == 2 + 13
    assert all(len(line) <= 80 for line in lines)
    assert [line.split()[0] for line in lines[2:]] == [bind.name for bind in standard().experiment.binds]
    assert all(len(line.split()) == 1 + 24 for line in lines[2:])


@pytest.mark.parametrize("width", range(30, 80, 7))
def test_on_a_narrow_terminal_no_symbol_is_cut_off(width: int) -> None:
    """A symbol that is squeezed out, or becomes an ellipsis, would tell of another verdict."""
    whole = matrix(one_peer_lan=Outcome(Verdict.WRONG_SERVICE), two_peer_lan=None)
    text = drawn(Grid(whole), width)
    symbols = [mark.symbol for mark in MARKS.values()] + [NOT_MEASURED.symbol]
    assert sum(text.count(symbol) for symbol in symbols) == len(whole.cells)
    assert text.count("≠!") == 1
    assert text.count(NOT_MEASURED.symbol) == 1


def test_blocks_that_do_not_fit_beside_each_other_stand_below_each_other() -> None:
    lines = drawn(Grid(standard()), 50).splitlines()
    assert next(line.split() for line in lines if line.startswith(" ") and "a" not in line.split()) == [
        "server",
        "peer",
    ]
    assert len(lines) == 2 * (2 + 13) + 1


@pytest.mark.parametrize("text", ["[fd00:db8:1::18]:19500", "[/x]", "[bold]loud[/bold]"])
def test_foreign_text_is_no_markup(text: str) -> None:
    whole = matrix()
    bind = replace(whole.experiment.binds[0], name=text)
    cells = tuple(replace(c, bind=bind) if c.bind == whole.experiment.binds[0] else c for c in whole.cells)
    experiment = replace(whole.experiment, binds=(bind, *whole.experiment.binds[1:]), title=text)
    named = replace(
        whole, experiment=experiment, cells=cells, facts={**whole.facts, text: whole.facts["127.0.0.1"]}
    )
    assert drawn(screen(named), 120).count(text) >= 2
    reason = (Step("listener", text, text, text),)
    one = replace(cells[0], prediction=replace(cells[0].prediction, reason=reason))
    assert drawn(explanation(one), 120).count(text) >= 3


@pytest.mark.parametrize("width", [80, 110, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert all(len(line) <= width for line in drawn(screen(standard()), width).splitlines())


@pytest.mark.parametrize("verdict", Verdict)
def test_where_only_ascii_can_be_written_nothing_else_is(verdict: Verdict) -> None:
    assert drawn(screen(standard(verdict), ascii_only=True)).isascii()
    surprised = matrix(one_peer_lan=Outcome(verdict), two_peer_lan=None)
    assert drawn(screen(surprised, ascii_only=True)).isascii()


def test_colour_is_never_needed() -> None:
    plain = drawn(screen(matrix(one_peer_lan=OPEN)))
    console = Console(
        width=80, file=io.StringIO(), highlight=False, force_terminal=True, color_system="truecolor"
    )
    console.print(screen(matrix(one_peer_lan=OPEN)))
    assert isinstance(console.file, io.StringIO)
    coloured = console.file.getvalue()
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
