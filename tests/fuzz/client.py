"""What is fuzzed of the client: each of its commands, against a server that says whatever a program holds.

An input is a small program: which command, how the server ends, how it cuts what it says, and the streams.
"""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

from hftp import cli
from hftp.exits import Exit
from tests.fuzz import client_model as model
from tests.fuzz.hostile import ServerOfBytes, changed, network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fuzz.hostile import Server

# Between what two connections are told.
NEXT_CONNECTION = b"\xff\xff"

# What an earlier try has left of `f`, for the commands that continue it.
PART = b"!Que calor que hace hoy, pinta una birra! Y otra."


class Case(NamedTuple):
    """A command of the client.

    Attributes:
        arguments: Of `hftp`; AT stands for the server.
        told: Its model, where it has one.
        part: Of the file `f`, what is there already.
    """

    arguments: tuple[str, ...]
    told: Callable[[bytes], model.Told] | None = None
    part: bytes | None = None


CASES = [
    Case(("ls", "AT"), model.told_names),
    Case(("help", "AT"), model.told_names),
    Case(("stat", "AT", "f"), model.told_size),
    Case(("cat", "AT", "f", "--raw"), functools.partial(model.told_contents, raw=True)),
    Case(("cat", "AT", "f", "--base64"), functools.partial(model.told_contents, raw=False)),
    Case(("cat", "AT", "f")),
    Case(("get", "AT", "f", "--raw"), functools.partial(model.told_file, raw=True)),
    Case(("get", "AT", "f", "--base64"), functools.partial(model.told_file, raw=False)),
    Case(("get", "AT", "f")),
    Case(("get", "AT", "f"), part=PART),
    Case(("get", "AT", "f", "--jobs", "3", "--raw")),
    Case(("get", "AT", "--all", "--raw"), model.told_directory),
    Case(("get", "AT", "--all")),
    Case(("get", "AT", "--all", "--base64"), part=PART),
]

# Making it takes longer than all the rest.
_parser = functools.cache(cli._parser)

# How a command may end that has met a server: not with what says that this machine, or the user, is at fault.
_ENDS = {Exit.OK, Exit.TIMEOUT, Exit.NOT_HFTP, Exit.TRUNCATED, Exit.REFUSED_REQUEST}


class Outcome(NamedTuple):
    """What a command did.

    Attributes:
        code: With which it ended.
        output: On standard output.
        errors: On standard error.
        files: What is in its directory now.
    """

    code: int
    output: bytes
    errors: str
    files: dict[str, bytes]


class Arena:
    """A directory for the client, and beside it what must stay as it is.

    Args:
        path: An empty directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inside = path / "inside"
        (path / "precious").write_bytes(b"precious")

    def run(self, case: Case, server: Server) -> Outcome:
        """Run a command in the directory, with nothing in it but the case's .part."""
        self._inside.mkdir()
        try:
            if case.part is not None:
                (self._inside / "f.part").write_bytes(case.part)
            with changed((cli, "_parser", _parser)), _streams() as (output, errors), network(server) as port:
                code = cli.main(_arguments(case, f"127.0.0.1:{port}", str(self._inside)))
            files = {path.name: path.read_bytes() for path in self._inside.iterdir()}
            assert sorted(path.name for path in self._path.iterdir()) == ["inside", "precious"]
            assert (self._path / "precious").read_bytes() == b"precious"
        finally:
            shutil.rmtree(self._inside)
        return Outcome(code, output.getvalue(), errors.getvalue().decode(), files)


def _arguments(case: Case, at: str, directory: str) -> list[str]:
    arguments = [at if argument == "AT" else argument for argument in case.arguments]
    return [*arguments, "-o", directory] if arguments[0] == "get" else arguments


@contextlib.contextmanager
def _streams() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    output, errors = io.BytesIO(), io.BytesIO()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = io.TextIOWrapper(output), io.TextIOWrapper(errors)
    try:
        yield output, errors
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        sys.stdout.detach()  # or it closes what it wraps
        sys.stderr.detach()
        sys.stdout, sys.stderr = before


def check(arena: Arena, program: bytes) -> None:
    """Run a program.

    Args:
        arena: Where.
        program: Which case, one byte; the ending, one byte; how many bytes each piece has, one a piece, up
            to a zero; then what each connection is told, between ``NEXT_CONNECTION``.

    Raises:
        AssertionError: The client did not do what it should.
    """
    which, ending, rest = program[:1], program[1:2], program[2:]
    cuts, _, streams = rest.partition(b"\0")
    case = CASES[which[0] % len(CASES) if which else 0]
    server = ServerOfBytes(streams.split(NEXT_CONNECTION), cuts, ending[0] % 3 if ending else 0)
    outcome = arena.run(case, server)
    check_manners(outcome)
    if case.told is not None:
        with contextlib.suppress(model.UnknownError):
            check_told(outcome, case.told(streams.partition(NEXT_CONNECTION)[0]))


def check_manners(outcome: Outcome) -> None:
    """Whatever a server says: an exit code that says what went wrong, and one line that harms no terminal."""
    assert outcome.code in _ENDS or "has changed on the server" in outcome.errors, outcome
    lines = outcome.errors.splitlines()
    assert len(lines) == (outcome.code != Exit.OK), outcome
    assert all(line.startswith("hftp: ") and line.isprintable() for line in lines), outcome


def check_told(outcome: Outcome, told: model.Told) -> None:
    """Nothing but what came whole is taken for whole."""
    assert (outcome.code == Exit.OK) == told.whole, (outcome, told)
    if told.whole:
        assert outcome.output == told.output, (outcome, told)
    else:
        assert told.output.startswith(outcome.output), (outcome, told)
    parts = {name: text for name, text in outcome.files.items() if name.endswith(".part")}
    assert {name: text for name, text in outcome.files.items() if name not in parts} == told.files, (
        outcome,
        told,
    )
    assert all(told.part.startswith(text) for text in parts.values()), (outcome, told)
