"""What the system has no more of, and what befalls the data: the server goes on, and recovers."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import resource
import signal
import socket
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hftp.connection import Connection
from hftp.files import DataDirectory, File
from hftp.peer import Peer
from tests.hftp.conftest import HUGE_BYTES, STRATEGIES, make_data
from tests.hftp.serving import (
    RunningServer,
    open_descriptors,
    receive_all,
    receive_exactly,
    running_server,
)
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_OF_F = b"0 OK\r\n41\r\n"
CONCURRENT = [name for name in STRATEGIES if name != "sequential"]
FAILED = b"199 INTERNAL SERVER ERROR\r\n"


@contextlib.contextmanager
def limited(pid: int, which: int, limit: int) -> Iterator[None]:
    """Let a running process have no more of something: when it counted, there was more."""
    old, most = resource.prlimit(pid, which)
    resource.prlimit(pid, which, (limit, most))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            resource.prlimit(pid, which, (old, most))


def next_descriptor(pid: int) -> int:
    """Give the number that the next one would have: with this as a limit, there is none."""
    used = set(map(int, open_descriptors(pid)))
    return next(number for number in itertools.count() if number not in used)


@pytest.mark.parametrize("own_server", CONCURRENT, indirect=True)
def test_a_server_out_of_descriptors_keeps_its_clients_and_does_not_spin(own_server: RunningServer) -> None:
    """It runs into EMFILE at accept()."""
    own_server.says = r"(hftp: no room for another client: Too many open files: .*\n)?"
    with own_server.connect() as first:
        first.sendall(b"get_metadata f\r\n")
        receive_exactly(first, len(SIZE_OF_F))
        with limited(own_server.pid, resource.RLIMIT_NOFILE, next_descriptor(own_server.pid)):
            waiting = own_server.connect()
            waiting.sendall(b"get_metadata f\r\n")
            began_s = own_server.cpu_seconds()
            time.sleep(0.3)
            assert own_server.cpu_seconds() - began_s < 0.1
            first.sendall(b"get_metadata f\r\n")
            assert receive_exactly(first, len(SIZE_OF_F)) == SIZE_OF_F
        assert receive_exactly(waiting, len(SIZE_OF_F)) == SIZE_OF_F
        waiting.close()


def test_a_client_that_takes_the_last_descriptor_is_told_that_its_file_can_not_be_opened(
    own_server: RunningServer,
) -> None:
    """It runs into EMFILE at open()."""
    own_server.says = r"(hftp: no room for another client: Too many open files: .*\n)?"
    with own_server.connect() as sock:
        sock.sendall(b"get_metadata f\r\n")
        receive_exactly(sock, len(SIZE_OF_F))
        pid = (own_server.children() or [own_server.pid])[0]
        with limited(pid, resource.RLIMIT_NOFILE, next_descriptor(pid)):
            sock.sendall(b"get_metadata f\r\nget_slice f 0 1\r\n")
            assert receive_all(sock) == SIZE_OF_F + FAILED
    assert own_server.ask(b"get_slice f 0 1\r\n") == b"0 OK\r\nIQ==\r\n"


def mapped_bytes(pid: int) -> int:
    """Tell how much address space a process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmSize:"))


@pytest.fixture(scope="module")
def long_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose listing takes some MiB."""
    data = make_data(tmp_path_factory.mktemp("long") / "data")
    for number in range(20_000):
        (data / f"{number:0100d}").touch()
    return data


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_asks_for_what_there_is_no_memory_for_is_disconnected_and_nobody_else(
    long_directory: Path, strategy: str
) -> None:
    with (
        running_server(long_directory, "--strategy", strategy) as server,
        contextlib.ExitStack() as stack,
    ):
        server.says = (
            "hftp: out of memory: clients that ask for what there is no room for are disconnected\n"
            "hftp: process .* out of memory 2, .*\n"
        )
        clients = [stack.enter_context(server.connect()) for _ in range(3)]
        for sock in clients if strategy != "sequential" else ():  # each has its thread or process
            sock.sendall(b"get_metadata f\r\n")
            assert receive_exactly(sock, len(SIZE_OF_F)) == SIZE_OF_F
        with contextlib.ExitStack() as limits:
            for pid in (server.pid, *server.children()):
                limits.enter_context(limited(pid, resource.RLIMIT_AS, mapped_bytes(pid)))
            for sock, request in zip(
                clients, (b"get_slice huge 0 9999999", b"get_file_listing"), strict=False
            ):
                sock.sendall(request + b"\r\n")
                with pytest.raises(ConnectionResetError):
                    receive_all(sock)
            clients[-1].sendall(b"get_slice mib 0 100000 raw\r\nget_metadata f\r\nquit\r\n")
            assert receive_all(clients[-1]).endswith(SIZE_OF_F + b"0 OK\r\n")
        assert len(server.ask(b"get_slice mib 0 1048576\r\nget_file_listing\r\n")) > 3_000_000
        server.process.send_signal(signal.SIGUSR1)


@pytest.mark.parametrize("strategy", [name for name in CONCURRENT if name != "processes"])
def test_a_server_without_memory_for_itself_goes_on_when_there_is_some(data: Path, strategy: str) -> None:
    server = RunningServer(data, "-a", "127.0.0.1", "--strategy", strategy, "--max-per-address", "10000")
    try:
        mapped = mapped_bytes(server.pid)
        with contextlib.ExitStack() as clients, limited(server.pid, resource.RLIMIT_AS, mapped):
            for number in range(2000):
                with contextlib.suppress(ConnectionError):
                    sock = clients.enter_context(server.connect())
                    sock.sendall(
                        (b"get_slice huge 0 99999999" if number % 3 else b"get_metadata f") + b"\r\n"
                    )
        assert server.ask(b"get_metadata f\r\n") == SIZE_OF_F
        code, errors = server.stop()
        assert code == 0, errors
        assert "Traceback" not in errors
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_server_takes_as_many_clients_as_it_can_serve_and_the_others_later(data: Path) -> None:
    limited = ["sh", "-c", 'ulimit -n 64 && exec "$0" "$@"']
    with running_server(data, "--max-per-address", "100", under=limited) as server:
        server.says = "hftp: 20 of 20 places are taken: .*\n"
        socks = [server.connect() for _ in range(100)]
        for sock in socks:
            sock.sendall(b"get_slice huge 0 1000000 raw\r\n")
        for sock in socks:
            with sock:
                assert receive_exactly(sock, 6) == b"0 OK\r\n"


# As another user: root may have as many processes as it likes, and read any directory.


@pytest.fixture
def nobodys_server(data: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of a strategy, that has become the user nobody."""
    if os.geteuid() != 0:
        unavailable("root", "only root can become another user")
    for path in [data, *data.parents][:-2]:
        path.chmod(0o755)
    with running_server(data, "--user", "nobody", "--strategy", request.param) as server:
        yield server


@contextlib.contextmanager
def no_more_processes(pid: int) -> Iterator[None]:
    """Let a process of the user nobody start no other, nor a thread: only nobody may say so."""

    def prlimit(*arguments: str) -> str:
        return subprocess.check_output(
            ["prlimit", "--pid", str(pid), *arguments],
            text=True,
            user="nobody",
            group=pwd.getpwnam("nobody").pw_gid,
            extra_groups=(),
        )

    old = prlimit("--nproc", "--output", "SOFT", "--noheadings").strip()
    prlimit("--nproc=0:")
    try:
        yield
    finally:
        prlimit(f"--nproc={old}:")


@pytest.mark.parametrize("nobodys_server", ["threads", "processes"], indirect=True)
def test_who_can_have_no_thread_or_process_is_disconnected_and_those_after_are_served(
    nobodys_server: RunningServer,
) -> None:
    """It is said once, until there is room again, and counted."""
    nobodys_server.says = (
        r"(hftp: no room for another client: [^:]*: those that come now wait until others leave\n){2}"
        "hftp: process .* refused 6, .*\n"
    )
    with nobodys_server.connect() as first:
        first.sendall(b"get_metadata f\r\n")
        assert receive_exactly(first, len(SIZE_OF_F)) == SIZE_OF_F
        for _ in range(2):
            refuses_three_clients(nobodys_server, first)
    nobodys_server.process.send_signal(signal.SIGUSR1)


def refuses_three_clients(nobodys_server: RunningServer, first: socket.socket) -> None:
    with no_more_processes(nobodys_server.pid):
        for _ in range(3):
            with nobodys_server.connect() as sock, contextlib.suppress(ConnectionResetError):
                assert receive_all(sock) == b""
        first.sendall(b"get_metadata f\r\n")
        assert receive_exactly(first, len(SIZE_OF_F)) == SIZE_OF_F
    assert nobodys_server.ask(b"get_metadata f\r\n") == SIZE_OF_F


@pytest.mark.parametrize("nobodys_server", STRATEGIES, indirect=True)
def test_a_directory_that_can_not_be_read_any_more_is_the_servers_failure_until_it_can(
    nobodys_server: RunningServer,
) -> None:
    directory = nobodys_server.directory
    (directory / "secret").touch(mode=0)
    assert nobodys_server.ask(b"get_slice secret 0 0\r\n") == FAILED
    directory.chmod(0)
    for request in (b"get_metadata f", b"get_slice f 0 1 raw", b"get_file_listing"):
        assert nobodys_server.ask(request + b"\r\nget_metadata f\r\n") == FAILED
    directory.chmod(0o755)
    assert nobodys_server.ask(b"get_metadata f\r\n") == SIZE_OF_F


def test_a_directory_on_a_full_disk_is_served(tmp_path: Path) -> None:
    """And the log, which is there, too, loses lines."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        unavailable("netns", "no user namespace can be made")
    mounting = (
        'mount -t tmpfs -o size=64k tmpfs "$DISK" && printf contents >"$DISK/f" && : >"$DISK/log" &&'
        '! cat /dev/zero >"$DISK/filler" 2>/dev/null && exec "$0" "$@"'
    )
    under = ["env", f"DISK={tmp_path}", *unshare, "sh", "-c", mounting]
    with running_server(tmp_path, "--log", str(tmp_path / "log"), under=under) as server:
        server.says = "hftp: lines of the access log are lost: No space left on device\n"
        stream = b"get_file_listing\r\nget_metadata f\r\nget_slice f 0 8\r\nget_slice filler 0 1 raw\r\n"
        assert server.ask(stream) == (
            b"0 OK\r\nf\r\nfiller\r\nlog\r\n\r\n0 OK\r\n8\r\n0 OK\r\nY29udGVudHM=\r\n"
            b"0 OK\r\nContent-Length: 1\r\n\r\n\0"
        )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_file_that_the_system_can_not_send_is_read(tmp_path: Path, strategy: str) -> None:
    """As on hugetlbfs, which knows no sendfile(); a hole in a file takes no huge page."""
    unshare = ["unshare", "--mount"]
    mounting = 'mount -t hugetlbfs none "$DISK" && truncate -s 32M "$DISK/large" && exec "$0" "$@"'
    under = ["env", f"DISK={tmp_path}", *unshare, "sh", "-c", mounting]
    if subprocess.run([*under, "true"], capture_output=True).returncode:
        unavailable("root", "hugetlbfs can't be mounted")
    with running_server(tmp_path, "--strategy", strategy, under=under) as server:
        size = 32 << 20
        head = b"0 OK\r\nContent-Length: %d\r\n\r\n"
        stream = b"get_slice large 0 %d raw\r\nget_slice large 7 100000 raw\r\nget_metadata large\r\n" % size
        answers = (head % size, bytes(size), head % 100_000, bytes(100_000), b"0 OK\r\n%d\r\n" % size)
        assert server.ask(stream) == b"".join(answers)


# The data directory changes while it is served.


def test_a_directory_that_is_removed_is_the_servers_failure_and_a_new_one_is_another(
    own_server: RunningServer,
) -> None:
    for path in own_server.directory.iterdir():
        path.unlink()
    own_server.directory.rmdir()
    own_server.directory.mkdir()
    (own_server.directory / "new").touch()
    assert own_server.ask(b"get_file_listing\r\n") == FAILED
    assert own_server.ask(b"get_metadata new\r\n") == b"202 FILE NOT FOUND\r\n"


def test_a_directory_that_is_replaced_is_served_as_it_was(own_server: RunningServer) -> None:
    directory = own_server.directory
    directory.rename(directory.parent / "renamed")
    directory.mkdir()
    (directory / "f").touch()
    assert own_server.ask(b"get_metadata f\r\n") == SIZE_OF_F


@pytest.mark.parametrize("change", ["removed", "replaced"])
@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_file_that_is_removed_or_replaced_while_it_is_sent_is_sent_as_it_was(
    server: RunningServer, change: str, form: bytes
) -> None:
    large = server.directory / "large"
    large.write_bytes((server.directory / "mib").read_bytes() * 16)  # more than the system's buffers hold
    request = b"get_slice large 0 %d%b\r\n" % (16 << 20, form)
    whole = server.ask(request)
    assert len(whole) > 16 << 20
    with server.connect(receive_buffer_bytes=65536) as sock:
        sock.sendall(request + b"get_metadata large\r\nquit\r\n")
        begun = receive_exactly(sock, 6)
        large.unlink()
        if change == "replaced":
            large.touch()
        after = b"0 OK\r\n0\r\n" if change == "replaced" else b"202 FILE NOT FOUND\r\n"
        assert begun + receive_all(sock) == whole + after + b"0 OK\r\n"


@pytest.mark.parametrize("form", [b"", b" raw"])
def test_a_file_that_is_cut_while_it_is_sent_ends_in_a_reset(server: RunningServer, form: bytes) -> None:
    with server.connect(receive_buffer_bytes=65536) as sock:
        sock.sendall(b"get_slice huge 0 %d%b\r\n" % (HUGE_BYTES, form))
        receive_exactly(sock, 100_000)
        os.truncate(server.directory / "huge", 100)
        with pytest.raises(ConnectionResetError):
            receive_all(sock)


def test_a_file_that_fails_when_it_is_sent_ends_in_a_reset(data: Path) -> None:
    """A disk's errors can't be ordered; sendfile() fails as well where a directory is in the file's place."""

    class Failing(DataDirectory):
        def open(self, name: bytes) -> File:
            return File(os.open(data, os.O_RDONLY), (data / "huge").stat(), self.kept)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sock,
        Failing(str(data)) as directory,
    ):
        peer = Peer(listener.accept()[0], "", Connection(directory, can_send_files=True), deque())
        sock.sendall(b"get_slice f 0 1000000 raw\r\n")
        while peer.wants:
            peer.turn()
        peer.close()
        with pytest.raises(ConnectionResetError):
            receive_all(sock)


def test_a_file_that_grows_while_it_is_sent_is_sent_at_its_first_size(server: RunningServer) -> None:
    with server.connect(receive_buffer_bytes=65536) as sock:
        size = 8 << 20
        (server.directory / "log").write_bytes(bytes(size))
        sock.sendall(b"get_slice log 0 %d raw\r\nget_metadata log\r\nquit\r\n" % size)
        head = b"0 OK\r\nContent-Length: %d\r\n\r\n" % size
        assert receive_exactly(sock, len(head)) == head
        with (server.directory / "log").open("ab") as log:
            log.write(b"more")
        assert receive_all(sock) == bytes(size) + b"0 OK\r\n%d\r\n0 OK\r\n" % (size + 4)
