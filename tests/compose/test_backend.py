"""The standard experiment in containers: every cell, as it is drawn, and the same cells on both backends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netlab.backends.compose import ComposeLab
from netlab.backends.netns import NetnsLab
from netlab.errors import BackendUnavailableError
from netlab.experiments import load
from netlab.matrix import Matrix
from netlab.model import Cell, Outcome, Verdict
from netlab.run import run
from tests.compose.conftest import Engine
from tests.compose.holdings import holdings
from tests.requirements import unavailable

# O open, x refused, . timeout, u unreachable (ENETUNREACH), ? unresolved (EAI_AGAIN), d accepted (reset).
# The columns' letters: `netlab run --backend compose` spells them out.
TABLE = """
           server            peer          remote    outsider    host
           a b c d e f g h   i f g b j k   l m k n   i f g h b   n k o p m q j
localhost  O x x O x x x x   x x x x . d   ? . d x   ? u u u x   d d d x x x x
127.0.0.1  O O x x O x x x   x x x x . d   ? . d x   ? u u u x   d d d x x x x
0.0.0.0    O O O x O O x O   O O x x . O   ? . O x   ? u u u x   O O d O O x O
::         O O O O O O O O   O O O x . O   ? . O x   ? u u u x   O O O O O O O
lan-ipv4   x x x x x O x x   O O x x . O   ? . O x   ? u u u x   O O d O O x x
back-ipv4  x x x x x x x O   x x x x . d   ? . d x   ? u u u x   d d d x x x O
"""
LETTERS = {
    **{"a": "localhost", "b": "127.0.0.1", "c": "127.0.0.2", "d": "::1", "e": "0.0.0.0"},
    **{"f": "lan-ipv4", "g": "lan-ipv6", "h": "back-ipv4", "i": "name", "j": "back-container"},
    **{"k": "published-any", "l": "name-elsewhere", "m": "lan-container", "n": "published-loopback"},
    **{"o": "published-any-ipv6", "p": "published-gateway", "q": "lan-container-ipv6"},
}
OUTCOMES = {
    "O": Outcome(Verdict.OPEN),
    "x": Outcome(Verdict.REFUSED),
    ".": Outcome(Verdict.TIMEOUT),
    "u": Outcome(Verdict.UNREACHABLE, "ENETUNREACH"),
    "?": Outcome(Verdict.UNRESOLVED, "EAI_AGAIN"),
    "d": Outcome(Verdict.ACCEPTED, "reset"),
}

Key = tuple[str, str, str]


def table() -> dict[Key, Outcome]:
    vantages, letters, *rows = TABLE.strip("\n").splitlines()
    blocks = letters.strip().split("   ")
    names = [name for name, block in zip(vantages.split(), blocks, strict=True) for _ in block.split()]
    columns = list(zip(names, letters.split(), strict=True))
    return {
        (bind, vantage, LETTERS[letter]): OUTCOMES[symbol]
        for bind, *symbols in map(str.split, rows)
        for (vantage, letter), symbol in zip(columns, symbols, strict=True)
    }


def silent(phase: str, done: int, total: int) -> None:
    """Take no notice of progress."""


def key(cell: Cell) -> Key:
    return cell.bind.name, cell.vantage, cell.target.name


@pytest.fixture(scope="module")
def matrix(engine: Engine, images: tuple[str, str]) -> Iterator[Matrix]:
    """The whole of it; before and after, the engine has the same."""
    before = holdings(engine)
    draft = load("bind-address", "compose")
    yield run(draft, "compose", ComposeLab(draft.lab), silent)
    assert holdings(engine) - before == set()


def test_every_cell_is_measured_and_as_predicted(matrix: Matrix) -> None:
    assert [key(cell) for cell in matrix.cells if not cell.agrees] == []
    assert len(matrix.cells) == 6 * 30


def test_the_matrix_is_as_it_is_drawn(matrix: Matrix) -> None:
    assert {key(cell): cell.observation.outcome for cell in matrix.cells} == table()


def test_cells_that_exist_on_both_backends_are_the_same_on_both(matrix: Matrix) -> None:
    """But for the resolver's error: the engine's resolver fails where the lab's knows that there is none."""
    draft = load("bind-address")
    try:
        other = run(draft, "netns", NetnsLab(draft.lab), silent)
    except BackendUnavailableError as error:
        unavailable("netns", str(error))

    def plain(cell: Cell) -> tuple[str, str]:
        outcome = cell.observation.outcome
        assert outcome is not None
        return outcome.verdict, "" if outcome.verdict is Verdict.UNRESOLVED else outcome.detail

    here = {key(cell): plain(cell) for cell in matrix.cells}
    there = {key(cell): plain(cell) for cell in other.cells}
    both = here.keys() & there.keys()
    assert {cell: here[cell] for cell in both} == {cell: there[cell] for cell in both}
    # All that compose.yaml has but what is published, and what the engine calls otherwise.
    assert len(both) == 6 * (8 + 4 + 5)


def test_a_published_port_before_a_server_on_loopback_opens_and_dies_and_the_remedy_says_why(
    matrix: Matrix,
) -> None:
    cells = {key(cell): cell for cell in matrix.cells}
    cell = cells["127.0.0.1", "host", "published-loopback"]
    assert cell.prediction.outcome == cell.observation.outcome == Outcome(Verdict.ACCEPTED, "reset")
    port = cell.prediction.remedy.split(":19500")[0].split()[-1]
    assert cell.prediction.remedy == (
        f"the published port leads to {port}:19500: in server-loopback, listen there or on 0.0.0.0"
    )
    kinds = [step.kind for step in cell.prediction.reason]
    assert kinds[-1] == "answer" and "publish" in kinds


def test_every_cell_has_reasons_that_name_what_they_rest_on(matrix: Matrix) -> None:
    for cell in matrix.cells:
        assert cell.prediction.reason, key(cell)
        assert all(step.text and step.rests_on for step in cell.prediction.reason), key(cell)
