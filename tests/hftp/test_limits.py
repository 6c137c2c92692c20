"""Each limit, on every strategy: who passes it is sent away, and nobody else notices."""

from __future__ import annotations

import base64
import contextlib
import resource
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hftp.conftest import HUGE_BYTES, STRATEGIES
from tests.hftp.serving import (
    RunningServer,
    open_descriptors,
    receive_all,
    receive_exactly,
    running_server,
    wait_until,
)
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_OF_F = b"0 OK\r\n41\r\n"
CONCURRENT = [name for name in STRATEGIES if name != "sequential"]


@pytest.fixture(params=STRATEGIES)
def impatient(data: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of each strategy that waits for nobody long."""
    times = ["--idle-time", "0.4", "--request-time", "0.4", "--answer-time", "0.4"]
    with running_server(data, "--strategy", request.param, *times) as server:
        yield server


def test_a_client_that_asks_nothing_is_sent_away(impatient: RunningServer) -> None:
    with impatient.connect() as sock:
        assert receive_all(sock) == b""


def test_a_client_that_has_asked_and_asks_no_more_is_sent_away(impatient: RunningServer) -> None:
    with impatient.connect() as sock:
        sock.sendall(b"get_metadata f\r\n")
        assert receive_all(sock) == SIZE_OF_F


def test_a_client_that_does_not_finish_its_request_is_told_and_sent_away(impatient: RunningServer) -> None:
    """However many bytes it sends: they are no request."""
    answer = b""
    with impatient.connect() as sock:
        sock.settimeout(0.02)
        for _ in range(500):
            with contextlib.suppress(OSError):
                sock.sendall(b"x")
            with contextlib.suppress(TimeoutError, ConnectionError):
                answer += sock.recv(100)
                break
    assert answer == b"101 BAD REQUEST\r\n"


@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_client_that_takes_nothing_of_its_answer_is_reset(impatient: RunningServer, form: bytes) -> None:
    with impatient.connect(receive_buffer_bytes=65536) as sock:
        sock.sendall(b"get_slice huge 0 %d%b\r\n" % (HUGE_BYTES, form))
        wait_until(lambda: _was_reset(sock), "the client was reset")


def _was_reset(sock: socket.socket) -> bool:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def test_a_client_that_takes_its_answer_slowly_is_not_sent_away(data: Path) -> None:
    """A little every 50 ms is progress, for longer than each limit."""
    times = ["--answer-time", "0.4", "--idle-time", "0.4"]
    with running_server(data, *times) as server, server.connect(receive_buffer_bytes=4096) as sock:
        sock.sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)
        for _ in range(20):
            time.sleep(0.05)
            receive_exactly(sock, 200_000)


def test_a_removed_file_is_soon_closed_though_its_client_stays(data: Path) -> None:
    (data / "short-lived").write_bytes(b"x" * 100_000)
    with running_server(data, "--answer-time", "0.4") as server, server.connect() as sock:
        sock.sendall(b"get_slice short-lived 0 100000 raw\r\nget_metadata f\r\n")
        receive_exactly(sock, len(b"0 OK\r\nContent-Length: 100000\r\n\r\n") + 100_000 + len(SIZE_OF_F))
        (data / "short-lived").unlink()
        wait_until(lambda: not _holds(server.process.pid, "short-lived"), "the file is closed")


def _holds(pid: int, name: str) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if name in str(descriptor.readlink()):
                return True
    return False


@pytest.mark.parametrize("strategy", CONCURRENT)
def test_more_clients_than_there_may_be_wait_until_others_leave(data: Path, strategy: str) -> None:
    flags = ["--strategy", strategy, "--max-clients", "2", "--max-per-address", "2"]
    with running_server(data, *flags) as server:
        server.says = "hftp: 2 of 2 places are taken: those that come now wait until others leave\n"
        here = [server.connect(), server.connect()]
        for sock in here:
            sock.sendall(b"get_metadata f\r\n")
            assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
        with server.connect() as waiting:
            waiting.sendall(b"get_metadata f\r\n")
            waiting.settimeout(0.1)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
            here.pop().close()
            waiting.settimeout(10)
            assert receive_exactly(waiting, len(SIZE_OF_F)) == SIZE_OF_F
        here.pop().close()


@pytest.mark.parametrize("strategy", CONCURRENT)
def test_one_address_leaves_places_to_others(data: Path, strategy: str) -> None:
    with running_server(data, "--strategy", strategy, "--max-per-address", "2", "-a", "127.0.0.2") as server:
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                sock = stack.enter_context(server.connect())
                sock.sendall(b"get_metadata f\r\n")
                assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
            with contextlib.suppress(ConnectionError), server.connect() as third:
                assert third.recv(1) == b""
            other = stack.enter_context(socket.socket())
            other.settimeout(10)
            other.bind(("127.0.0.3", 0))
            other.connect((server.host, server.port))
            other.sendall(b"get_metadata f\r\n")
            assert receive_exactly(other, len(SIZE_OF_F)) == SIZE_OF_F
        wait_until(lambda: open_descriptors(server.pid) == server.descriptors_at_rest, "all have left")
        wait_until(lambda: not server.children(), "all have left")


def test_a_line_may_be_made_shorter(data: Path) -> None:
    with running_server(data, "--max-line", "1K") as server:
        assert server.ask(b"get_metadata " + b"n" * 1000 + b"\r\n") == b"202 FILE NOT FOUND\r\n"
        assert server.ask(b"get_metadata " + b"n" * 1024) == b"101 BAD REQUEST\r\n"


def test_listings_that_are_not_taken_hold_no_more_than_they_may(data: Path) -> None:
    """Each holds its names while it is sent; one over the limit is the server's failure, and others go on."""
    for number in range(3000):
        (data / f"{number:0200}").touch()
    with running_server(data, "--max-memory", "1M") as server, contextlib.ExitStack() as stack:
        assert server.ask(b"get_file_listing\r\n").startswith(b"0 OK\r\n")
        for _ in range(3):
            sock = stack.enter_context(server.connect(receive_buffer_bytes=4096))
            sock.sendall(b"get_file_listing\r\n" * 50)
        wait_until(lambda: server.ask(b"get_file_listing\r\n").startswith(b"199 "), "the limit is passed")
        assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F


def test_a_hundred_clients_that_never_read_cost_little(data: Path) -> None:
    """What they did not take is not kept: it is made again when they do."""
    with running_server(data) as server, contextlib.ExitStack() as stack:
        before_kib = server.resident_kib()
        for number in range(100):
            sock = stack.enter_context(server.connect())
            form = b" raw" if number % 2 else b""
            sock.sendall(b"get_slice huge 0 %d%b\r\n" % (HUGE_BYTES, form))
            assert sock.recv(6)
        assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F
        assert server.resident_kib() - before_kib < 8 * 1024


def test_a_slow_client_gets_base64_whole_however_little_it_takes(data: Path) -> None:
    mib = (data / "mib").read_bytes()
    with running_server(data) as server, server.connect(receive_buffer_bytes=2048) as sock:
        (data / "large").write_bytes(mib * 8)
        expected = base64.b64encode((mib * 8)[5 : 5 + (7 << 20)])
        sock.sendall(b"get_slice large 5 %d\r\nquit\r\n" % (7 << 20))
        assert receive_all(sock) == b"0 OK\r\n" + expected + b"\r\n0 OK\r\n"


def test_what_comes_behind_quit_does_not_destroy_the_answers_before_it(data: Path) -> None:
    """Closed with bytes unread, a connection is reset, and what the client has not taken is lost."""
    mib = (data / "mib").read_bytes()
    with running_server(data) as server, server.connect(receive_buffer_bytes=4096) as sock:
        sock.sendall(b"get_slice mib 0 %d raw\r\nquit\r\n" % len(mib) + b"x" * 20_000)
        assert receive_all(sock).endswith(mib + b"0 OK\r\n")


def test_a_thousand_idle_clients_cost_little_and_leave_no_trace(data: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 8192:
        unavailable("root", "this user may not open so many descriptors")
    with running_server(data) as server:
        before_kib = server.resident_kib()
        socks = [server.connect() for _ in range(500)]
        assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F
        assert server.resident_kib() - before_kib < 500 * 2
        for sock in socks:
            sock.close()
        assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F
