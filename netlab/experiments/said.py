"""What a test, or a command line, says in the words of `netlab.yaml`, read as that file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netlab.checks import Check
from netlab.errors import FileError
from netlab.experiments.checking import CheckSection, check_of
from netlab.experiments.transporting import TransportSection, check_works, transport_of
from netlab.model import Protocol, Transport
from netlab.yamlfile import YamlFile, parse


class SaidError(FileError):
    """Somebody says something that can't be followed. Of its file, if it has one, no line is known."""

    def __init__(self, source: str, line: int, key: str, problem: str) -> None:
        super().__init__(source, 0, key, problem)


def said_by(source: Path | str, **keys: Any) -> YamlFile:
    """Return what is said as if it stood in a file.

    Args:
        source: who says so, for errors.
        keys: the keys of that file.
    """
    return YamlFile(str(source), keys, SaidError)


def value_of(source: str, text: str) -> Any:
    """Return what a text says that is written as a value in YAML.

    Raises:
        SaidError: it is no YAML.
    """
    return parse(source, text, SaidError).tree


def read_transport(source: str, protocol: str, answers_from: str | None) -> Transport:
    """Return how a server is talked to.

    Args:
        source: who says so, for errors.
        protocol: as in `netlab.yaml`: `tcp`, `udp`.
        answers_from: likewise: `routed`, `dialled`; None where it is not said.

    Raises:
        SaidError: it can't be.
    """
    said = {"protocol": protocol, **({"answers-from": answers_from} if answers_from is not None else {})}
    file = said_by(source, **said)
    return transport_of(file.validate(TransportSection, "a protocol"), file, ())


def read_check(source: str, said: Any, folder: Path, protocol: Protocol = Protocol.TCP) -> Check:
    """Return how a server is recognised.

    Args:
        source: who says so, for errors.
        said: as below `check` in `netlab.yaml`: `tcp`, `{"http": {"path": "/health"}}`.
        folder: what files that it names are relative to.
        protocol: by which it is talked to.

    Raises:
        SaidError: it is no such check, or it can't be made over that protocol.
    """
    file = said_by(source, check=said)
    check = check_of(file.validate(CheckSection, "a check", ("check",)), file, ("check",), folder)
    check_works(check, protocol, file, ("check",))
    return check
