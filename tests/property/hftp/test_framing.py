"""Whatever bytes come, and however they are cut: the answers are those of a plain model."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hftp.connection import Connection
from hftp.constants import ANSWER_PIECE_BYTES, RECEIVE_BYTES
from hftp.files import DataDirectory
from hftp.protocol import Parser, abridge
from tests.property.hftp.model import FILES, model_stream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataDirectory]:
    path = tmp_path_factory.mktemp("data")
    for name, contents in FILES.items():
        (path / name.decode()).write_bytes(contents)
    with DataDirectory(str(path)) as directory:
        yield directory


def serve(directory: DataDirectory, pieces: list[bytes]) -> tuple[bytes, bool]:
    """Feed pieces as a loop does, and hold the session to its limits on the way."""
    connection, answers = Connection(directory), b""
    for piece in pieces:
        if not connection.wants_input:
            break
        connection.receive_data(piece)
        while connection.wants_output:
            data = connection.data_to_send()
            answers += data
            connection.bytes_sent(len(data))
            assert connection.held_bytes <= ANSWER_PIECE_BYTES + max(RECEIVE_BYTES, len(piece)) + 4096
        assert connection.finished != connection.wants_input
    closed_by_itself = connection.finished
    if connection.wants_input:
        connection.receive_data(b"")
    assert connection.finished
    connection.close()
    return answers, closed_by_itself


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream; a piece is never empty: that would be its end."""
    at = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(at)]


printable_tokens = st.one_of(
    st.sampled_from([b"get_file_listing", b"get_metadata", b"get_slice", b"help", b"quit", b"raw"]),
    st.sampled_from([b"f", b"0", b"g", b"x", b"..", b"a/b", b"5", b"20", b"041", b"-1", b"", b"\\"]),
    st.integers(0, 12000).map(lambda number: b"%d" % number),
    st.builds(bytes.__mul__, st.sampled_from([b"0", b"1", b"a", b"/"]), st.integers(250, 5000)),
)
printable_lines = st.lists(printable_tokens, min_size=1, max_size=8).map(b" ".join)
tokens = printable_tokens | st.binary(max_size=3)
lines = st.lists(tokens, min_size=1, max_size=8).map(b" ".join)
ends = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"", b"\r\r\n", b" \r\n", b"\xff\r\n"])
streams = st.one_of(
    st.lists(st.tuples(lines, ends).map(b"".join), max_size=8).map(b"".join),
    st.binary(max_size=60),
    st.text(alphabet="get_slicf 05\r\n", max_size=60).map(str.encode),
)
relaxed = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(stream=streams, places=st.lists(st.integers(0, 1 << 16), max_size=12))
@example(stream=b"get_slice f 0 " + b"0" * 9000 + b"5\r\n", places=list(range(0, 9020, 700)))
@example(stream=b" " * 9000 + b"x\r\n", places=[4500])
@example(stream=b"get_metadata f\r", places=[])
def test_any_cutting_of_any_stream_gets_the_answers_of_the_model(
    directory: DataDirectory, stream: bytes, places: list[int]
) -> None:
    expected = model_stream(stream)
    assert serve(directory, cut(stream, places)) == expected
    assert serve(directory, [stream] if stream else []) == expected


@settings(relaxed, max_examples=50)
@given(stream=st.one_of(st.binary(max_size=300), streams.map(lambda stream: stream[:300])))
def test_byte_by_byte_gets_the_answers_of_the_model(directory: DataDirectory, stream: bytes) -> None:
    assert serve(directory, [bytes([byte]) for byte in stream]) == model_stream(stream)


@relaxed
@given(beginning=printable_lines, rest=printable_lines)
def test_abridging_a_beginning_changes_no_answer(
    directory: DataDirectory, beginning: bytes, rest: bytes
) -> None:
    ending = rest + b"\r\n"
    assert model_stream(abridge(beginning) + ending) == model_stream(beginning + ending)


@settings(relaxed, max_examples=50)
@given(pieces=st.lists(st.text("ab0/ ", min_size=1, max_size=8000).map(str.encode), max_size=30))
def test_what_is_held_of_a_line_does_not_grow(pieces: list[bytes]) -> None:
    parser = Parser()
    for piece in pieces:
        parser.receive_data(piece)
        assert parser.next_request() is None
        assert parser.held_bytes <= 4096
