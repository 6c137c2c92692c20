"""What clients do to a server. After each test, the fixture finds no descriptor or thread left."""

from __future__ import annotations

import contextlib
import signal
import socket
import statistics
import threading
import time
from pathlib import Path

import pytest

from tests.hftp.conftest import HUGE_BYTES, STRATEGIES
from tests.hftp.serving import (
    RunningServer,
    open_descriptors,
    receive_all,
    receive_exactly,
    reset,
    running_server,
    wait_until,
)

SIZE_OF_F = b"0 OK\r\n41\r\n"
MIB = 1 << 20


def worst_answer_s(server: RunningServer, count: int = 50) -> float:
    """Ask for small things over one connection; give the time that the slowest answer took, in seconds."""
    times = []
    with server.connect() as sock:
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(b"get_metadata f\r\n")
            assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
            times.append(time.perf_counter() - began)
    return max(times)


def test_a_client_gets_its_answers_in_order(server: RunningServer) -> None:
    mib = (server.directory / "mib").read_bytes()
    stream = b"get_metadata f\r\nget_slice mib 0 1048576 raw\r\nnonsense\r\nget_slice f 5 20\r\nquit\r\n"
    assert server.ask(stream) == (
        SIZE_OF_F
        + b"0 OK\r\nContent-Length: 1048576\r\n\r\n"
        + mib
        + b"200 NO SUCH COMMAND\r\n"
        + b"0 OK\r\nY2Fsb3IgcXVlIGhhY2UgaG95LCA=\r\n"
        + b"0 OK\r\n"
    )


def test_a_size_is_never_older_than_the_request(concurrent_server: RunningServer) -> None:
    """Also when many ask for it in the same turn of the loop, some before it changes and some after."""
    path = concurrent_server.directory / "changing"
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(concurrent_server.connect()) for _ in range(20)]
        own = stack.enter_context(concurrent_server.connect())
        for size in range(100):
            for other in others[::2]:
                other.sendall(b"get_metadata changing\r\n")
            path.write_bytes(b"x" * size)
            for other in others[1::2]:
                other.sendall(b"get_metadata f\r\n")
            own.sendall(b"get_metadata changing\r\n")
            answer = b"0 OK\r\n%d\r\n" % size
            assert receive_exactly(own, len(answer)) == answer
            for other in others[1::2]:
                assert receive_exactly(other, len(SIZE_OF_F)) == SIZE_OF_F
        for other in others[::2]:
            other.sendall(b"quit\r\n")
            assert receive_all(other).endswith(b"\r\n0 OK\r\n")


def test_after_quit_the_server_closes(server: RunningServer) -> None:
    with server.connect() as sock:
        sock.sendall(b"quit\r\nhelp\r\n")
        assert receive_all(sock) == b"0 OK\r\n"


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_a_client_vanishes_right_after_sending_two_commands(server: RunningServer, leave: object) -> None:
    """The one difficulty that the original report names."""
    for _ in range(50):
        sock = server.connect()
        sock.sendall(b"get_metadata f\r\nget_slice mib 0 1048576\r\n")
        leave(sock)  # type: ignore[operator]


def test_a_client_that_half_closes_gets_every_answer(server: RunningServer) -> None:
    assert server.ask(b"get_metadata f\r\n" * 1000) == SIZE_OF_F * 1000


def test_a_client_that_half_closes_in_the_middle_of_a_line_gets_the_answers_before(
    server: RunningServer,
) -> None:
    assert server.ask(b"get_metadata f\r\nget_meta") == SIZE_OF_F


def test_a_client_leaves_without_a_word(server: RunningServer) -> None:
    assert server.ask(b"") == b""


@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_client_resets_in_the_middle_of_a_slice(server: RunningServer, form: bytes) -> None:
    for _ in range(20):
        sock = server.connect()
        sock.sendall(b"get_slice huge 0 %d%b\r\n" % (HUGE_BYTES, form))
        receive_exactly(sock, 100_000)
        reset(sock)


def test_a_connection_is_reset_before_it_is_accepted(server: RunningServer) -> None:
    server.process.send_signal(signal.SIGSTOP)
    for _ in range(20):
        reset(server.connect())
    server.process.send_signal(signal.SIGCONT)
    assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F


def test_a_client_that_sends_byte_by_byte_is_served_and_so_are_others(
    concurrent_server: RunningServer,
) -> None:
    with concurrent_server.connect() as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"get_metadata f\r\n":
            slow.sendall(bytes([byte]))
            assert worst_answer_s(concurrent_server, 5) < 0.5
            time.sleep(0.02)
        assert receive_exactly(slow, len(SIZE_OF_F)) == SIZE_OF_F


def test_five_hundred_clients_at_once_are_all_served(server: RunningServer) -> None:
    """They come while the server does nothing: the system's queue takes them all, none has to come again."""
    server.process.send_signal(signal.SIGSTOP)
    socks = [server.connect() for _ in range(500)]
    for sock in socks:
        sock.sendall(b"get_slice mib 0 10000 raw\r\nquit\r\n")
    server.process.send_signal(signal.SIGCONT)
    answers = {receive_all(sock) for sock in socks}
    for sock in socks:
        sock.close()
    mib = (server.directory / "mib").read_bytes()
    assert answers == {b"0 OK\r\nContent-Length: 10000\r\n\r\n" + mib[:10000] + b"0 OK\r\n"}


@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_client_that_never_reads_costs_little_and_delays_nobody(
    concurrent_server: RunningServer, form: bytes
) -> None:
    before_kib = concurrent_server.resident_kib()
    with concurrent_server.connect() as sock:
        sock.sendall(b"get_slice huge 0 %d%b\r\n" % (HUGE_BYTES, form))
        assert worst_answer_s(concurrent_server, 200) < 0.5
        # The processes of those who were answered may still be about to end.
        wait_until(lambda: concurrent_server.resident_kib() - before_kib < 4 * 1024, "under 4 MiB")


def test_a_client_that_reads_a_huge_slice_delays_nobody(concurrent_server: RunningServer) -> None:
    """Each piece is followed by everyone else's turn."""
    with concurrent_server.connect() as sock:
        sock.sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)
        reader = threading.Thread(target=receive_exactly, args=(sock, 64 * MIB))
        reader.start()
        assert worst_answer_s(concurrent_server, 100) < 0.5
        reader.join()


def test_a_client_that_sends_and_never_reads_is_not_read_from(concurrent_server: RunningServer) -> None:
    """And what it sent is answered, every request, when it reads."""
    before_kib = concurrent_server.resident_kib()
    request = b"get_slice mib %b 3000\r\n" % (b"0" * 2000)
    stream = memoryview(request * 300)
    with concurrent_server.connect(receive_buffer_bytes=65536) as sock:
        sock.setblocking(False)
        sent = 0
        refused_in_a_row = 0
        while refused_in_a_row < 10:
            try:
                sent += sock.send(stream[sent % len(request) :])
                refused_in_a_row = 0
            except BlockingIOError:
                refused_in_a_row += 1
                time.sleep(0.002)
        assert worst_answer_s(concurrent_server, 20) < 0.5
        assert concurrent_server.resident_kib() - before_kib < 8 * 1024
        sock.setblocking(True)
        answer = concurrent_server.ask(request)
        received = receive_exactly(sock, len(answer) * (sent // len(request)))
        assert received == answer * (sent // len(request))


def test_a_name_of_5_mib_is_not_found(server: RunningServer) -> None:
    before_kib = server.resident_kib()
    assert server.ask(b"get_metadata " + b"n" * (5 * MIB) + b"\r\nhelp\r\n").startswith(
        b"202 FILE NOT FOUND\r\n0 OK"
    )
    assert server.resident_kib() - before_kib < 3 * 1024


def test_a_line_of_16_mib_without_end_is_refused_and_not_held(server: RunningServer) -> None:
    """The answer arrives although the client sends on: the server reads, and drops, a while."""
    before_kib = server.resident_kib()
    with server.connect() as sock:
        sock.sendall(b"x" * (16 * MIB))
        assert receive_all(sock) == b"101 BAD REQUEST\r\n"
    assert server.resident_kib() - before_kib < 3 * 1024


@pytest.mark.parametrize(
    ("stream", "answer"),
    [
        (b"get_file_listing\n", b"100 BAD EOL\r\n"),
        (b"\r\n", b"101 BAD REQUEST\r\n"),
        (b"   \r\n", b"101 BAD REQUEST\r\n"),
        (b"help\rhelp", b"101 BAD REQUEST\r\n"),
        (b"get_metadata \xc3\xa9", b"101 BAD REQUEST\r\n"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"200 NO SUCH COMMAND\r\n200 NO SUCH COMMAND\r\n101 BAD REQUEST\r\n",
        ),
    ],
)
def test_nonsense_is_answered_at_once_and_the_server_closes(
    server: RunningServer, stream: bytes, answer: bytes
) -> None:
    with server.connect() as sock:
        sock.sendall(stream)
        assert receive_all(sock) == answer


@pytest.mark.parametrize(
    "name", [b"../f", b"..", b".", b"/etc/passwd", b"data/../f", b"..\\f", b"./f", b"directory/f"]
)
def test_a_name_that_leads_elsewhere_is_no_name(server: RunningServer, name: bytes) -> None:
    assert server.ask(b"get_metadata %b\r\nget_slice %b 0 1 raw\r\n" % (name, name)) == (
        b"201 INVALID ARGUMENTS FOR COMMAND\r\n" * 2
    )


def test_a_client_that_stays_after_a_fatal_error_is_sent_away(data: Path) -> None:
    """After two seconds: so long for all strategies at once."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_server(data, "--strategy", name)) for name in STRATEGIES]
        for sock in [stack.enter_context(server.connect()) for server in servers]:
            sock.sendall(b"\r\n")
            assert receive_all(sock) == b"101 BAD REQUEST\r\n"
        for server in servers:
            wait_until(lambda: open_descriptors(server.pid) == server.descriptors_at_rest, "sent away")  # noqa: B023
            wait_until(lambda: not server.children(), "sent away")  # noqa: B023


def test_a_server_does_not_compute_while_clients_are_idle(concurrent_server: RunningServer) -> None:
    socks = [concurrent_server.connect() for _ in range(20)]
    socks[0].sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)  # never read
    time.sleep(0.1)
    began_s = concurrent_server.cpu_seconds()
    time.sleep(0.2)
    assert concurrent_server.cpu_seconds() - began_s < 0.05
    for sock in socks:
        sock.close()


def test_a_server_does_not_compute_for_clients_that_have_left(server: RunningServer) -> None:
    """Without quit, with a request half sent, in the middle of an answer, by closing and by reset."""
    for stream in (b"", b"get_meta", b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES):
        for leave in (socket.socket.close, reset):
            sock = server.connect()
            sock.sendall(stream)
            leave(sock)
    assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F
    wait_until(lambda: not server.children(), "their processes have ended")
    began_s = server.cpu_seconds()
    time.sleep(0.2)
    assert server.cpu_seconds() - began_s < 0.05


def test_small_answers_are_not_held_back(server: RunningServer) -> None:
    """Without TCP_NODELAY, each would wait for a delayed ACK: 40 ms."""
    times = []
    with server.connect() as sock:
        for _ in range(20):
            began = time.perf_counter()
            sock.sendall(b"get_metadata f\r\nget_slice f 0 41\r\n")
            receive_exactly(sock, len(SIZE_OF_F) + 6 + 56 + 2)
            times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.02


@pytest.mark.parametrize("server", ["poll", "epoll", "asyncio"], indirect=True)
def test_the_process_has_one_thread(server: RunningServer) -> None:
    with server.connect():
        assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1
