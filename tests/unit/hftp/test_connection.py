"""One client's session: bytes in, bytes out, no socket."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest

from hftp.connection import Connection
from hftp.constants import ANSWER_PIECE_BYTES
from hftp.errors import BrokenAnswerError
from hftp.files import DataDirectory
from tests.hftp.serving import open_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BIRRA = b"!Que calor que hace hoy, pinta una birra!"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "f").write_bytes(BIRRA)
    (tmp_path / "empty").touch()
    (tmp_path / "two words").touch()
    (tmp_path / "directory").mkdir()
    return tmp_path


@pytest.fixture
def directory(path: Path) -> Iterator[DataDirectory]:
    with DataDirectory(str(path)) as directory:
        yield directory


@pytest.fixture
def connection(directory: DataDirectory) -> Iterator[Connection]:
    connection = Connection(directory)
    yield connection
    connection.close()


def take(connection: Connection, most: int = 1 << 30) -> bytes:
    """Take what a connection has to send, as a client that reads at once."""
    taken = b""
    while connection.wants_output and len(taken) < most:
        piece = bytes(connection.data_to_send())
        connection.bytes_sent(len(piece))
        taken += piece
    return taken


def answer(connection: Connection, stream: bytes) -> bytes:
    connection.receive_data(stream)
    return take(connection)


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"get_file_listing", b"0 OK\r\nempty\r\nf\r\n\r\n"),
        (b"get_metadata f", b"0 OK\r\n41\r\n"),
        (b"get_metadata empty", b"0 OK\r\n0\r\n"),
        (b"get_slice f 5 20", b"0 OK\r\nY2Fsb3IgcXVlIGhhY2UgaG95LCA=\r\n"),
        (b"get_slice f 5 0", b"0 OK\r\n\r\n"),
        (b"get_slice f 41 0", b"0 OK\r\n\r\n"),
        (b"get_slice f 0041 0000", b"0 OK\r\n\r\n"),
        (b"get_slice f 5 20 raw", b"0 OK\r\nContent-Length: 20\r\n\r\ncalor que hace hoy, "),
        (b"get_slice f 5 0 raw", b"0 OK\r\nContent-Length: 0\r\n\r\n"),
        (b"help", b"0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n"),
        (b"quit", b"0 OK\r\n"),
    ],
)
def test_each_command_is_answered(connection: Connection, request_line: bytes, expected: bytes) -> None:
    assert answer(connection, request_line + b"\r\n") == expected


NO_SUCH_COMMAND = b"200 NO SUCH COMMAND\r\n"
INVALID_ARGUMENTS = b"201 INVALID ARGUMENTS FOR COMMAND\r\n"
FILE_NOT_FOUND = b"202 FILE NOT FOUND\r\n"
OFFSET_EXCEEDS_SIZE = b"203 OFFSET EXCEEDS FILE SIZE\r\n"


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET_METADATA f", NO_SUCH_COMMAND),
        (b"nonsense ../f -1", NO_SUCH_COMMAND),
        (b" quit", NO_SUCH_COMMAND),
        (b"quit now", INVALID_ARGUMENTS),
        (b"quit ", INVALID_ARGUMENTS),
        (b"get_file_listing .", INVALID_ARGUMENTS),
        (b"get_metadata", INVALID_ARGUMENTS),
        (b"get_metadata  f", INVALID_ARGUMENTS),
        (b"get_metadata f f", INVALID_ARGUMENTS),
        (b"get_metadata ..", INVALID_ARGUMENTS),
        (b"get_metadata ../f", INVALID_ARGUMENTS),
        (b"get_metadata directory/", INVALID_ARGUMENTS),
        (b"get_metadata " + b"a" * 9000 + b"/", INVALID_ARGUMENTS),
        (b"get_slice f 0", INVALID_ARGUMENTS),
        (b"get_slice f -1 1", INVALID_ARGUMENTS),
        (b"get_slice f 0 x", INVALID_ARGUMENTS),
        (b"get_slice f 0 1 ", INVALID_ARGUMENTS),
        (b"get_slice f 0 1 RAW", INVALID_ARGUMENTS),
        (b"get_slice f 0 1 raw raw", INVALID_ARGUMENTS),
        (b"get_slice f 0 " + b"1" * 9000 + b"x", INVALID_ARGUMENTS),
        (b"get_slice missing -1 1", INVALID_ARGUMENTS),
        (b"get_metadata missing", FILE_NOT_FOUND),
        (b"get_metadata directory", FILE_NOT_FOUND),
        (b"get_metadata " + b"a" * 256, FILE_NOT_FOUND),
        (b"get_metadata " + b"a" * 9000, FILE_NOT_FOUND),
        (b"get_slice missing 99 99", FILE_NOT_FOUND),
        (b"get_slice f 0 42", OFFSET_EXCEEDS_SIZE),
        (b"get_slice f 42 0", OFFSET_EXCEEDS_SIZE),
        (b"get_slice f 1 18446744073709551615", OFFSET_EXCEEDS_SIZE),
        (b"get_slice f 0 " + b"1" * 9000, OFFSET_EXCEEDS_SIZE),
    ],
)
def test_the_first_check_that_fails_is_answered_and_the_session_goes_on(
    connection: Connection, request_line: bytes, expected: bytes
) -> None:
    assert answer(connection, request_line + b"\r\n") == expected
    assert answer(connection, b"get_metadata f\r\n") == b"0 OK\r\n41\r\n"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"quit\n", b"100 BAD EOL\r\n"),
        (b"\r\n", b"101 BAD REQUEST\r\n"),
        (b"get_metadata \xe9\r\n", b"101 BAD REQUEST\r\n"),
    ],
)
def test_a_fatal_error_is_the_last_answer(connection: Connection, stream: bytes, expected: bytes) -> None:
    assert answer(connection, stream + b"help\r\n") == expected
    assert connection.finished
    assert not connection.wants_input


def test_nothing_after_quit_is_answered(connection: Connection) -> None:
    assert answer(connection, b"get_metadata f\r\nquit\r\nhelp\r\n") == b"0 OK\r\n41\r\n0 OK\r\n"
    assert connection.finished


def test_a_client_that_half_closes_gets_every_answer(connection: Connection) -> None:
    connection.receive_data(b"get_metadata f\r\nget_metadata empty\r\nget_meta")
    connection.receive_data(b"")
    assert take(connection) == b"0 OK\r\n41\r\n0 OK\r\n0\r\n"
    assert connection.finished


def test_a_client_that_half_closes_having_said_nothing_is_finished_with(connection: Connection) -> None:
    connection.receive_data(b"")
    assert connection.finished


def test_a_session_wants_input_or_output_but_not_both(connection: Connection) -> None:
    assert (connection.wants_input, connection.wants_output) == (True, False)
    connection.receive_data(b"help\r\n")
    assert (connection.wants_input, connection.wants_output) == (False, True)
    take(connection)
    assert (connection.wants_input, connection.wants_output) == (True, False)


def test_small_answers_leave_in_one_piece(connection: Connection) -> None:
    connection.receive_data(b"get_metadata f\r\n" * 100)
    assert bytes(connection.data_to_send()) == b"0 OK\r\n41\r\n" * 100


def test_what_was_not_taken_is_offered_again(connection: Connection) -> None:
    connection.receive_data(b"get_metadata f\r\n")
    assert bytes(connection.data_to_send()) == b"0 OK\r\n41\r\n"
    connection.bytes_sent(3)
    assert bytes(connection.data_to_send()) == b"K\r\n41\r\n"


@pytest.mark.parametrize(
    "size", [1, 2, 3, ANSWER_PIECE_BYTES - 7, ANSWER_PIECE_BYTES // 4 * 3, ANSWER_PIECE_BYTES, 1_000_001]
)
def test_a_slice_is_the_same_however_many_pieces_it_takes(
    connection: Connection, path: Path, size: int
) -> None:
    contents = os.urandom(size + 20)
    (path / "f").write_bytes(contents)
    encoded = base64.b64encode(contents[7 : 7 + size])
    assert answer(connection, b"get_slice f 7 %d\r\n" % size) == b"0 OK\r\n" + encoded + b"\r\n"
    raw = answer(connection, b"get_slice f 7 %d raw\r\n" % size)
    assert raw == b"0 OK\r\nContent-Length: %d\r\n\r\n" % size + contents[7 : 7 + size]


@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_huge_slice_is_made_as_it_is_taken(connection: Connection, path: Path, form: bytes) -> None:
    os.truncate(path / "f", 10 << 30)
    connection.receive_data(b"get_slice f 0 %d%b\r\n" % (10 << 30, form))
    for _ in range(10):
        assert 0 < len(connection.data_to_send()) <= ANSWER_PIECE_BYTES
        connection.bytes_sent(len(connection.data_to_send()))
    assert connection.held_bytes <= ANSWER_PIECE_BYTES


def test_requests_wait_while_answers_do(connection: Connection, directory: DataDirectory, path: Path) -> None:
    """Closing gives back the one file that is open: the second slice was not begun."""
    before = open_descriptors()
    os.truncate(path / "f", 1 << 30)
    connection.receive_data(b"get_slice f 0 1000000000\r\n" * 300)
    connection.data_to_send()
    assert len(open_descriptors() - before) == 1
    connection.close()
    directory.kept.drop()
    assert open_descriptors() == before


@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_file_that_shrinks_breaks_its_answer(connection: Connection, path: Path, form: bytes) -> None:
    os.truncate(path / "f", 1 << 20)
    connection.receive_data(b"get_slice f 0 %d%b\r\n" % (1 << 20, form))
    connection.bytes_sent(len(connection.data_to_send()))
    os.truncate(path / "f", 1000)
    with pytest.raises(BrokenAnswerError, match="the file ends at"):
        connection.data_to_send()


def test_a_file_that_grows_is_sent_at_its_first_size(connection: Connection, path: Path) -> None:
    os.truncate(path / "f", 1 << 20)
    connection.receive_data(b"get_slice f 0 %d raw\r\n" % (1 << 20))
    connection.bytes_sent(len(connection.data_to_send()))
    os.truncate(path / "f", 1 << 21)
    head = len(b"0 OK\r\nContent-Length: 1048576\r\n\r\n")
    assert len(take(connection)) == head + (1 << 20) - ANSWER_PIECE_BYTES


@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_size_asked_for_behind_a_slice_is_true_after_it(
    connection: Connection, directory: DataDirectory, path: Path, form: bytes
) -> None:
    """So the client learns that the file has changed meanwhile, whatever others were told before."""
    other = Connection(directory)
    with directory.moment:
        assert answer(other, b"get_metadata f\r\n") == b"0 OK\r\n41\r\n"
        (path / "f").write_bytes(2 * BIRRA)
        assert answer(connection, b"get_slice f 0 41%b\r\nget_metadata f\r\n" % form).endswith(
            b"0 OK\r\n82\r\n"
        )


def test_a_directory_that_is_gone_can_not_be_listed(connection: Connection, path: Path) -> None:
    (path / "f").unlink()
    (path / "empty").unlink()
    (path / "two words").unlink()
    (path / "directory").rmdir()
    path.rmdir()
    assert answer(connection, b"get_file_listing\r\n") == b"199 INTERNAL SERVER ERROR\r\n"
    assert connection.finished


def test_a_long_listing_gives_others_their_turn(connection: Connection, path: Path) -> None:
    for number in range(1200):
        (path / f"file{number:04}").touch()
    connection.receive_data(b"get_file_listing\r\n")
    assert bytes(connection.data_to_send()) == b"0 OK\r\n"
    connection.bytes_sent(len(b"0 OK\r\n"))
    names = take(connection).split(b"\r\n")[:-2]
    assert len(names) == 1202
    assert names == sorted(names)


def test_a_file_that_can_not_be_read_is_the_servers_failure(connection: Connection, path: Path) -> None:
    (path / "f").chmod(0)
    if os.access(path / "f", os.R_OK):
        pytest.skip("root may read any file")
    assert answer(connection, b"get_slice f 0 1\r\n") == b"199 INTERNAL SERVER ERROR\r\n"
    assert connection.finished


def test_one_listing_is_made_a_turn(connection: Connection) -> None:
    """Each reads the whole directory, however little comes of it."""
    connection.receive_data(b"get_file_listing\r\n" * 3)
    assert bytes(connection.data_to_send()) == b"0 OK\r\nempty\r\nf\r\n\r\n"


def test_closing_in_the_middle_of_a_listing_gives_its_descriptors_back(
    connection: Connection, path: Path
) -> None:
    for number in range(1200):
        (path / f"file{number:04}").touch()
    before = open_descriptors()
    connection.receive_data(b"get_file_listing\r\n")
    connection.data_to_send()
    assert open_descriptors() != before
    connection.close()
    assert open_descriptors() == before
