"""SIGTERM and SIGINT: stop accepting, let running answers finish for a bounded time, exit 0."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from hftp.constants import GRACE_SECONDS
from tests.hftp.conftest import HUGE_BYTES, STRATEGIES
from tests.hftp.serving import (
    APP,
    PATIENCE_SECONDS,
    PYTHON,
    environment,
    receive_all,
    receive_exactly,
    running_server,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hftp.serving import RunningServer

LARGE_BYTES = 64 << 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server_well(own_server: RunningServer, number: signal.Signals) -> None:
    with own_server.connect():
        own_server.process.send_signal(number)
        assert own_server.process.wait(PATIENCE_SECONDS) == 0
    assert own_server.process.communicate() == ("", "")


def test_a_running_answer_is_finished_and_no_other_is_begun(own_server: RunningServer) -> None:
    head = b"0 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BYTES
    with own_server.connect(receive_buffer_bytes=65536) as sock:
        sock.sendall(b"get_slice huge 0 %d raw\r\nget_metadata f\r\n" % LARGE_BYTES)
        assert receive_exactly(sock, len(head)) == head
        own_server.process.send_signal(signal.SIGTERM)
        with pytest.raises(OSError, match=r"refused|reset"):  # reset: it waited to be accepted just then
            for _ in range(100):  # until it has seen the signal
                own_server.connect().close()
                time.sleep(0.01)
        assert receive_all(sock) == bytes(LARGE_BYTES)
    assert own_server.process.wait(PATIENCE_SECONDS) == 0


def test_the_grace_is_bounded(data: Path) -> None:
    """An answer that is cut then ends in a reset: no client takes it for a whole one."""
    with running_server(data, "--grace", "0.2") as server, server.connect(receive_buffer_bytes=65536) as sock:
        sock.sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)
        receive_exactly(sock, 100_000)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert server.process.wait(PATIENCE_SECONDS) == 0
        assert 0.1 < time.monotonic() - began < GRACE_SECONDS
        with pytest.raises(ConnectionResetError):
            receive_all(sock)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_second_signal_ends_the_grace(data: Path, strategy: str) -> None:
    with running_server(data, "--strategy", strategy, "--grace", "600") as server, server.connect() as sock:
        sock.sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)
        receive_exactly(sock, 100_000)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_SECONDS) == 0


def test_a_port_can_be_used_again_at_once(own_server: RunningServer, data: Path) -> None:
    """The connections that the first server closed are in TIME_WAIT: SO_REUSEADDR."""
    assert own_server.ask(b"quit\r\n") == b"0 OK\r\n"
    with own_server.connect() as sock:
        sock.sendall(b"\n")
        assert receive_all(sock) == b"100 BAD EOL\r\n"
    assert own_server.stop() == (0, "")
    with running_server(data, "-p", str(own_server.port)) as second:
        assert second.port == own_server.port


def test_a_signal_before_the_loop_is_not_lost(data: Path) -> None:
    """It is sent at every moment of the start: before the handlers are there it kills, later it exits 0."""
    codes = set()
    for delay_ms in range(0, 60, 6):
        process = subprocess.Popen(
            [PYTHON, "-m", "hftp", "serve", "-a", "127.0.0.1", "-p", "0", "-d", str(data)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        time.sleep(delay_ms / 1000)
        process.terminate()
        assert process.communicate(timeout=PATIENCE_SECONDS)[1] == b""
        codes.add(process.returncode)
    assert codes <= {0, -signal.SIGTERM}


@pytest.mark.parametrize(
    ("server", "client"),
    [
        (["-m", "hftp.server"], ["-m", "hftp.client"]),
        ([str(APP / "hftp" / "server.py")], [str(APP / "hftp" / "client.py")]),
    ],
    ids=["modules", "files"],
)
def test_server_and_client_also_run_by_themselves(data: Path, server: list[str], client: list[str]) -> None:
    env = environment()
    if server[0] != "-m":
        del env["PYTHONPATH"]
    process = subprocess.Popen(
        [PYTHON, *server, "-a", "127.0.0.1", "-p", "0", "-d", str(data)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    try:
        assert (
            subprocess.check_output([PYTHON, *client, "stat", f"127.0.0.1:{port}", "f"], env=env, text=True)
            == "41 f\n"
        )
    finally:
        process.terminate()
        assert process.communicate(timeout=PATIENCE_SECONDS) == ("", "")
    assert process.returncode == 0
