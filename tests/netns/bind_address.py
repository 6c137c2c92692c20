"""The bind-address lab, run in each way in which a service may talk, and its matrix as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netlab import experiments
from netlab.backends.netns import NetnsLab
from netlab.experiments import load
from netlab.model import Outcome, Protocol, Verdict
from netlab.run import run
from tests.namespaces import namespaces_needed
from tests.netns.datagram_server import source

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.experiments import Draft
    from netlab.matrix import Matrix
    from netlab.model import Cell

Name = tuple[str, str, str]

# O open, x refused, u unreachable (ENETUNREACH), ? unresolved (EAI_NONAME), - not-bound (EADDRNOTAVAIL);
# s open, but for datagrams that are answered as the route back has it: wrong-source.
# The columns' letters: `netlab run` spells them out.
DRAWN = """
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
LETTERS = {
    **{"a": "localhost", "b": "127.0.0.1", "c": "127.0.0.2", "d": "::1", "e": "0.0.0.0"},
    **{"f": "hostname", "g": "lan-ipv4", "h": "lan-ipv6", "i": "back-ipv4", "j": "name"},
}
OUTCOMES = {
    "O": Outcome(Verdict.OPEN),
    "x": Outcome(Verdict.REFUSED),
    "u": Outcome(Verdict.UNREACHABLE, "ENETUNREACH"),
    "?": Outcome(Verdict.UNRESOLVED, "EAI_NONAME"),
    "-": Outcome(Verdict.NOT_BOUND, "EADDRNOTAVAIL"),
}
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


@dataclass(frozen=True)
class Way:
    """How the service is talked to, and where its answers come from, if that is not the address dialled."""

    protocol: Protocol
    routed: bool = False

    def __str__(self) -> str:
        return "tcp" if self.protocol is Protocol.TCP else "udp-routed" if self.routed else "udp-dialled"

    def symbol(self, outcome: Outcome | None) -> str:
        """Return the letter of an outcome; of a source that is wrong, the matrix says which it is."""
        if self.routed and outcome is not None and outcome.verdict is Verdict.WRONG_SOURCE:
            return "s"
        return next((letter for letter, known in OUTCOMES.items() if known == outcome), str(outcome))

    def drawn(self) -> dict[Name, str]:
        """Return the letter of each cell, by bind, vantage and target."""
        vantages, letters, *rows = DRAWN.strip("\n").splitlines()
        names = [
            name
            for name, block in zip(vantages.split(), letters.strip().split("   "), strict=True)
            for _ in block.split()
        ]
        columns = list(zip(names, letters.split(), strict=True))
        return {
            (bind, vantage, LETTERS[letter]): "O" if symbol == "s" and not self.routed else symbol
            for bind, *symbols in map(str.split, rows)
            for (vantage, letter), symbol in zip(columns, symbols, strict=True)
        }

    def draft(self, folder: Path) -> Draft:
        """Return the experiment; for datagrams with the server of the docs' example in it."""
        if self.protocol is Protocol.TCP:
            return load("bind-address")
        program = folder / "server.py"
        program.write_text(source(SECRET))
        text = Path(experiments.__file__).with_name("bind-address.yaml").read_text()
        before, _, rest = text.partition("service:\n")
        service = SERVICE.replace("ANSWERS", "routed" if self.routed else "dialled").replace("SECRET", SECRET)
        option = "" if self.routed else ", --from-dialled"
        service = service.replace("FILE", str(program)).replace("OPTION", option)
        file = folder / "experiment.yaml"
        file.write_text(before + service + rest[rest.index("\nbinds:") :])
        return load(str(file))


BY_TCP, BY_UDP_ROUTED, BY_UDP_DIALLED = Way(Protocol.TCP), Way(Protocol.UDP, routed=True), Way(Protocol.UDP)
WAYS = (BY_TCP, BY_UDP_ROUTED, BY_UDP_DIALLED)


def silent(phase: str, done: int, total: int) -> None:
    """Take no notice of progress."""


def measured(draft: Draft, progress: Callable[[str, int, int], None] = silent) -> Matrix:
    """Run an experiment in namespaces."""
    with namespaces_needed():
        return run(draft, "netns", NetnsLab(draft.lab), progress)


def name_of(cell: Cell) -> Name:
    """Return what a cell is called."""
    return cell.bind.name, cell.vantage, cell.target.name


def cell_of(matrix: Matrix, *name: str) -> Cell:
    """Return the cell of a bind, a vantage and a target."""
    return next(cell for cell in matrix.cells if name_of(cell) == name)
