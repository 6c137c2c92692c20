"""What is now, written into `netlab.yaml` as what is expected; all else in the file stays as it is."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from netlab.expectations.results import Checked
from netlab.model import Cell

# A line that is wrapped would be another line in the next error.
_WIDTH = 4096
_KEY = "expect"


@dataclass(frozen=True, slots=True)
class _Said:
    """A rule as it is written: an outcome, and of which cells; no targets means all of them."""

    outcome: str
    binds: tuple[str, ...]
    vantages: tuple[str, ...]
    targets: tuple[str, ...]


def with_recorded(text: str, checked: Checked) -> str:
    """Return a file's text with its `expect` replaced by what was observed.

    Args:
        text: of the file, which was read before.
        checked: what came of it; every cell was measured.
    """
    yaml = YAML(typ="rt")
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    expect = CommentedMap({_KEY: _written(checked.matrix.cells)})
    if tree.fa.flow_style():  # the whole file is in braces
        tree.update(expect)
        expect, text = tree, ""
    out = io.StringIO()
    yaml.dump(expect, out)
    lines = [f"{line}\n" for line in text.splitlines()]
    start, end = _place(tree, lines)
    return "".join(lines[:start]) + out.getvalue() + "".join(lines[end:])


def _place(tree: CommentedMap, lines: Sequence[str]) -> tuple[int, int]:
    """Return the lines that the rules take up, without the comments after them; the end if there are none."""
    if _KEY not in tree:
        return len(lines), len(lines)
    start = tree.lc.key(_KEY)[0]
    end = min((tree.lc.key(key)[0] for key in tree if tree.lc.key(key)[0] > start), default=len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return start, end


def _written(cells: Sequence[Cell]) -> CommentedSeq:
    """Return the rules: first what most cells are, then, as exceptions, what the others are."""
    ((usual, _),) = Counter(map(_outcome, cells)).most_common(1)
    rules = CommentedSeq([_mapping(usual, "*")])
    for said in _merged(_exceptions(cells, usual)):
        selector = CommentedMap(bind=_short(said.binds), **{"from": _short(said.vantages)})
        if said.targets:
            selector["to"] = _short(said.targets)
        selector.fa.set_flow_style()
        rules.append(_mapping(said.outcome, selector))
    return rules


def _exceptions(cells: Sequence[Cell], usual: str) -> list[_Said]:
    """Return for each bind and vantage what is not as usual."""
    pairs: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in cells:
        outcomes = pairs.setdefault((cell.bind.name, cell.vantage), {})
        outcomes.setdefault(_outcome(cell), []).append(cell.target.name)
    return [
        _Said(outcome, (bind,), (vantage,), () if len(outcomes) == 1 else tuple(targets))
        for (bind, vantage), outcomes in pairs.items()
        for outcome, targets in outcomes.items()
        if outcome != usual
    ]


def _merged(rules: list[_Said]) -> list[_Said]:
    """Join the rules that differ in their binds only, and then those that differ in their vantages only."""
    by_rest: dict[tuple[object, ...], list[_Said]] = {}
    for rule in rules:
        by_rest.setdefault((rule.outcome, rule.vantages, rule.targets), []).append(rule)
    joined = [
        _Said(same[0].outcome, tuple(b for r in same for b in r.binds), same[0].vantages, same[0].targets)
        for same in by_rest.values()
    ]
    by_binds: dict[tuple[object, ...], list[_Said]] = {}
    for rule in joined:
        by_binds.setdefault((rule.outcome, rule.binds, rule.targets), []).append(rule)
    return [
        _Said(same[0].outcome, same[0].binds, tuple(v for r in same for v in r.vantages), same[0].targets)
        for same in by_binds.values()
    ]


def _outcome(cell: Cell) -> str:
    return str(cell.observation.outcome)


def _mapping(key: str, value: object) -> CommentedMap:
    return CommentedMap({key: value})


def _short(names: tuple[str, ...]) -> object:
    if len(names) == 1:
        return names[0]
    listed = CommentedSeq(names)
    listed.fa.set_flow_style()
    return listed
