"""The bind-address lab with a UDP server: every bind from every vantage, as it is drawn, and as predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab import experiments
from netlab.backends.netns import NetnsLab
from netlab.errors import BackendUnavailableError, ExitCode
from netlab.experiments import load
from netlab.model import Outcome, Protocol, Verdict
from netlab.run import run
from tests.netns.datagram_server import source
from tests.requirements import unavailable

if TYPE_CHECKING:
    from netlab.matrix import Matrix
    from netlab.model import Cell

SECRET = "only the server that was started here knows it"
SERVICE = """
service:
  protocol: udp
  answers-from: ANSWERS
  command: [python3, FILE, "{address}", "{port}"OPTION]
  options: {v6only: [--v6only], device: [--device, "{device}"]}
  port: 19500
  check: {send-expect: {send: "who is there?", expect: "SECRET"}}
"""
# O open, x refused, u unreachable (ENETUNREACH), ? unresolved (EAI_NONAME), - not-bound (EADDRNOTAVAIL),
# s wrong-source. The columns are those of test_bind_address.
ROUTED = """
             server              peer        remote      outsider
             a b c d e f g h i   j g h i b   j g h i b   j g h i b
localhost    O x x O x x x x x   x x x x x   x x x u x   ? u u u x
127.0.0.1    O O x x O x x x x   x x x x x   x x x u x   ? u u u x
127.0.0.2    x x O x x x x x x   x x x x x   x x x u x   ? u u u x
0.0.0.0      O O s x O s O x O   O O x s x   O O x u x   ? u u u x
::1          O x x O x x x x x   x x x x x   x x x u x   ? u u u x
::           O O s O O s O O O   O O O s x   O O O u x   ? u u u x
::v6only     O x x O x x x O x   O x O x x   O x O u x   ? u u u x
lan-ipv4     x x x x x x O x x   O O x x x   O O x u x   ? u u u x
lan-ipv6     x x x x x x x O x   O x O x x   O x O u x   ? u u u x
back-ipv4    x x x x x x x x O   x x x O x   x x x u x   ? u u u x
back-device  x x x x x x x x O   x x x x x   x x x u x   ? u u u x
hostname     x x x x x O x x x   x x x x x   x x x u x   ? u u u x
not-ours     - - - - - - - - -   - - - - -   - - - - -   - - - - -
"""
# A service that is told where a question was sent answers from there, and every one of those cells opens.
TABLES = {"routed": ROUTED, "dialled": ROUTED.replace(" s ", " O ").replace(" s ", " O ")}
LETTERS = {
    **{"a": "localhost", "b": "127.0.0.1", "c": "127.0.0.2", "d": "::1", "e": "0.0.0.0"},
    **{"f": "hostname", "g": "lan-ipv4", "h": "lan-ipv6", "i": "back-ipv4", "j": "name"},
}
SYMBOLS = {
    Verdict.OPEN: "O",
    Verdict.REFUSED: "x",
    Verdict.UNREACHABLE: "u",
    Verdict.UNRESOLVED: "?",
    Verdict.NOT_BOUND: "-",
    Verdict.WRONG_SOURCE: "s",
}


def measured(folder: Path, answers_from: str) -> Matrix:
    """Run the experiment, with the server of the docs' example in it."""
    program = folder / "server.py"
    program.write_text(source(SECRET))
    text = Path(experiments.__file__).with_name("bind-address.yaml").read_text()
    before, _, rest = text.partition("service:\n")
    service = SERVICE.replace("ANSWERS", answers_from).replace("FILE", str(program))
    service = service.replace("OPTION", ", --from-dialled" if answers_from == "dialled" else "")
    file = folder / "experiment.yaml"
    file.write_text(before + service.replace("SECRET", SECRET) + rest[rest.index("\nbinds:") :])
    draft = load(str(file))
    try:
        return run(draft, "netns", NetnsLab(draft.lab), lambda *_: None)
    except BackendUnavailableError as error:
        unavailable("netns", str(error))


@pytest.fixture(scope="module", params=list(TABLES))
def run_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Matrix]:
    return request.param, measured(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def matrix(run_of: tuple[str, Matrix]) -> Matrix:
    return run_of[1]


def table(text: str) -> dict[tuple[str, str, str], str]:
    vantages, letters, *rows = text.strip("\n").splitlines()
    names = [
        name
        for name, block in zip(vantages.split(), letters.strip().split("   "), strict=True)
        for _ in block.split()
    ]
    columns = list(zip(names, letters.split(), strict=True))
    return {
        (bind, vantage, LETTERS[letter]): symbol
        for bind, *symbols in map(str.split, rows)
        for (vantage, letter), symbol in zip(columns, symbols, strict=True)
    }


def symbol(outcome: Outcome | None) -> str:
    return SYMBOLS[outcome.verdict] if outcome is not None else "not measured"


def name(cell: Cell) -> tuple[str, str, str]:
    return cell.bind.name, cell.vantage, cell.target.name


def test_every_cell_is_observed_as_it_is_drawn(run_of: tuple[str, Matrix]) -> None:
    answers_from, matrix = run_of
    observed = {name(cell): symbol(cell.observation.outcome) for cell in matrix.cells}
    assert observed == table(TABLES[answers_from])


def test_all_312_cells_are_as_predicted_down_to_the_address_that_answers(matrix: Matrix) -> None:
    assert len(matrix.cells) == 312
    assert [cell for cell in matrix.cells if not cell.agrees] == []
    assert matrix.exit_code is ExitCode.OK
    assert {cell.protocol for cell in matrix.cells} == {Protocol.UDP}


def test_following_the_remedy_opens_the_cell(run_of: tuple[str, Matrix]) -> None:
    """`bind ADDRESS itself`: the row of that bind is open in that column."""
    answers_from, matrix = run_of
    cells = {name(cell): cell for cell in matrix.cells}
    lost = [cell for cell in matrix.cells if symbol(cell.observation.outcome) == "s"]
    assert bool(lost) == (answers_from == "routed")
    for cell in lost:
        bind = {"back-ipv4": "back-ipv4", "127.0.0.2": "127.0.0.2", "hostname": "hostname"}[cell.target.name]
        assert cell.prediction.remedy.startswith("bind ")
        assert symbol(cells[bind, cell.vantage, cell.target.name].observation.outcome) == "O"


def test_a_refusal_is_told_by_icmp_from_the_address_dialled(matrix: Matrix) -> None:
    refused = [cell for cell in matrix.cells if symbol(cell.observation.outcome) == "x"]
    assert len(refused) > 100
    for cell in refused:
        assert "(port unreachable)" in cell.observation.evidence[-1]
        assert cell.prediction.reason[-1].text.endswith("port unreachable")
