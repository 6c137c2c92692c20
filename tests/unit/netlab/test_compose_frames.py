"""A container's output in frames, cut anywhere, and from an engine that means no good."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.errors import LabError
from netlab.session import ANSWER_LIMIT_BYTES

frames = pytest.importorskip("netlab.backends.compose.frames", reason="the docker SDK is not installed")

STDOUT, STDERR = 1, 2


def frame(content: bytes, stream: int = STDOUT) -> bytes:
    return struct.pack(">BxxxL", stream, len(content)) + content


def lines(data: bytes, size: int) -> list[bytes]:
    it = frames.Frames()
    found = []
    for start in range(0, len(data), size):
        it.feed(data[start : start + size])
        while (line := it.line()) is not None:
            found.append(line)
    return [*found, it.rest()]


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.sampled_from([STDOUT, STDERR])), max_size=8),
    st.integers(1, 30),
)
def test_what_was_written_comes_out_however_it_is_cut(written: list[tuple[bytes, int]], size: int) -> None:
    data = b"".join(frame(*one) for one in written)
    assert b"".join(lines(data, size)) == b"".join(content for content, to in written if to == STDOUT)
    it = frames.Frames()
    it.feed(data)
    assert it.diagnostics == b"".join(content for content, to in written if to == STDERR)


def test_a_line_may_come_in_several_frames_and_several_lines_in_one() -> None:
    data = frame(b"one\ntw") + frame(b"said", STDERR) + frame(b"") + frame(b"o\nthree")
    assert lines(data, len(data)) == [b"one\n", b"two\n", b"three"]


def test_of_standard_error_the_last_is_kept() -> None:
    it = frames.Frames()
    for number in range(1000):
        it.feed(frame(b"%06d\n" % number, STDERR))
    assert len(it.diagnostics) == 4096
    assert it.diagnostics.endswith(b"000999\n")


def test_a_stream_that_there_is_not_is_an_error() -> None:
    with pytest.raises(LabError, match="stream 7"):
        frames.Frames().feed(frame(b"x", 7))


def test_a_line_without_an_end_is_an_error_and_not_memory() -> None:
    it = frames.Frames()
    it.feed(struct.pack(">BxxxL", STDOUT, 0xFFFFFFFF))
    chunk = b"x" * (1 << 20)
    with pytest.raises(LabError, match="more than 16 MiB in a line"):
        for _ in range(ANSWER_LIMIT_BYTES // len(chunk) + 1):
            it.feed(chunk)


def test_a_frame_that_is_announced_and_never_comes_takes_no_memory() -> None:
    it = frames.Frames()
    it.feed(struct.pack(">BxxxL", STDERR, 0xFFFFFFFF))
    for _ in range(64):
        it.feed(b"y" * (1 << 16))
    assert len(it.diagnostics) == 4096
