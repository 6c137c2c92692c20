"""To run it for real: workers, the access log, signals, systemd's ways, another user, health checks."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hftp.cli import main
from tests.hftp.conftest import HUGE_BYTES, STRATEGIES
from tests.hftp.serving import (
    PATIENCE_SECONDS,
    PYTHON,
    RunningServer,
    environment,
    hftp,
    receive_all,
    receive_exactly,
    running_server,
    wait_until,
)
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_OF_F = b"0 OK\r\n41\r\n"


@pytest.fixture(params=["epoll", "threads", "processes"])
def workers(data: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """Three processes of one strategy on one port."""
    server = RunningServer(
        data, "-a", "127.0.0.1", "--workers", "3", "--strategy", request.param, "--grace", "0.3"
    )
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def test_workers_share_a_port_and_drain_when_they_are_told(workers: RunningServer) -> None:
    socks = [workers.connect() for _ in range(30)]
    for sock in socks:
        sock.sendall(b"get_metadata f\r\n")
        assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
    large = 16 << 20
    socks[0].sendall(b"get_slice huge 0 %d raw\r\n" % large)
    receive_exactly(socks[0], 100_000)
    children = workers.children()
    assert len(children) == 3
    workers.process.terminate()
    assert len(receive_all(socks[0])) > large - 100_000
    for sock in socks:
        sock.close()
    assert workers.process.wait(PATIENCE_SECONDS) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_a_worker_that_dies_is_replaced(workers: RunningServer) -> None:
    victim = workers.children()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(workers.children()) == 3 and victim not in workers.children(), "replaced")
    for _ in range(10):
        assert workers.ask(b"get_metadata f\r\n") == SIZE_OF_F
    code, errors = workers.stop()
    assert code == 0
    assert f"worker {victim} was ended by signal 9: another takes its place" in errors


def test_a_worker_that_can_not_work_says_why(data: Path) -> None:
    server = RunningServer(data, "-a", "127.0.0.1", "--workers", "2")
    try:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (5, 5))  # fork needs none, its work does
        os.kill(server.children()[0], signal.SIGKILL)
        wait_until(lambda: len(server.children()) == 1, "it is gone")
        time.sleep(1.1)  # a worker is replaced so long after its start
        code, errors = server.stop()
        assert code == 0
        assert "Too many open files" in errors
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.mark.parametrize("flags", [["--workers", "2"], ["--strategy", "processes"]], ids=" ".join)
def test_a_child_from_before_the_server_was_one_is_nothing_to_it(data: Path, flags: list[str]) -> None:
    """A shell starts something, and becomes the server; as process 1 of a container it gets orphans, too."""
    server = RunningServer(data, "-a", "127.0.0.1", *flags, under=["sh", "-c", 'sleep 1000 & exec "$0" "$@"'])
    try:
        with server.connect() as sock:
            sock.sendall(b"get_metadata f\r\n")
            assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
            child = next(pid for pid in server.children() if "sleep" in Path(f"/proc/{pid}/comm").read_text())
            os.kill(child, signal.SIGTERM)
            wait_until(lambda: child not in server.children(), "it is gone")
            assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F
        assert server.stop() == (0, "")
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.mark.parametrize("strategy", ["epoll", "asyncio", "processes"])
def test_workers_do_not_compute_while_they_finish_for_a_supervisor_that_was_killed(
    data: Path, strategy: str
) -> None:
    server = RunningServer(data, "-a", "127.0.0.1", "--workers", "2", "--strategy", strategy)
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                sock = stack.enter_context(server.connect())
                sock.sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)  # and does not take it
                receive_exactly(sock, 100_000)
            workers = server.children()
            server.process.kill()
            server.process.wait(PATIENCE_SECONDS)
            time.sleep(0.2)
            began_s = sum(map(_cpu_seconds, workers))
            time.sleep(0.5)
            assert sum(map(_cpu_seconds, workers)) - began_s < 0.1
        wait_until(lambda: not any(_runs(pid) for pid in workers), "the workers have ended")
    finally:
        server.process.kill()
        server.process.communicate()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    "flags", [["--workers", "2"], ["--strategy", "processes"], ["--workers", "2", "--strategy", "processes"]]
)
def test_a_signal_to_all_of_a_servers_processes_is_one_signal(data: Path, flags: list[str]) -> None:
    """Ctrl-C goes to all that a terminal shows, and SIGTERM of systemd to all of a service."""
    size = 32 << 20
    head = b"0 OK\r\nContent-Length: %d\r\n\r\n" % size
    server = RunningServer(data, "-a", "127.0.0.1", *flags)
    try:
        with server.connect(receive_buffer_bytes=65536) as sock:
            sock.sendall(b"get_slice huge 0 %d raw\r\n" % size)
            assert receive_exactly(sock, len(head)) == head
            children = server.children()
            server.process.terminate()
            time.sleep(0.2)  # until it was told on: two at a time would be one
            for pid in children:
                with contextlib.suppress(ProcessLookupError):  # nothing was left for it to do
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.1)
            assert receive_all(sock) == bytes(size)
        assert server.process.wait(PATIENCE_SECONDS) == 0
    finally:
        server.process.kill()
        server.process.communicate()


def test_workers_that_have_ended_before_their_supervisor_looks_are_not_missed(data: Path) -> None:
    """Of two signals that wait for a process, the handler of the later one runs first."""
    server = RunningServer(data, "-a", "127.0.0.1", "--workers", "2")
    try:
        children = server.children()
        server.process.send_signal(signal.SIGSTOP)
        for pid in (server.pid, *children):
            os.kill(pid, signal.SIGTERM)
        for pid in children:
            stat = Path(f"/proc/{pid}/stat")
            wait_until(lambda stat=stat: stat.read_text().rpartition(")")[2].split()[0] == "Z", "ended")  # type: ignore[misc]
        server.process.send_signal(signal.SIGCONT)
        assert server.process.communicate(timeout=PATIENCE_SECONDS) == ("", "")
        assert server.process.returncode == 0
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.mark.parametrize("flags", [["--workers", "2"], ["--workers", "2", "--strategy", "processes"]])
def test_a_second_signal_to_a_supervisor_ends_the_grace_of_all(data: Path, flags: list[str]) -> None:
    server = RunningServer(data, "-a", "127.0.0.1", *flags, "--grace", "1000")
    try:
        with server.connect() as sock:
            sock.sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)
            receive_exactly(sock, 100_000)
            server.process.terminate()
            time.sleep(0.1)
            server.process.terminate()
            assert server.process.wait(PATIENCE_SECONDS) == 0
            with pytest.raises(ConnectionResetError):
                receive_all(sock)
    finally:
        server.process.kill()
        server.process.communicate()


def test_workers_end_when_their_supervisor_is_killed(workers: RunningServer) -> None:
    children = workers.children()
    workers.process.kill()
    workers.process.wait(PATIENCE_SECONDS)
    wait_until(lambda: not any(_runs(pid) for pid in children), "the workers have ended, too")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("strategy", ["processes"])
def test_processes_of_clients_end_when_the_server_is_killed(data: Path, strategy: str) -> None:
    server = RunningServer(data, "-a", "127.0.0.1", "--strategy", strategy)
    with server.connect() as sock:
        sock.sendall(b"get_metadata f\r\n")
        receive_exactly(sock, len(SIZE_OF_F))
        children = server.children()
        assert children
        server.process.kill()
        server.process.communicate()
        wait_until(lambda: not any(_runs(pid) for pid in children), "its children have ended, too")


def test_a_port_in_use_is_refused_to_workers_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = hftp("serve", "-a", "127.0.0.1", "-p", str(port), "--workers", "2")
    assert ended.returncode == 3
    assert "EADDRINUSE" in ended.stderr


# The access log.


def lines_of(path: Path, count: int) -> list[str]:
    wait_until(lambda: path.exists() and path.read_text().count("\n") >= count, f"{count} lines of log")
    return path.read_text().splitlines()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_request_has_its_line(data: Path, tmp_path: Path, strategy: str) -> None:
    log = tmp_path / "log"
    with running_server(data, "--strategy", strategy, "--log", str(log)) as server:
        server.ask(
            b'get_metadata f\r\nget_slice mib 0 1048576 raw\r\nget_slice f 0 9\r\nget_metadata "\\\r\n\n'
        )
        lines = lines_of(log, 6)[1:]  # the first is of the client that looked whether it is there
    what = [re.sub(r"^\S+Z 127\.0\.0\.1:\d+ (.*) \d+\.\d{6}$", r"\1", line) for line in lines]
    assert what == [
        '"get_metadata f" 0 10',
        f'"get_slice mib 0 1048576 raw" 0 {6 + 27 + 1048576}',
        '"get_slice f 0 9" 0 20',
        '"get_metadata \\"\\\\" 201 35',
        "- 100 13",
    ]


def test_json_lines_are_json(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_server(data, "--log", str(log), "--log-format", "json") as server:
        server.ask(b'get_metadata "\\\r\n\n')
        _, refused, nonsense = map(json.loads, lines_of(log, 3))
    assert refused["command"] == 'get_metadata "\\'
    assert (refused["code"], refused["bytes"], refused["whole"]) == (201, 35, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", refused["time"])
    assert (nonsense["command"], nonsense["code"]) == (None, 100)


def test_an_answer_that_was_not_taken_is_said_to_be_cut(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_server(data, "--log", str(log)) as server:
        with server.connect() as sock:
            sock.sendall(b"get_slice huge 0 %d raw\r\n" % HUGE_BYTES)
            receive_exactly(sock, 100_000)
        (_, line) = lines_of(log, 2)
    assert line.endswith(" cut")
    assert 100_000 < int(line.split()[-3]) < HUGE_BYTES


@pytest.mark.parametrize("flags", [*(["--strategy", name] for name in STRATEGIES), ["--workers", "2"]])
def test_a_log_that_was_renamed_is_begun_anew_when_told(data: Path, tmp_path: Path, flags: list[str]) -> None:
    """Also by those who attend a client, or are its worker: what is asked later is in the new one."""
    log = tmp_path / "log"

    def is_logged(sock: socket.socket) -> bool:
        sock.sendall(b"get_metadata f\r\n")
        assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
        return log.exists() and "get_metadata" in log.read_text()

    server = RunningServer(data, "-a", "127.0.0.1", "--log", str(log), *flags)
    try:
        with server.connect() as sock:
            wait_until(lambda: is_logged(sock), "it is attended, and logged")
            log.rename(tmp_path / "old")
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: is_logged(sock), "it is logged in the new one")
        assert server.stop() == (0, "")
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_worker_that_takes_anothers_place_writes_to_the_new_log(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = RunningServer(data, "-a", "127.0.0.1", "--log", str(log), "--workers", "2")
    try:
        log.rename(tmp_path / "old")
        server.process.send_signal(signal.SIGHUP)
        wait_until(log.exists, "it is begun anew")
        old = server.children()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(server.children()) - set(old)) == 2, "both are replaced")
        assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F
        wait_until(lambda: "get_metadata" in log.read_text(), "it is logged in the new one")
        assert server.stop()[0] == 0
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_log_that_nobody_reads_stops_no_client(data: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with running_server(data, "--log", str(tmp_path / "log")) as server:
            server.says = "hftp: lines of the access log are lost: nobody reads it\n"
            assert server.ask(b"get_metadata f\r\n" * 2000) == SIZE_OF_F * 2000
    finally:
        os.close(reader)


def test_a_log_that_nobody_will_read_is_not_waited_for(data: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    ended = hftp("serve", "-a", "127.0.0.1", "-p", "0", "-d", str(data), "--log", str(tmp_path / "log"))
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert "ENXIO" in ended.stderr


def test_a_full_disk_stops_no_client(data: Path) -> None:
    with running_server(data, "--log", "/dev/full") as server:
        server.says = "hftp: lines of the access log are lost: No space left on device\n"
        assert server.ask(b"get_metadata f\r\n" * 10) == SIZE_OF_F * 10


def test_a_log_that_can_not_be_written_is_one_line(data: Path) -> None:
    ended = hftp("serve", "-a", "127.0.0.1", "-p", "0", "-d", str(data), "--log", "/nonexistent/log")
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert "can't write the log /nonexistent/log" in ended.stderr


# Signals.


def test_sigusr1_prints_counters(own_server: RunningServer) -> None:
    own_server.says = (
        r"hftp: process \d+, up \d+ s, clients \d now and \d in all, requests (\d+), bytes (\d+), .*\n"
    )
    assert own_server.ask(b"get_metadata f\r\n" * 10) == SIZE_OF_F * 10
    wait_until(lambda: not own_server.children(), "its process has ended")
    time.sleep(0.05)
    own_server.process.send_signal(signal.SIGUSR1)
    time.sleep(0.05)
    assert own_server.ask(b"get_metadata f\r\n") == SIZE_OF_F
    _, errors = own_server.stop()
    found = re.fullmatch(own_server.says, errors)
    assert found, errors
    assert int(found[1]) == 11  # one was there at the beginning
    assert int(found[2]) > 100


def test_sighup_without_a_log_changes_nothing(server: RunningServer) -> None:
    server.process.send_signal(signal.SIGHUP)
    assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F


# systemd.


@pytest.mark.parametrize("name", ["path", "@abstract"])
def test_the_service_manager_is_told(data: Path, tmp_path: Path, name: str) -> None:
    address = str(tmp_path / "notify") if name == "path" else f"@hftp-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE_SECONDS)
        manager.bind(address.replace("@", "\0"))
        process = subprocess.Popen(
            [PYTHON, "-m", "hftp", "serve", "-a", "127.0.0.1", "-p", "0", "-d", str(data)],
            env={**environment(), "NOTIFY_SOCKET": address},
            stdout=subprocess.DEVNULL,
        )
        assert manager.recv(100) == b"READY=1"
        process.terminate()
        assert manager.recv(100) == b"STOPPING=1"
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_socket_that_is_open_already_is_served(data: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        activate = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            "os.execv(sys.executable, [sys.executable, '-m', 'hftp', 'serve', *sys.argv[2:]])"
        )
        process = subprocess.Popen(
            [PYTHON, "-c", activate, str(listener.fileno()), "-d", str(data), "--workers", workers],
            env=environment(),
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        port = listener.getsockname()[1]
        assert process.stdout.readline() == f"listening on 127.0.0.1:{port}\n"
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"get_metadata f\r\nquit\r\n")
            assert receive_all(sock) == SIZE_OF_F + b"0 OK\r\n"
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0


def test_a_descriptor_that_is_no_listening_socket_is_one_line(data: Path) -> None:
    ended = subprocess.run(
        [
            "sh",
            "-c",
            'export LISTEN_FDS=1 LISTEN_PID=$$ && exec "$@" 3</dev/null',
            "sh",
            PYTHON,
            "-m",
            "hftp",
            "serve",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "descriptor 3 (LISTEN_FDS) is no listening TCP socket" in ended.stderr


# Another user.


def test_it_becomes_another_user_when_it_listens(data: Path) -> None:
    if os.geteuid() != 0:
        unavailable("root", "only root can become another user")
    nobody = pwd.getpwnam("nobody")
    for path in [data, *data.parents][:-2]:
        path.chmod(0o755)
    with running_server(data, "--user", "nobody") as server:
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert re.search(rf"Uid:(\t{nobody.pw_uid}){{4}}\n", status)
        assert re.search(rf"Gid:(\t{nobody.pw_gid}){{4}}\n", status)
        assert not re.search(r"Groups:.*\b0\b", status)
        (data / "secret").touch(mode=0)
        assert server.ask(b"get_slice secret 0 0\r\n") == b"199 INTERNAL SERVER ERROR\r\n"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("nobody-at-all", "there is no such user"),
        ("9" * 20, "there is no such user"),
        ("root:no-such-group", "there is no group"),
        ("root:" + "9" * 20, "there can be no group"),
    ],
)
def test_a_user_that_can_not_be_is_one_line(data: Path, user: str, said: str) -> None:
    ended = hftp("serve", "-a", "127.0.0.1", "-p", "0", "-d", str(data), "--user", user)
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr


# Health.


def test_a_server_that_serves_is_healthy(data: Path) -> None:
    with running_server(data) as server:
        ended = hftp("health", f"127.0.0.1:{server.port}")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        for path in data.iterdir():
            path.unlink()
        data.rmdir()
        ended = hftp("health", f"127.0.0.1:{server.port}")
        assert ended.returncode == 9
        assert "199" in ended.stderr


def test_what_is_no_server_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert hftp("health", f"127.0.0.1:{port}", "--timeout", "0.1").returncode == 6
    assert hftp("health", f"127.0.0.1:{port}").returncode == 5
    assert hftp("health", "nobody.invalid").returncode == 4
    assert hftp("health", "nobody..invalid").returncode == 4


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([b"0 ", b"OK\r", b"\n"], 0),
        ([b"0 OK"], 8),
        ([], 8),
        ([b"0 OK\n"], 7),
        ([b"HTTP/1.1 400 Bad Request\r\n"], 7),
        ([b"0" * 2000], 7),
        ([b"199 INTERNAL SERVER ERROR\r\n"], 9),
        ([b"0"] * 50, 6),  # one each 50 ms: each in time, the line never
    ],
)
def test_only_a_whole_status_line_is_healthy(
    pieces: list[bytes], code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def serve() -> None:
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            sock.recv(100)
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        timeout = "0.5" if code == 6 else "10"
        assert main(["health", f"127.0.0.1:{listener.getsockname()[1]}", "--timeout", timeout]) == code
        thread.join()
    assert capfd.readouterr().err.count("\n") == (code != 0)
