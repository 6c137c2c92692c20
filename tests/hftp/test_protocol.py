"""The protocol on every strategy, over real sockets: the fuzzer's inputs, and the answers of its model."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.session import cut, write_files
from tests.fuzz.test_corpus import inputs
from tests.hftp.conftest import STRATEGIES
from tests.hftp.serving import running_server
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
