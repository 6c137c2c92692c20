"""The client against the real server, and against servers that lie, stall, or speak something else."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

import hftp
from hftp.constants import Status
from hftp.download import download
from tests.hftp.conftest import make_data
from tests.hftp.serving import PATIENCE_SECONDS, python, receive_all, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.hftp.serving import RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One for all of these: none of them changes it."""
    with running_server(make_data(tmp_path_factory.mktemp("shared") / "data")) as server:
        yield server


def test_each_command_has_a_method(server: RunningServer) -> None:
    with hftp.Client(server.host, server.port) as client:
        assert client.server == f"127.0.0.1:{server.port}"
        assert client.listing() == ["f", "huge", "mib"]
        assert client.size("f") == 41
        assert client.read_slice("f", 5, 20) == b"calor que hace hoy, "
        assert client.help() == ["get_file_listing", "get_metadata", "get_slice", "help", "quit"]


@pytest.mark.parametrize("raw", [True, False, None])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 200_000, 1 << 20])
def test_a_slice_comes_as_it_is_in_either_form(server: RunningServer, size: int, raw: bool | None) -> None:
    mib = (server.directory / "mib").read_bytes()
    with hftp.Client(server.host, server.port) as client:
        assert client.read_slice("mib", 0, size, raw) == mib[:size]
        assert client.size("f") == 41  # the connection is where it should be


def test_after_an_error_of_the_request_one_can_go_on(server: RunningServer) -> None:
    with hftp.Client(server.host, server.port) as client:
        with pytest.raises(hftp.AnswerError) as caught:
            client.size("missing")
        assert caught.value.status is Status.FILE_NOT_FOUND
        with pytest.raises(hftp.AnswerError) as caught:
            client.read_slice("f", 40, 2)
        assert caught.value.status is Status.OFFSET_EXCEEDS_SIZE
        assert client.size("f") == 41


@pytest.mark.parametrize("name", ["../f", "a/b", "a\\b", "..", ".", "", "a b", "a\r\nquit", "caf\xe9"])
def test_a_name_that_can_not_be_is_refused_before_it_is_sent(server: RunningServer, name: str) -> None:
    with hftp.Client(server.host, server.port) as client:
        for ask in (
            client.size,
            lambda name: client.read_slice(name, 0, 0),
            lambda name: download(client, name),
        ):
            with pytest.raises(hftp.NameRefusedError):
                ask(name)
        assert client.size("f") == 41


def test_nobody_listens() -> None:
    with socket.socket() as bound:  # and does not listen, so nobody else can
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(hftp.ConnectError, match="ECONNREFUSED"):
            hftp.Client("127.0.0.1", bound.getsockname()[1])


def test_nobody_has_this_name() -> None:
    with pytest.raises(hftp.UnknownHostError, match=r"nobody\.invalid"):
        hftp.Client("nobody.invalid")


def test_a_full_backlog_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                sock = stack.enter_context(socket.socket())
                sock.setblocking(False)
                sock.connect_ex(address)
            with pytest.raises(hftp.AnswerTimeoutError, match=r"for the connection for 0\.2 s"):
                hftp.Client("127.0.0.1", address[1], timeout_s=0.2)


# Servers that are none. Each test gives what the server says, byte for byte.


@contextlib.contextmanager
def saying(
    *answers: bytes, then: Callable[[socket.socket], None] = socket.socket.close
) -> Iterator[hftp.Client]:
    """Connect a client to a server that gives one answer a request, whatever was asked."""

    def serve() -> None:
        sock, _ = listener.accept()
        for answer in answers:
            sock.recv(65536)
            sock.sendall(answer)
        then(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        client = hftp.Client("127.0.0.1", listener.getsockname()[1], timeout_s=PATIENCE_SECONDS)
        try:
            yield client
        finally:
            client.close()
            thread.join()


def wait_for_end(sock: socket.socket) -> None:
    """Say nothing until the client leaves."""
    with sock, contextlib.suppress(ConnectionResetError):
        receive_all(sock)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"220 mail.example ESMTP\r\n",
        b"-ERR unknown command\r\n",
        b"0 OK\n",
        b"OK\r\n",
        b"0\tOK\r\n",
        b"-1 OK\r\n",
        b"999 NO\r\n",
        b"\x16\x03\x01\x00\xa5\n",
        b"0" * 5000,
        b"0 OK\r\nmany\r\n",
        b"0 OK\r\n-1\r\n",
        b"0 OK\r\n41\n",
        b"0 OK\r\n\r\n",
    ],
)
def test_a_wrong_size_answer_is_not_hftp(answer: bytes) -> None:
    with (
        saying(answer, then=wait_for_end) as client,
        pytest.raises(hftp.NotHFTPError, match="not an HFTP server"),
    ):
        client.size("f")


@pytest.mark.parametrize("answer", [b"", b"0", b"0 OK", b"0 OK\r\n", b"0 OK\r\n4"])
def test_a_size_that_ends_early_is_truncated(answer: bytes) -> None:
    with saying(answer) as client, pytest.raises(hftp.TruncatedError, match="truncated"):
        client.size("f")


def test_a_connection_that_opens_and_dies_is_explained() -> None:
    """So does a published container port in front of a server that listens on 127.0.0.1 only."""
    with saying(b"") as client, pytest.raises(hftp.TruncatedError, match=r"closed it without a word.*proxy"):
        client.listing()


def test_a_server_that_says_nothing_times_out() -> None:
    with saying(b"", then=wait_for_end) as client, pytest.raises(hftp.AnswerTimeoutError, match=r"0\.1 s"):
        client._wire.timeout_s = 0.1
        client.size("f")


def say_byte_by_byte(sock: socket.socket) -> None:
    """Never end a line, until the client leaves."""
    with sock, contextlib.suppress(OSError):
        for _ in range(1000):
            sock.sendall(b"0")
            time.sleep(0.02)


def test_a_line_that_comes_byte_by_byte_has_no_more_time_than_another() -> None:
    """Each byte within the time, the line never: after 1,024 it would be no HFTP."""
    with saying(b"", then=say_byte_by_byte) as client, pytest.raises(hftp.AnswerTimeoutError):
        client._wire.timeout_s = 0.3
        client.size("f")


@pytest.mark.parametrize(
    "answer",
    [
        b"0 OK\r\nY2Fsb3I\r\n",  # no padding
        b"0 OK\r\nY2Fs!3I=\r\n",  # no base64
        b"0 OK\r\nY2Fs=3I=\r\n",  # padding within
        b"0 OK\r\nY2Fsb3I=\n\n",
        b"0 OK\r\nY2Fsb3I=XX",
        b"0 OK\r\nY2Fsb3Jz\r\n",  # 6 bytes, not 5
    ],
)
def test_base64_that_is_none_or_of_another_size_is_refused(answer: bytes) -> None:
    with saying(answer, then=wait_for_end) as client, pytest.raises(hftp.NotHFTPError):
        client.read_slice("f", 5, 5, raw=False)


@pytest.mark.parametrize(
    "answer",
    [
        b"0 OK\r\nContent-Length: 6\r\n\r\ncalors",
        b"0 OK\r\nContent-Type: x\r\n\r\ncalor",
        b"0 OK\r\nContent-Length: 5\r\ncalor\n",
        b"0 OK\r\ncalor\r\n",
    ],
)
def test_a_raw_slice_of_another_size_is_refused(answer: bytes) -> None:
    with saying(answer, then=wait_for_end) as client, pytest.raises(hftp.NotHFTPError):
        client.read_slice("f", 5, 5, raw=True)


@pytest.mark.parametrize(
    "answer", [b"0 OK\r\nContent-Length: 5\r\n\r\ncalo", b"0 OK\r\nContent-Length: 5\r\n"]
)
def test_a_raw_slice_that_ends_early_is_truncated(answer: bytes) -> None:
    with (
        saying(answer) as client,
        pytest.raises(hftp.TruncatedError, match=r"of the (slice|header of a raw slice):"),
    ):
        client.read_slice("f", 5, 5, raw=True)


def test_a_server_of_the_first_edition_is_asked_for_base64() -> None:
    with saying(
        b"201 INVALID ARGUMENTS FOR COMMAND\r\n", b"0 OK\r\nY2Fsb3I=\r\n", b"0 OK\r\nY2Fs\r\n"
    ) as client:
        assert client.read_slice("f", 5, 5) == b"calor"
        assert client.read_slice("f", 5, 3) == b"cal"  # and not asked for raw again


@pytest.mark.parametrize(
    "name",
    [b"../../etc/passwd", b"/etc/passwd", b"a\\b", b"..", b"a b", b"\x1b[2J", b"caf\xc3\xa9", b"a" * 256],
)
def test_a_listed_name_that_could_lead_elsewhere_is_refused(name: bytes) -> None:
    with (
        saying(b"0 OK\r\nfine\r\n" + name + b"\r\n\r\n") as client,
        pytest.raises(hftp.NameRefusedError) as caught,
    ):
        client.listing()
    assert "\x1b" not in str(caught.value)


def test_a_listing_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some 300 MiB of memory; here, after less."""
    monkeypatch.setattr("hftp.client._MAX_LISTING_BYTES", 1 << 20)

    def list_on(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            while True:
                sock.sendall(b"name\r\n" * 10_000)

    with (
        saying(b"0 OK\r\n", then=list_on) as client,
        pytest.raises(hftp.NotHFTPError, match=r"the end of the listing after 12\d{3} names"),
    ):
        client.listing()


def test_a_listing_that_ends_early_is_truncated() -> None:
    with saying(b"0 OK\r\na\r\nb\r\n") as client, pytest.raises(hftp.TruncatedError):
        client.listing()


def test_a_web_server_is_not_an_hftp_server() -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(hftp.NotHFTPError), hftp.Client("127.0.0.1", web.server_port) as client:
                client.listing()
        finally:
            web.shutdown()
            thread.join()


@pytest.mark.parametrize("without", ["", "import sys; sys.modules['pybase64'] = None; "])
def test_base64_is_checked_with_and_without_a_fast_decoder(without: str) -> None:
    texts = [b"YWJjZA==", b"YWJj", b"YWJjZA=", b"YW!jZA==", b"YW=jZA=="]
    program = f"{without}from hftp.decode import decode; print([decode(text, 4) for text in {texts}])"
    assert python("-c", program).stdout == "[b'abcd', None, None, None, None]\n"
