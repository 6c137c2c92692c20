"""Many requests before the first answer: client and server never wait for each other."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

import hftp
from hftp.client import slice_request
from hftp.download import download
from tests.hftp.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_more_can_be_asked_than_both_systems_hold(data: Path) -> None:
    """Six megabytes of requests and more of answers: neither fits the sockets' buffers."""
    request = slice_request("f", 0, 41, raw=True)
    count = 200_000
    with running_server(data) as server, hftp.Client(server.host, server.port) as client:
        for _ in range(count):
            client.send(request)
        for _ in range(count):
            assert b"".join(client.take_slice(request, 41, raw=True)).startswith(b"!Que calor")


def test_answers_come_in_the_order_of_the_requests(data: Path) -> None:
    with running_server(data) as server, hftp.Client(server.host, server.port) as client:
        for name in ("mib", "missing", "f"):
            client.send(f"get_metadata {name}")
        assert client.take_size("get_metadata mib") == 1 << 20
        with pytest.raises(hftp.AnswerError, match=r"202 .*missing"):
            client.take_size("get_metadata missing")
        assert client.take_size("get_metadata f") == 41


def test_a_file_that_becomes_shorter_leaves_the_connection_of_use(data: Path) -> None:
    (data / "large").write_bytes(bytes(10 << 20))
    with running_server(data) as server, hftp.Client(server.host, server.port) as client:
        pieces = client.iter_range("large", 0, 12 << 20)  # more than there is
        with pytest.raises(hftp.AnswerError, match="203"):
            for _ in pieces:
                pass
        assert client.size("f") == 41


@contextlib.contextmanager
def server_of_the_first_edition(contents: bytes) -> Iterator[tuple[str, int]]:
    """Serve one connection: slices in base64 only, and 201 to a fourth argument."""

    def serve() -> None:
        sock, _ = listener.accept()
        with sock, sock.makefile("rwb") as stream:
            for line in stream:
                stream.write(answer(line.split()))
                stream.flush()

    def answer(words: list[bytes]) -> bytes:
        if words[0] != b"get_slice":
            return b"0 OK\r\n%d\r\n" % len(contents) if words[0] == b"get_metadata" else b"0 OK\r\n"
        if len(words) != 4:
            return b"201 INVALID ARGUMENTS FOR COMMAND\r\n"
        offset, size = map(int, words[2:])
        return b"0 OK\r\n" + base64.b64encode(contents[offset : offset + size]) + b"\r\n"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


def test_a_server_of_the_first_edition_is_asked_again_in_base64(tmp_path: Path) -> None:
    contents = os.urandom(5_000_000)
    with server_of_the_first_edition(contents) as (host, port), hftp.Client(host, port) as client:
        assert b"".join(client.iter_range("f", 7, 4_500_000)) == contents[7:4_500_007]
        download(client, "f", tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == contents


def test_what_a_server_said_before_it_closed_is_read(data: Path) -> None:
    """A fatal answer, while requests are still being sent: the error is the answer, not the broken pipe."""
    with running_server(data) as server, hftp.Client(server.host, server.port) as client:
        client.send("")
        for _ in range(10_000):
            client.send("get_metadata f")
        with pytest.raises(hftp.AnswerError, match="101 BAD REQUEST"):
            client.take_size("")
        with pytest.raises(hftp.TruncatedError):
            client.size("f")
