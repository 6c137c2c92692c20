"""What a test says in the words of `netlab.yaml`, read as that file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netlab.checks import Check
from netlab.errors import FileError
from netlab.experiments.checking import CheckSection, check_of
from netlab.yamlfile import YamlFile


class SaidError(FileError):
    """A test says something that can't be followed. Of its file no line is known."""

    def __init__(self, source: str, line: int, key: str, problem: str) -> None:
        super().__init__(source, 0, key, problem)


def said_by(source: Path | str, **keys: Any) -> YamlFile:
    """Return what a test says as if it stood in a file.

    Args:
        source: who says so, for errors.
        keys: the keys of that file.
    """
    return YamlFile(str(source), keys, SaidError)


def read_check(said: Any, folder: Path) -> Check:
    """Return how a server is recognised.

    Args:
        said: as below `check` in `netlab.yaml`: `tcp`, `{"http": {"path": "/health"}}`.
        folder: what files that it names are relative to.

    Raises:
        SaidError: it is no such check.
    """
    file = said_by("netlab_server", check=said)
    return check_of(file.validate(CheckSection, "a check", ("check",)), file, ("check",), folder)
