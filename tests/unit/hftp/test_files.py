"""The data directory: only regular files inside it exist."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from hftp.errors import DirectoryError
from hftp.files import DataDirectory, NoSuchFileError
from tests.hftp.serving import open_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").write_bytes(b"inside")
    (data / "directory").mkdir()
    (data / "directory" / "deep").write_bytes(b"deep inside")
    (tmp_path / "outside").write_bytes(b"outside")
    return data


@pytest.fixture
def directory(path: Path) -> Iterator[DataDirectory]:
    with DataDirectory(str(path)) as directory:
        yield directory


def contents(directory: DataDirectory, name: bytes) -> bytes:
    file = directory.open(name)
    try:
        return file.read(0, file.size)
    finally:
        file.close()


def names(directory: DataDirectory) -> list[bytes]:
    return b"".join(directory.listing()).split(b"\r\n")[:-2]


def test_a_regular_file_is_served(directory: DataDirectory) -> None:
    assert contents(directory, b"file") == b"inside"
    assert directory.size(b"file") == 6
    assert names(directory) == [b"file"]


@pytest.mark.parametrize(
    ("target", "served"),
    [
        ("file", b"inside"),
        ("directory/deep", b"deep inside"),
        ("directory/../file", b"inside"),
        ("../data/file", b"inside"),
        ("other-link", b"inside"),
    ],
)
def test_a_link_to_a_file_inside_is_followed(
    directory: DataDirectory, path: Path, target: str, served: bytes
) -> None:
    (path / "other-link").symlink_to("file")
    (path / "link").symlink_to(target)
    assert contents(directory, b"link") == served
    assert directory.size(b"link") == len(served)
    assert b"link" in names(directory)


def test_a_link_by_an_absolute_path_to_a_file_inside_is_followed(
    directory: DataDirectory, path: Path
) -> None:
    (path / "link").symlink_to(path / "file")
    assert contents(directory, b"link") == b"inside"


@pytest.mark.parametrize(
    "target",
    [
        "../outside",
        "/etc/passwd",
        "missing",
        "link",
        "directory",
        ".",
        "..",
        "file/x",
        "/proc/self/fd/0",
        "fifo",
    ],
)
def test_a_link_to_anything_else_does_not_exist(directory: DataDirectory, path: Path, target: str) -> None:
    os.mkfifo(path / "fifo")
    (path / "link").symlink_to(target)
    with pytest.raises(NoSuchFileError):
        directory.open(b"link")
    with pytest.raises(NoSuchFileError):
        directory.size(b"link")
    assert names(directory) == [b"file"]


def test_a_directory_of_a_like_name_is_not_inside(
    tmp_path: Path, directory: DataDirectory, path: Path
) -> None:
    """`data-secret` begins with `data`, and is another directory."""
    (tmp_path / "data-secret").mkdir()
    (tmp_path / "data-secret" / "file").touch()
    (path / "link").symlink_to("../data-secret/file")
    with pytest.raises(NoSuchFileError):
        directory.open(b"link")


def test_a_link_that_leads_out_by_a_linked_directory_does_not_exist(
    tmp_path: Path, directory: DataDirectory, path: Path
) -> None:
    (path / "way-out").symlink_to(tmp_path)
    (path / "link").symlink_to("way-out/outside")
    with pytest.raises(NoSuchFileError):
        directory.open(b"link")


def test_what_is_no_regular_file_does_not_exist_and_does_not_block(
    directory: DataDirectory, path: Path
) -> None:
    os.mkfifo(path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        # Relative to a descriptor: the path of a Unix socket has at most 107 bytes.
        descriptor = os.open(path, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{descriptor}/socket")
        os.close(descriptor)
        for name in (b"fifo", b"socket", b"directory", b"missing", b"a" * 255, b"a" * 256):
            with pytest.raises(NoSuchFileError):
                directory.open(name)
            with pytest.raises(NoSuchFileError):
                directory.size(name)
        assert names(directory) == [b"file"]


def test_a_file_that_can_not_be_asked_for_is_not_listed(directory: DataDirectory, path: Path) -> None:
    for name in (b"two words", b"caf\xc3\xa9", b"back\\slash", b"line\nbreak", b"\xff"):
        (path / os.fsdecode(name)).touch()
    assert names(directory) == [b"file"]


def test_a_listing_is_sorted_by_bytes(directory: DataDirectory, path: Path) -> None:
    for name in ("b", "B", "a", "10", "9"):
        (path / name).touch()
    assert names(directory) == [b"10", b"9", b"B", b"a", b"b", b"file"]


def test_two_listings_at_once_do_not_disturb_each_other(directory: DataDirectory, path: Path) -> None:
    for number in range(1200):
        (path / f"f{number}").touch()
    first, second = directory.listing(), directory.listing()
    assert [next(first), next(second)] == [b"", b""]
    assert b"".join(first) == b"".join(second)


def test_a_renamed_directory_is_still_the_one_that_is_served(
    tmp_path: Path, directory: DataDirectory, path: Path
) -> None:
    path.rename(tmp_path / "renamed")
    path.mkdir()
    (path / "file").write_bytes(b"another")
    assert contents(directory, b"file") == b"inside"


@pytest.mark.parametrize(("name", "said"), [("missing", "ENOENT"), ("file", "ENOTDIR"), ("loop", "ELOOP")])
def test_what_is_no_directory_can_not_be_served(path: Path, name: str, said: str) -> None:
    (path / "loop").symlink_to("loop")
    with pytest.raises(DirectoryError, match=said):
        DataDirectory(str(path / name))


def test_a_failed_open_leaves_no_descriptor(directory: DataDirectory, path: Path) -> None:
    (path / "out").symlink_to("../outside")
    (path / "deep").symlink_to("directory/deep")
    (path / "lost").symlink_to("directory/missing")
    before = open_descriptors()
    for name in (b"out", b"lost", b"directory", b"missing"):
        with pytest.raises(NoSuchFileError):
            directory.open(name)
    contents(directory, b"deep")
    directory.kept.drop()
    assert open_descriptors() == before


def test_in_a_moment_a_size_is_looked_for_once(path: Path, directory: DataDirectory) -> None:
    with directory.moment:
        assert directory.size(b"file") == 6
        (path / "file").write_bytes(b"longer than before")
        assert directory.size(b"file") == 6
    assert directory.size(b"file") == 18


def test_a_moment_does_not_know_what_is_not_there(path: Path, directory: DataDirectory) -> None:
    with directory.moment:
        with pytest.raises(NoSuchFileError):
            directory.size(b"late")
        (path / "late").write_bytes(b"here")
        assert directory.size(b"late") == 4


def test_one_closed_file_is_kept_for_who_asks_for_it_again(path: Path, directory: DataDirectory) -> None:
    (path / "other").write_bytes(b"other")
    first, again = directory.open(b"file"), directory.open(b"file")
    assert first.descriptor != again.descriptor, "a file that is being read is nobody else's"
    before = open_descriptors()
    first.close()
    again.close()
    directory.open(b"other").close()
    assert len(before) - len(open_descriptors()) == 1
    kept = directory.open(b"other")
    kept.close()
    assert directory.open(b"other") is kept
    kept.close()


def test_a_kept_file_is_not_taken_for_what_has_its_name_now(path: Path, directory: DataDirectory) -> None:
    file = path / "file"
    changes: list[Callable[[], object]] = [
        lambda: file.write_bytes(b"longer than before"),
        lambda: file.chmod(0o600),
        lambda: (path / "new").replace(file),
    ]
    for change in changes:
        (path / "new").write_bytes(b"inside")
        kept = directory.open(b"file")
        kept.close()
        change()
        assert directory.open(b"file") is not kept
        assert contents(directory, b"file") == file.read_bytes()
    file.unlink()
    with pytest.raises(NoSuchFileError):
        directory.open(b"file")
