"""The client against servers that hypothesis makes up: honest ones, honest ones with a fault, and nonsense.

`make fuzz-hftp SECONDS=60` runs it so long; without that, it takes a moment.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hftp.exits import Exit
from hftp.files import DataDirectory
from tests.fuzz.client import CASES, NEXT_CONNECTION, PART, Arena, Case, check, check_manners
from tests.fuzz.honest import HonestServer
from tests.fuzz.hostile import BLOCK_BYTES, Ending

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
_quick = settings(
    max_examples=200 if _SECONDS else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)

contents = st.one_of(st.binary(max_size=5 * BLOCK_BYTES), st.binary(max_size=BLOCK_BYTES).map(PART.__add__))
directories = st.fixed_dictionaries(
    {"f": contents}, optional=dict.fromkeys(("a", "f.part", "f.part.part", "z" * 255), contents)
)
cuts = st.lists(st.integers(1, 80), max_size=8).map(bytes)
endings = st.sampled_from([Ending.CLOSE, Ending.RESET, Ending.SILENCE])

status_lines = st.sampled_from(
    [line + b"\r\n" for line in (b"0 OK", b"199 X", b"101", b"201 X", b"202 X", b"203 X", b"204 ?")]
)
lines = st.sampled_from(
    [b"0\r\n", b"3\r\n", b"f\r\n", b"a\r\n\r\n", b"../f\r\n", b"9" * 1100, b"9" * 300 + b"\r\n"]
)
listings = st.sampled_from(
    [b"0 OK\r\n%b\r\n\r\n" % name for name in (b"../f", b"a\r\nf", b"a b", b"z" * 256)]
)
slices = st.sampled_from(
    [b"Content-Length: 3\r\n\r\nabc", b"YWJj\r\n", b"YWJ=\r\n", b"Y\x1b[2J\r\n", NEXT_CONNECTION]
)
# Where, how many bytes are missing there, and what is there instead; None: nothing more.
faults = st.tuples(
    st.integers(0, 10_000),
    st.integers(0, 3),
    st.one_of(st.none(), status_lines, st.sampled_from([b"", b"=", b"\r", b"\n"]), st.binary(max_size=3)),
)
nonsense = st.lists(st.one_of(status_lines, lines, listings, slices, st.binary(max_size=9)), max_size=12).map(
    b"".join
)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    return Arena(tmp_path_factory.mktemp("arena"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


def fill(path: Path, files: dict[str, bytes]) -> None:
    for old in path.iterdir():
        old.unlink()
    for name, text in files.items():
        (path / name).write_bytes(text)


def for_a_while(test: Callable[[], None]) -> None:
    """Run a property once, or again and again when fuzzing; three of them share the time."""
    ends_at = time.monotonic() + _SECONDS / 3
    test()
    while time.monotonic() < ends_at:
        test()


def expected(case: Case, files: dict[str, bytes]) -> tuple[bytes, dict[str, bytes]]:
    """What a command prints and fetches."""
    match case.arguments[0]:
        case "ls":
            return b"".join(sorted(name.encode() + b"\n" for name in files)), {}
        case "help":
            return b"get_file_listing\nget_metadata\nget_slice\nhelp\nquit\n", {}
        case "stat":
            return b"%d f\n" % len(files["f"]), {}
        case "cat":
            return files["f"], {}
    return b"", files if "--all" in case.arguments else {"f": files["f"]}


def test_an_honest_server_is_understood(arena: Arena, path: Path) -> None:
    @_quick
    @given(st.sampled_from(CASES), directories)
    def property_(case: Case, files: dict[str, bytes]) -> None:
        fill(path, files)
        with DataDirectory(str(path)) as directory:
            outcome = arena.run(case, HonestServer(directory))
        check_manners(outcome)
        assert (outcome.code, outcome.output, outcome.files) == (Exit.OK, *expected(case, files))

    for_a_while(property_)


def test_an_honest_answer_with_a_fault_is_not_taken_for_whole(arena: Arena, path: Path) -> None:
    @_quick
    @given(st.sampled_from(CASES), directories, cuts, endings, faults)
    def property_(
        case: Case, files: dict[str, bytes], cuts: bytes, ending: int, fault: tuple[int, int, bytes | None]
    ) -> None:
        fill(path, files)
        with DataDirectory(str(path)) as directory:
            server = HonestServer(directory)
            arena.run(case, server)
        stream = NEXT_CONNECTION.join(server.streams)
        at, gone, new = fault
        at %= len(stream) + 1
        faulty = stream[:at] + (b"" if new is None else new + stream[at + gone :])
        check(arena, bytes([CASES.index(case), ending]) + cuts + b"\0" + faulty)

    for_a_while(property_)


def test_nonsense_harms_nobody(arena: Arena) -> None:
    @_quick
    @given(st.integers(0, len(CASES) - 1), cuts, endings, nonsense)
    def property_(which: int, cuts: bytes, ending: int, stream: bytes) -> None:
        check(arena, bytes([which, ending]) + cuts + b"\0" + stream)

    for_a_while(property_)
