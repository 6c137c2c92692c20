"""The last good run beside this one: what has changed since. Pure, but for reading the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from netlab.errors import NetlabError
from netlab.expectations.results import Checked
from netlab.experiments.plan import EVERYTHING, Selection
from netlab.model import Outcome, Verdict
from netlab.printable import printable
from netlab.report.record import FORMAT

# The record of a run is larger than what people write: 10,000 cells are some 20 MiB.
_LIMIT_BYTES = 256 << 20

Key = tuple[str, str, str]
NOT_THERE = "not there"


class _Observation(BaseModel):
    verdict: Verdict | None
    detail: str


class _Cell(BaseModel):
    bind: str
    vantage: str
    target: str
    observation: _Observation


class _Run(BaseModel):
    format: int
    cells: list[_Cell]


@dataclass(frozen=True, slots=True)
class Change:
    """A dial that comes out otherwise than it did.

    Attributes:
        bind: with which.
        was: the outcome then, or `not there`.
        now: the outcome now.
    """

    bind: str
    vantage: str
    target: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.bind}: {self.vantage} dials {self.target}: was {self.was}, is {self.now}"


def read_baseline(path: Path) -> Mapping[Key, str]:
    """Read a run that `--json` wrote; return the outcome of each dial, in words.

    Raises:
        NetlabError: it can't be read, or is no such file.
    """
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise NetlabError(f"{path}: too large for a run that --json wrote")
        run = _Run.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NetlabError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise NetlabError(
            printable(f"{path}: not a run that --json wrote: {where}: {first['msg']}")
        ) from None
    if run.format != FORMAT:
        raise NetlabError(
            f"{path}: written in format {run.format}; this netlab reads {FORMAT}: record it anew"
        )
    return {(cell.bind, cell.vantage, cell.target): _words(cell.observation) for cell in run.cells}


def changes(
    baseline: Mapping[Key, str], checked: Checked, asked: Selection = EVERYTHING
) -> tuple[Change, ...]:
    """Return every dial that has changed since; what was not dialled then, or is not now, has, too.

    Args:
        baseline: the outcomes then.
        checked: what came of it now.
        asked: the part of the matrix that was to be dialled now: of the rest nothing is said.
    """
    now = {
        (cell.bind.name, cell.vantage, cell.target.name): str(cell.observation.outcome or "not measured")
        for cell in checked.matrix.cells
    }
    then = [key for key in baseline if asked.has_bind(key[0]) and asked.has_vantage(key[1])]
    keys = dict.fromkeys([*now, *then])
    found = (Change(*key, baseline.get(key, NOT_THERE), now.get(key, NOT_THERE)) for key in keys)
    return tuple(change for change in found if change.was != change.now)


def _words(observed: _Observation) -> str:
    return str(Outcome(observed.verdict, observed.detail)) if observed.verdict else "not measured"
