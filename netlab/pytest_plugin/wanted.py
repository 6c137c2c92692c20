"""Which lab a test wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from netlab.pytest_plugin import settings

# What a test calls a lab by, as `netlab.yaml` does.
LabName = str | Mapping[str, str]
_HELP = 'a lab is a name, a file, or one of {"compose": FILE}, {"project": NAME}, {"inventory": FILE}'


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lab to bring up.

    Attributes:
        lab: the name of one that comes with netlab, or the path of a file.
        kind: empty for a lab that netlab makes, else what it is: `compose`, `project`, `inventory`.
        backend: what makes it; empty where the lab's kind decides.
        source: the file that asks for it; paths are relative to its directory.
    """

    lab: str
    kind: str
    backend: str
    source: Path

    def __str__(self) -> str:
        return f"{self.kind} {self.lab}".strip()


def wanted_by(node: pytest.Item | pytest.Collector) -> Wanted:
    """Return the lab of a test or a module: its marker's, else the configuration's."""
    return marked(node) or wanted(node.config, None, None)


def marked(node: pytest.Item | pytest.Collector) -> Wanted | None:
    """Return the lab that a marker asks for, if there is one.

    Raises:
        UsageError: the marker says something else.
    """
    marker = node.get_closest_marker("netlab")
    if marker is None:
        return None
    if marker.args or marker.kwargs.keys() - {"lab", "backend"}:
        raise pytest.UsageError(f"{node.nodeid}: the marker netlab takes lab=... and backend=...")
    return wanted(node.config, marker.kwargs.get("lab"), marker.kwargs.get("backend"), node.path)


def wanted(
    config: pytest.Config, lab: LabName | None, backend: str | None, source: Path | None = None
) -> Wanted:
    """Return a lab, in the configuration's words where nothing is said.

    Args:
        config: pytest's.
        lab: what it is called.
        backend: what makes it.
        source: the file that asks for it, if one does.

    Raises:
        UsageError: that is no way to call one.
    """
    if lab is None:
        lab, source = config.getini("netlab_lab"), config.inipath
    source = source or config.rootpath / "pytest.ini"
    items = [*lab.items()] if isinstance(lab, Mapping) else [("", lab)]
    if len(items) != 1 or not all(isinstance(word, str) for word in items[0]):
        raise pytest.UsageError(f"{source}: {_HELP}, not {lab!r}")
    kind, name = items[0]
    return _same(Wanted(name, kind, backend or ("" if kind else settings.backend(config)), source))


@cache
def _same(one: Wanted) -> Wanted:
    """Return the one object for equal ones: pytest compares the parameters of fixtures by identity."""
    return one
