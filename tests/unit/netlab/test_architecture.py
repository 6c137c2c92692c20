"""The page for newcomers names the parts that there are: all of them, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def named_parts() -> set[Path]:
    """Return the files and packages of the table's first column: the first one of a row has its directory."""
    parts = set()
    for row in re.findall(r"^\| (`(?:netlab|app)/[^|]*) \|", PAGE, re.MULTILINE):
        folder = Path()
        for word in re.findall(r"`([^`]+)`", row):
            path = Path(word) if "/" in word.rstrip("/") else folder / word
            folder = path.parent
            parts.add(ROOT / path)
    return parts


def test_every_part_of_netlab_is_named() -> None:
    inside = {"__init__.py", "__main__.py", "py.typed", "__pycache__", "compose.yaml"}
    parts = {path for path in (ROOT / "netlab").iterdir() if path.name not in inside}
    assert parts - named_parts() == set()


def test_every_part_that_is_named_is_there() -> None:
    assert [part for part in named_parts() if not part.exists()] == []


def test_every_module_that_a_row_names_is_in_its_package() -> None:
    for package, said in re.findall(r"^\| `(netlab/\w+)/` \| ([^|]*) \|", PAGE, re.MULTILINE):
        words = re.findall(r"`([a-z_]+/?)`", said)
        there = {path.stem for path in (ROOT / package).iterdir()}
        assert {word.rstrip("/") for word in words} <= there, package
