"""`netlab.yaml` as tests: a file, a collector a bind, an item a cell.

All cells of a file that are to run come from one run of its lab, when the first of them is set up; by then
pytest knows which are left after `-k`, `--lf` and node ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.errors import FileError, NetlabError
from netlab.expectations import CheckFile, State, load
from netlab.expectations.message import message
from netlab.expectations.run import Terms, run
from netlab.experiments.plan import Selection
from netlab.pytest_plugin import settings

if TYPE_CHECKING:
    from netlab.expectations import Checked, Result

_ANY = "*"


@dataclass(frozen=True, slots=True)
class Part:
    """What an item stands for: a cell; or all that there will be, where the lab is not known beforehand.

    Attributes:
        vantage: None for all of the bind's.
        target: None for all of the vantage's.
        line: of the rule that is about it, 0-based; None if there is none, or several.
    """

    bind: str
    vantage: str | None = None
    target: str | None = None
    line: int | None = None

    @property
    def name(self) -> str:
        """The item's name: `peer->lan-ipv4`."""
        return _ANY if self.vantage is None else f"{self.vantage}->{self.target or _ANY}"

    def covers(self, result: Result) -> bool:
        """Whether a result is one of its."""
        cell = result.cell
        return (
            self.bind == cell.bind.name
            and self.vantage in (None, cell.vantage)
            and self.target in (None, cell.target.name)
        )


class CheckFileNode(pytest.File):
    """A `netlab.yaml`."""

    check_file: CheckFile
    checked: Checked | None = None

    def collect(self) -> Iterator[BindNode]:
        """Yield a collector for each bind.

        Raises:
            CollectError: the file is wrong: where, and how, in a line.
        """
        try:
            self.check_file = _load(self.path, self.config)
            parts = _parts(self.check_file)
        except NetlabError as error:
            raise self.CollectError(str(error)) from None
        for bind in dict.fromkeys(part.bind for part in parts):
            yield BindNode.of(self, bind, [part for part in parts if part.bind == bind])

    def setup(self) -> None:
        """Run the check, as far as its items are to run; once, though pytest may set it up again."""
        if self.checked is not None:
            return
        with settings.obstacles(self.config):
            check_file = self.check_file.only(_selection(item.part for item in self._items()))
            self.checked = run(check_file, Terms(settings.backend(self.config)), lambda *_: None)

    def _items(self) -> list[CellItem]:
        """Return its items that are to run."""
        return [item for item in self.session.items if isinstance(item, CellItem) and item.file is self]


class BindNode(pytest.Collector):
    """A bind of a `netlab.yaml`."""

    parts: list[Part]

    @classmethod
    def of(cls, file: CheckFileNode, bind: str, parts: list[Part]) -> BindNode:
        """Return the collector of a bind.

        Args:
            file: what it stands in.
            bind: its name there.
            parts: what is dialled with it.
        """
        node: BindNode = cls.from_parent(file, name=_node_name(bind).replace("[", "(").replace("]", ")"))
        node.parts = parts
        return node

    def collect(self) -> Iterator[CellItem]:
        """Yield an item for each part."""
        for part in self.parts:
            yield CellItem.of(self, part)


class CellItem(pytest.Item):
    """A cell of a `netlab.yaml`: it passes if it was measured and is as expected."""

    part: Part

    @classmethod
    def of(cls, bind: BindNode, part: Part) -> CellItem:
        """Return the item of a part."""
        item: CellItem = cls.from_parent(bind, name=_node_name(part.name))
        item.part = part
        item.add_marker(pytest.mark.netlab)
        return item

    @property
    def file(self) -> CheckFileNode:
        """What it stands in."""
        file = self.getparent(CheckFileNode)
        assert file is not None
        return file

    def runtest(self) -> None:
        """Fail with the cell's explanation, unless it is as expected."""
        checked = self.file.checked
        assert checked is not None, "the file is set up before its items"
        results = [result for result in checked.results if self.part.covers(result)]
        failed = [message(result) for result in results if result.state is not State.MET]
        # Of a part that is known beforehand, each cell is a result; else somebody may be left out.
        if not results or (self.part.vantage is None and checked.failures):
            failed.append("\n".join(("not measured: nobody dialled", *checked.failures)))
        if failed:
            pytest.fail("\n\n".join(failed), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where it is."""
        return self.path, self.part.line, f"{self.part.bind}: {self.part.name}"


def _load(path: Path, config: pytest.Config) -> CheckFile:
    """Read a file; it is called by its path from where pytest was started."""
    try:
        name = str(path.relative_to(config.invocation_params.dir))
    except ValueError:
        name = str(path)
    try:
        check_file = load(path)
    except FileError as error:
        if error.source == str(path):
            raise type(error)(name, error.line, error.key, error.problem) from None
        raise
    return replace(check_file, file=replace(check_file.file, name=name))


def _parts(check_file: CheckFile) -> list[Part]:
    """Return what there will be to expect, as far as that is known before the lab is up."""
    topology, dials = check_file.topology, check_file.dials()
    if topology is not None and dials is not None:
        rules = [check_file.expectation(dial, topology) for dial in dials]
        return [
            Part(dial.bind.name, dial.vantage, dial.target.name, rule.line - 1 if rule else None)
            for dial, rule in zip(dials, rules, strict=True)
        ]
    binds, vantages = check_file.said.binds, check_file.said.vantages
    if vantages is None:
        return [Part(bind) for bind in binds]
    return [Part(bind, vantage) for bind in binds for vantage in vantages]


def _selection(parts: Iterable[Part]) -> Selection:
    """Return the rows and columns that the parts are in."""

    def names(values: Iterable[str | None]) -> tuple[str, ...]:
        known = dict.fromkeys(values)
        return () if None in known else tuple(name for name in known if name is not None)

    wanted = list(parts)
    return Selection(
        names(part.bind for part in wanted),
        names(part.vantage for part in wanted),
        names(part.target for part in wanted),
    )


def _node_name(name: str) -> str:
    """Return a name that can stand in a node id, where `::` separates names: `::1` is `:_:1`."""
    return re.sub(r":(?=:|$)", ":_", name)
