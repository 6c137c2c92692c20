"""The protocol on every strategy, over real sockets: the fuzzer's inputs, and the answers of its model."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.session import cut, write_files
from tests.fuzz.test_corpus import inputs
from tests.hftp.conftest import HUGE_BYTES, STRATEGIES
from tests.hftp.serving import open_descriptors, receive_exactly, reset, running_server, wait_until
from tests.property.hftp.model import model_stream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hftp.serving import RunningServer


def answers(server: RunningServer, pieces: list[bytes]) -> bytes:
    """Send pieces, and end; the server may have closed before."""
    received = b""
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                received += piece
    return received


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_input_of_a_session_gets_the_answers_of_the_model(tmp_path: Path, strategy: str) -> None:
    write_files(tmp_path)
    with running_server(tmp_path, "--strategy", strategy) as server:
        for program in inputs("session"):
            stream, pieces = cut(program)
            assert answers(server, pieces) == model_stream(stream)[0], program


# Whatever clients do at the same time. After each test, the fixture serves a new one and finds nothing left.

STREAMS = [
    b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES,
    b"get_slice huge 5 1000000\r\nget_file_listing\r\n",
    b"get_slice mib 0 1048576 raw\r\nquit\r\n",
    b"get_file_listing\r\n" * 50,
    b"get_metadata f\r\n" * 500,
    b"x" * 100_000,
    b"help\r\n\n",
]


def come_and_leave(server: RunningServer, random: Random) -> None:
    """Send a stream in pieces, perhaps not all of it; take some of the answers; leave in some way."""
    with server.connect(random.choice([None, 2048, 65536])) as sock, contextlib.suppress(ConnectionError):
        stream = random.choice(STREAMS)
        most = random.choice([1000, 50_000, len(stream)])
        for start in range(0, len(stream), most):
            sock.sendall(stream[start : start + most])
            if random.random() < 0.1:
                break
        if random.random() < 0.3:
            sock.shutdown(socket.SHUT_WR)
        sock.settimeout(0.02)
        with contextlib.suppress(TimeoutError):
            for _ in range(random.randrange(20)):
                sock.recv(random.choice([1, 100, 70_000]))
        if random.random() < 0.5:
            reset(sock)


def test_any_mix_of_clients_leaves_nothing_behind(server: RunningServer) -> None:
    def be_clients(seed: int) -> None:
        random = Random(seed)
        for _ in range(25):
            come_and_leave(server, random)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(be_clients, range(8)))


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "sequential"])
def test_any_mix_of_clients_leaves_every_place_free_and_no_other(data: Path, strategy: str) -> None:
    """Of the places of one address as many as there were, whoever was let in, refused or reset meanwhile."""
    places = 5
    with running_server(data, "--strategy", strategy, "--max-per-address", str(places)) as server:

        def be_clients(seed: int) -> None:
            random = Random(seed)
            for _ in range(10):
                with contextlib.suppress(OSError):  # who was refused can't end its sending side, either
                    come_and_leave(server, random)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(be_clients, range(8)))
        wait_until(lambda: open_descriptors(server.pid) == server.descriptors_at_rest, "all have left")
        wait_until(lambda: not server.children(), "all have left")
        with contextlib.ExitStack() as stack:
            for sock in [stack.enter_context(server.connect()) for _ in range(places)]:
                sock.sendall(b"get_metadata f\r\n")
                assert receive_exactly(sock, 10) == b"0 OK\r\n41\r\n"
            with pytest.raises((AssertionError, ConnectionResetError)):
                receive_exactly(stack.enter_context(server.connect()), 1)
        wait_until(lambda: open_descriptors(server.pid) == server.descriptors_at_rest, "all have left")
        wait_until(lambda: not server.children(), "all have left")
