"""The parser: which bytes are a request, and which fault they have."""

from __future__ import annotations

import pytest

from hftp.constants import MAX_LINE_BYTES, Status
from hftp.errors import ProtocolError
from hftp.protocol import Parser, abridge, is_name, maybe_number

MIB = 1024 * 1024


def parse(*pieces: bytes) -> list[list[bytes] | Status]:
    """Feed pieces; give the requests, and the fault that ended them."""
    parser, parsed = Parser(), list[list[bytes] | Status]()
    try:
        for piece in pieces:
            parser.receive_data(piece)
            while (request := parser.next_request()) is not None:
                parsed.append(request)
    except ProtocolError as error:
        parsed.append(error.status)
    return parsed


@pytest.mark.parametrize(
    ("line", "command", "arguments"),
    [
        (b"quit", b"quit", []),
        (b"get_metadata f", b"get_metadata", [b"f"]),
        (b"get_slice f 0 10 raw", b"get_slice", [b"f", b"0", b"10", b"raw"]),
        (b"get_metadata f ", b"get_metadata", [b"f", b""]),
        (b"get_metadata  f", b"get_metadata", [b"", b"f"]),
        (b" quit", b"", [b"quit"]),
        (b"a b c d e f g h", b"a", [b"b", b"c", b"d", b"e", b"f", b"g", b"h"]),
    ],
)
def test_a_line_is_split_at_each_single_space(line: bytes, command: bytes, arguments: list[bytes]) -> None:
    assert parse(line + b"\r\n") == [[command, *arguments]]


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (b"\n", Status.BAD_EOL),
        (b"quit\n", Status.BAD_EOL),
        (b"qu\nit\r\n", Status.BAD_EOL),
        (b"   \n", Status.BAD_EOL),
        (b"\r\n", Status.BAD_REQUEST),
        (b"    \r\n", Status.BAD_REQUEST),
        (b"\r\r\n", Status.BAD_REQUEST),
        (b"quit\rx", Status.BAD_REQUEST),
        (b"quit\r\r", Status.BAD_REQUEST),
        (b"quit\t\r\n", Status.BAD_REQUEST),
        (b"quit\0", Status.BAD_REQUEST),
        (b"quit\x7f", Status.BAD_REQUEST),
        (b"caf\xc3\xa9", Status.BAD_REQUEST),
        (b"\xff\n", Status.BAD_REQUEST),  # the first fault in the order of the bytes
        (b"\n\xff", Status.BAD_EOL),
    ],
)
def test_a_fault_is_seen_at_once(stream: bytes, status: Status) -> None:
    assert parse(stream) == [status]
    assert parse(*(bytes([byte]) for byte in stream)) == [status]


def test_what_came_before_a_fault_is_parsed() -> None:
    assert parse(b"help\r\nquit\n") == [[b"help"], Status.BAD_EOL]


@pytest.mark.parametrize("stream", [b"", b"qui", b"quit", b"quit\r"])
def test_an_unfinished_line_is_waited_on(stream: bytes) -> None:
    assert parse(stream) == []


def test_a_line_of_exactly_the_limit_is_a_request() -> None:
    (request,) = parse(b"x" * MAX_LINE_BYTES + b"\r\n")
    assert request == [b"x" * 256 + b"x"]


@pytest.mark.parametrize("piece_bytes", [MIB, 8192])
def test_one_byte_over_the_limit_is_a_bad_request_before_the_line_ends(piece_bytes: int) -> None:
    pieces = [b"x" * piece_bytes] * (MAX_LINE_BYTES // piece_bytes)
    assert parse(*pieces) == []
    assert parse(*pieces, b"x") == [Status.BAD_REQUEST]
    assert parse(*pieces, b"\n") == [Status.BAD_EOL]


@pytest.mark.parametrize("piece_bytes", [1, 50, 103])
def test_a_limit_below_what_is_taken_as_it_is_holds_however_the_line_is_cut(piece_bytes: int) -> None:
    for count, fits in ((100, True), (101, False)):
        parser, stream = Parser(longest_line=100), b"x" * count + b"\r\n"
        parsed: list[list[bytes] | Status | None] = []
        try:
            for at in range(0, len(stream), piece_bytes):
                parser.receive_data(stream[at : at + piece_bytes])
                parsed.append(parser.next_request())
        except ProtocolError as error:
            parsed.append(error.status)
        assert parsed[-1] == ([b"x" * 100] if fits else Status.BAD_REQUEST)


def test_the_limit_is_for_a_line_and_not_for_all_of_them() -> None:
    line = b"x" * (5 * MIB) + b"\r\n"
    assert [type(request) for request in parse(line, line)] == [list, list]


def test_a_long_line_is_not_held() -> None:
    parser, most = Parser(), 0
    for _ in range(1000):
        parser.receive_data(b"get_metadata " + b"n" * 8000)
        assert parser.next_request() is None
        most = max(most, parser.held_bytes)
    assert most <= 4096


@pytest.mark.parametrize(
    ("line", "abridged"),
    [
        (b"get_metadata " + b"a" * 5000, b"get_metadata " + b"a" * 256 + b"x"),
        (b"get_metadata " + b"a" * 5000 + b"/b", b"get_metadata " + b"a" * 256 + b"/"),
        (b"get_metadata " + b"a" * 5000 + b"\\b", b"get_metadata " + b"a" * 256 + b"\\"),
        (b"get_slice f " + b"0" * 5000 + b"7 9", b"get_slice f 07 9"),
        (b"get_slice f " + b"0" * 5000 + b"raw", b"get_slice f 0raw"),
        (b"get_slice f " + b"1" * 5000, b"get_slice f " + b"1" * 256),
        (b"get_slice f " + b"1" * 5000 + b"-", b"get_slice f " + b"1" * 256 + b"x"),
        (b" " * 5000, b"     "),
        (b" " * 5000 + b"q", b"     x"),
        (b"get_metadata " + b"0" * 300, b"get_metadata " + b"0" * 256),  # a name is no number
    ],
)
def test_a_long_line_is_abridged_to_one_with_the_same_answer(line: bytes, abridged: bytes) -> None:
    assert abridge(line) == abridged
    assert abridge(abridged) == abridged


@pytest.mark.parametrize("name", [b"f", b"a.b", b"...", b".hidden", b"!~", b"a" * 300, b"C:", b"-rf", b"$x"])
def test_a_name_is_printable_ascii(name: bytes) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"a/b", b"/", b"a\\b", b"a b", b"a\tb", b"\xe9", b"a\n", b"\x7f"]
)
def test_what_could_lead_elsewhere_or_break_a_line_is_no_name(name: bytes) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(("token", "number"), [(b"0", 0), (b"007", 7), (b"18446744073709551616", 1 << 64)])
def test_a_number_is_decimal_and_of_any_size(token: bytes, number: int) -> None:
    assert maybe_number(token) == number


@pytest.mark.parametrize("token", [b"", b"-1", b"+1", b"1.0", b"1e3", b"0x1", b"1_000", b"\xb2", b" 1"])
def test_what_only_looks_like_a_number_is_none(token: bytes) -> None:
    assert maybe_number(token) is None
