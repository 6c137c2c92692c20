"""With standard streams that are closed, or take nothing: it serves, and what it can't say goes to nobody."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hftp.conftest import STRATEGIES
from tests.hftp.serving import (
    PATIENCE_SECONDS,
    PYTHON,
    environment,
    receive_all,
    receive_exactly,
    running_server,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_OF_F = b"0 OK\r\n41\r\n"


def free_port() -> int:
    """A server that can't say its port has to be given one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """Connect to a server that is just starting."""
    socks: list[socket.socket] = []

    def connects() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            socks.append(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
        return bool(socks)

    wait_until(connects, "it listens")
    with socks[0] as sock:
        yield sock


@pytest.mark.parametrize(
    ("redirections", "flags"),
    [
        ("<&-", []),
        (">&-", []),
        ("2>&-", []),
        (">/dev/full 2>/dev/full", []),
        *(("<&- >&- 2>&-", ["--strategy", name]) for name in STRATEGIES),
        ("<&- >&- 2>&-", ["--workers", "2", "--log", "-"]),
    ],
)
def test_a_server_whose_standard_streams_are_closed_serves(
    data: Path, redirections: str, flags: list[str]
) -> None:
    port = free_port()
    command = [PYTHON, "-m", "hftp", "serve", "-p", str(port), "-d", str(data), *flags]
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *command],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with connected(port) as sock:
            for _ in range(2):
                sock.sendall(b"get_metadata f\r\n")
                assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
                for descriptor in range(3):
                    opened = Path(f"/proc/{process.pid}/fd/{descriptor}").readlink()
                    assert opened in (Path("/dev/null"), Path("/dev/full"))
                process.send_signal(signal.SIGUSR1)  # has it say something
            sock.sendall(b"quit\r\n")
            assert receive_all(sock) == b"0 OK\r\n"
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def test_a_server_whose_output_nobody_reads_serves(data: Path) -> None:
    """A pipe whose reader has left, and one that is full."""
    port = free_port()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    gone_reader, gone_writer = os.pipe()
    os.close(gone_reader)
    process = subprocess.Popen(
        [PYTHON, "-m", "hftp", "serve", "-p", str(port), "-d", str(data)],
        env=environment(),
        stdout=gone_writer,
        stderr=writer,
    )
    try:
        with connected(port) as sock:
            process.send_signal(signal.SIGUSR1)
            sock.sendall(b"get_metadata f\r\nquit\r\n")
            assert receive_all(sock) == SIZE_OF_F + b"0 OK\r\n"
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        for descriptor in (reader, writer, gone_writer):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("command", "redirections", "code", "said"),
    [
        ("stat AT f", ">&-", 1, "hftp: input or output: Bad file descriptor\n"),
        ("stat AT f", ">/dev/full", 1, "hftp: input or output: No space left on device\n"),
        ("stat AT missing", ">&-", 9, "202 FILE NOT FOUND"),
        ("stat AT missing", "2>&-", 9, ""),
        ("stat AT missing", "2>/dev/full", 9, ""),
        ("health AT", "<&- >&- 2>&-", 0, ""),
        ("get AT f -o TO", "<&- >&- 2>&-", 0, ""),
        ("sl", "2>&-", 2, ""),
        ("sl", "2>/dev/full", 2, ""),
        ("--help", ">&-", 1, "hftp: input or output: Bad file descriptor\n"),
        ("get --help", ">/dev/full", 1, "hftp: input or output: No space left on device\n"),
    ],
)
def test_a_client_loses_no_result_without_saying_so(
    data: Path, tmp_path: Path, command: str, redirections: str, code: int, said: str
) -> None:
    with running_server(data) as server:
        places = {"AT": f"127.0.0.1:{server.port}", "TO": str(tmp_path / "fetched")}
        arguments = [places.get(word, word) for word in command.split()]
        ended = subprocess.run(
            ["sh", "-c", f'exec "$@" {redirections}', "sh", PYTHON, "-m", "hftp", *arguments],
            env={**environment(), "PYTHONUNBUFFERED": ""},  # what is buffered is written, or lost, at the end
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert ended.stderr.count("\n") == bool(said)
    assert ended.stdout == ""
