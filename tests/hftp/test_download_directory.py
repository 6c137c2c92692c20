"""Fetching many files: at the speed of the connection, whatever the round trip, and never outside."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

import hftp
from hftp.cli import main
from hftp.connection import Connection
from hftp.download import download, part_name
from hftp.exits import Exit
from hftp.files import DataDirectory, File
from hftp.mirror import MirrorError, mirror
from tests.hftp.distance import far_away
from tests.hftp.serving import RunningServer, python, receive_all, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUND_TRIP_SECONDS = 0.1

SIZES = {"small": 100, "large": 3_000_000}


@pytest.fixture
def server(data: Path) -> Iterator[RunningServer]:
    """The default server: what is tested here is the client."""
    with running_server(data) as server:
        yield server


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where files go; beside it is what must stay as it is."""
    (tmp_path / "fetched").mkdir()
    return tmp_path / "fetched"


@pytest.fixture
def client(server: RunningServer) -> Iterator[hftp.Client]:
    with hftp.Client(server.host, server.port) as client:
        yield client


def fill(data: Path, count: int) -> dict[str, bytes]:
    """Make so many small files; give their contents by name."""
    contents = {f"small-{n:05}": os.urandom(n % 300) for n in range(count)}
    for name, text in contents.items():
        (data / name).write_bytes(text)
    return contents


@pytest.mark.parametrize("raw", [True, False, None])
def test_small_and_large_files_arrive_whole(
    client: hftp.Client, data: Path, directory: Path, raw: bool | None
) -> None:
    (data / "huge").unlink()
    (data / "large").write_bytes(os.urandom(3_000_000))
    fill(data, 500)
    told: list[tuple[int, int]] = []
    mirror(client, client.listing(), directory, raw=raw, jobs=2, progress=lambda *it: told.append(it))
    assert sorted(path.name for path in directory.iterdir()) == sorted(path.name for path in data.iterdir())
    for path in data.iterdir():
        assert (directory / path.name).read_bytes() == path.read_bytes()
    assert told[0] == (0, 503)
    assert told == sorted(told)
    assert told[-1] == (503, 503)


def test_a_long_round_trip_costs_little(server: RunningServer, data: Path, directory: Path) -> None:
    """A thousand files one by one would take three round trips each: five minutes."""
    contents = fill(data, 1000)
    with far_away(server.host, server.port, ROUND_TRIP_SECONDS) as (host, port):
        began = time.monotonic()
        with hftp.Client(host, port) as client:
            mirror(client, contents, directory)
        round_trips = (time.monotonic() - began) / ROUND_TRIP_SECONDS
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == contents
    assert round_trips < 100


def test_blocks_of_a_file_are_asked_for_ahead(server: RunningServer, data: Path, tmp_path: Path) -> None:
    """Twenty blocks one by one would take twenty round trips."""
    (data / "large").write_bytes(os.urandom(20 << 20))
    with far_away(server.host, server.port, 0.5) as (host, port), hftp.Client(host, port) as client:
        for jobs in (1, 2):
            began = time.monotonic()
            download(client, "large", tmp_path / "large", jobs=jobs)
            assert (time.monotonic() - began) / 0.5 < 15
            assert (tmp_path / "large").read_bytes() == (data / "large").read_bytes()


def test_a_missing_file_is_reported_and_the_others_arrive(
    client: hftp.Client, data: Path, directory: Path
) -> None:
    contents = fill(data, 20)
    names = ["missing-first", *list(contents)[:10], "missing", *list(contents)[10:], "missing-last"]
    with pytest.raises(
        MirrorError, match=r"3 of 23 files were not fetched: missing-first.*and 2 more"
    ) as caught:
        mirror(client, names, directory)
    assert [name for name, _ in caught.value.failures] == ["missing-first", "missing", "missing-last"]
    assert len(list(directory.iterdir())) == 20
    assert client.size("f") == 41  # the connection is where it should be


@contextlib.contextmanager
def server_that_can_not_read(data: Path, bad: str) -> Iterator[tuple[str, int]]:
    """Serve connections one by one, with the server's own session; one file's contents can't be read."""

    class Directory(DataDirectory):
        def open(self, name: bytes) -> File:
            if name == bad.encode():
                raise PermissionError(errno.EACCES, "Permission denied")
            return super().open(name)

    def serve() -> None:
        with Directory(str(data)) as files, contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    attend(sock, Connection(files))

    def attend(sock: socket.socket, connection: Connection) -> None:
        while not connection.finished:
            if piece := connection.data_to_send():
                connection.bytes_sent(sock.send(piece))
            elif connection.wants_input:
                connection.receive_data(sock.recv(4096))
        connection.close()
        sock.shutdown(socket.SHUT_WR)
        receive_all(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_unreadable_file_costs_a_connection_and_no_other_file(data: Path, directory: Path) -> None:
    contents = fill(data, 50)
    with (
        server_that_can_not_read(data, "small-00020") as (host, port),
        hftp.Client(host, port) as client,
        pytest.raises(MirrorError, match=r"1 of 50.*: .*199"),
    ):
        mirror(client, contents, directory)
    del contents["small-00020"]
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == contents


def test_a_part_of_a_small_file_is_continued(client: hftp.Client, data: Path, directory: Path) -> None:
    contents = fill(data, 30)
    (directory / "small-00029.part").write_bytes(contents["small-00029"][:10])
    mirror(client, contents, directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == contents


def test_a_name_that_could_lead_elsewhere_ends_it_before_it_begins(
    client: hftp.Client, data: Path, directory: Path
) -> None:
    fill(data, 3)
    for name in ("../outside", "/etc/outside", "..", "a/b"):
        with pytest.raises(hftp.NameRefusedError):
            mirror(client, ["small-00001", name], directory)
    assert list(directory.iterdir()) == []


def test_links_in_the_directory_are_replaced_and_not_followed(
    client: hftp.Client, data: Path, directory: Path, tmp_path: Path
) -> None:
    contents = fill(data, 3)
    (tmp_path / "precious").write_bytes(b"precious")
    (directory / "small-00001").symlink_to(tmp_path / "precious")
    (directory / "small-00002.part").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        mirror(client, contents, directory)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (directory / "small-00001").read_bytes() == contents["small-00001"]


def test_a_directory_in_the_place_of_a_file_leaves_no_part(
    client: hftp.Client, data: Path, directory: Path
) -> None:
    contents = fill(data, 2)
    (directory / "small-00001").mkdir()
    with pytest.raises(IsADirectoryError):
        mirror(client, contents, directory)
    assert not (directory / "small-00001.part").exists()


def test_the_longest_name_has_a_part_too(client: hftp.Client, data: Path, directory: Path) -> None:
    long = "n" * 255
    (data / long).write_bytes(b"contents")
    assert part_name("name") == "name.part"
    assert len(part_name(long)) <= 255
    assert part_name(long) != part_name("n" * 254)
    mirror(client, [long], directory)
    download(client, long, directory / long)
    assert (directory / long).read_bytes() == b"contents"


def test_a_file_that_is_called_like_the_part_of_another_arrives_too(
    client: hftp.Client, data: Path, directory: Path
) -> None:
    contents = {f"{name}{'.part' * n}": os.urandom(size) for n in range(3) for name, size in SIZES.items()}
    for name, text in contents.items():
        (data / name).write_bytes(text)
    for _ in range(2):  # the second time, all of them are there
        mirror(client, contents, directory)
        assert {path.name: path.read_bytes() for path in directory.iterdir()} == contents


def test_a_disk_that_takes_only_a_part_of_a_file_leaves_none_under_its_name(
    server: RunningServer, data: Path, directory: Path
) -> None:
    """As a full one does, a limit on the size of files lets a write end early, and only the next one fail."""
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000));"
        "from hftp.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    (data / "large").write_bytes(bytes(2_000_000))
    for names, left in ((["mib", "f"], []), (["large"], ["large.part"])):
        at = f"{server.host}:{server.port}"
        ended = python("-c", limited, "get", at, *names, "-o", str(directory))
        assert ended.returncode == Exit.FAILED
        assert f"{directory}/{names[0]}" in ended.stderr
        assert "File too large" in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert [path.name for path in directory.iterdir()] == left


def test_get_all_says_what_is_missing(data: Path, directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running_server(data) as server:
        at = f"127.0.0.1:{server.port}"
        assert main(["get", at, "f", "missing", "mib", "-o", str(directory)]) == Exit.REFUSED_REQUEST
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert "1 of 3 files were not fetched: missing: " in errors
    assert sorted(path.name for path in directory.iterdir()) == ["f", "mib"]
