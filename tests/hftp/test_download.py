"""Fetching files: whole under their own name, a beginning without holes under NAME.part."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

import hftp
from hftp.download import download
from tests.hftp.serving import RunningServer, running_server
from tests.hftp.serving import hftp as run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 5 * (1 << 20) + 12345


@pytest.fixture
def server(data: Path) -> Iterator[RunningServer]:
    """The default server: what is tested here is the client."""
    with running_server(data) as server:
        yield server


@pytest.fixture
def contents(data: Path) -> bytes:
    contents = os.urandom(SIZE)
    (data / "large").write_bytes(contents)
    return contents


@pytest.fixture
def client(server: RunningServer) -> Iterator[hftp.Client]:
    with hftp.Client(server.host, server.port) as client:
        yield client


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "fetched"


def part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("jobs", [1, 4])
def test_a_file_arrives_whole(
    client: hftp.Client, contents: bytes, target: Path, jobs: int, raw: bool
) -> None:
    told: list[tuple[int, int]] = []
    threads = threading.active_count()
    download(client, "large", target, jobs=jobs, raw=raw, progress=lambda *it: told.append(it))
    assert target.read_bytes() == contents
    assert not part_of(target).exists()
    assert told == sorted(told)
    assert (told[0], told[-1]) == ((0, SIZE), (SIZE, SIZE))
    assert threading.active_count() == threads


def test_several_connections_to_a_server_that_attends_one_do_no_harm(
    data: Path, contents: bytes, target: Path
) -> None:
    threads = threading.active_count()
    with (
        running_server(data, "--strategy", "sequential") as server,
        hftp.Client(server.host, server.port) as client,
    ):
        download(client, "large", target, jobs=4)
        assert threading.active_count() == threads
    assert target.read_bytes() == contents


def test_an_empty_file_arrives(client: hftp.Client, data: Path, target: Path) -> None:
    (data / "empty").touch()
    download(client, "empty", target)
    assert target.read_bytes() == b""


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("have", [1, 1000, 70_000, 3_000_000, SIZE])
def test_a_part_is_continued(
    client: hftp.Client, contents: bytes, target: Path, have: int, jobs: int
) -> None:
    part_of(target).write_bytes(contents[:have])
    told: list[int] = []
    download(client, "large", target, jobs=jobs, progress=lambda done, size: told.append(done))
    assert told[0] == have
    assert target.read_bytes() == contents


@pytest.mark.parametrize(
    "spoil",
    [
        lambda contents: b"x" + contents[1:3_000_000],  # another file's beginning
        lambda contents: contents[:3_000_000] + b"x",  # another end of what is there
        lambda contents: contents[:2_000_000] + bytes(1_000_000),  # a hole
        lambda contents: contents + b"x",  # longer than the file is now
    ],
)
def test_a_part_of_another_file_is_begun_anew(
    client: hftp.Client, contents: bytes, target: Path, spoil: object
) -> None:
    part_of(target).write_bytes(spoil(contents))  # type: ignore[operator]
    told: list[int] = []
    download(client, "large", target, progress=lambda done, size: told.append(done))
    assert told[0] == 0
    assert target.read_bytes() == contents


@pytest.mark.parametrize("jobs", [1, 4])
def test_what_an_interrupted_download_leaves_is_a_beginning(
    client: hftp.Client, server: RunningServer, contents: bytes, target: Path, jobs: int
) -> None:
    """The server is killed in the middle; another one gives the rest."""

    def kill_in_the_middle(done: int, size: int) -> None:
        if done > 2_000_000:
            server.process.kill()

    with pytest.raises(hftp.HFTPError):
        download(client, "large", target, jobs=jobs, progress=kill_in_the_middle)
    assert not target.exists()
    left = part_of(target).read_bytes()
    assert 2_000_000 < len(left) <= SIZE
    assert left == contents[: len(left)]
    with running_server(server.directory) as another, hftp.Client(another.host, another.port) as again:
        told: list[int] = []
        download(again, "large", target, jobs=jobs, progress=lambda done, size: told.append(done))
        assert told[0] == len(left)
    assert target.read_bytes() == contents


def test_a_file_whose_size_changes_meanwhile_is_not_completed(
    client: hftp.Client, contents: bytes, data: Path, target: Path
) -> None:
    def grow(done: int, size: int) -> None:
        if done == size:
            with (data / "large").open("ab") as file:
                file.write(b"more")

    with pytest.raises(hftp.DownloadError, match="has changed"):
        download(client, "large", target, progress=grow)
    assert not target.exists()


def test_two_processes_do_not_write_one_part(client: hftp.Client, contents: bytes, target: Path) -> None:
    refused: list[tuple[int, str]] = []

    def fetch_again(done: int, size: int) -> None:
        if not refused:
            ended = run("get", client.server, "large", "-o", str(target))
            refused.append((ended.returncode, ended.stderr))

    download(client, "large", target, progress=fetch_again)
    assert refused[0][0] == 1
    assert "another process" in refused[0][1]
    assert target.read_bytes() == contents


def test_a_link_in_the_place_of_a_part_is_not_followed(
    client: hftp.Client, contents: bytes, tmp_path: Path, target: Path
) -> None:
    part_of(target).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        download(client, "large", target)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_file_is_not_replaced_by_one(client: hftp.Client, target: Path) -> None:
    """Root could replace /dev/null, and everyone a FIFO."""
    os.mkfifo(target)
    with pytest.raises(hftp.DownloadError, match="no regular file"):
        download(client, "large", target)
    assert target.is_fifo()
    assert not part_of(target).exists()


def test_a_file_that_is_not_there_leaves_no_part(client: hftp.Client, target: Path) -> None:
    with pytest.raises(hftp.AnswerError):
        download(client, "missing", target)
    assert not part_of(target).exists()
