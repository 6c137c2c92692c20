"""hftp.pyz: one file, the same bytes from the same sources, on the oldest and the newest Python at hand."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hftp import strategies
from tests.hftp.conftest import FILES
from tests.hftp.serving import APP, PATIENCE_SECONDS
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian 11, whose Python is 3.9: `make debian-11`.
OLD_RELEASE = Path(__file__).parents[2] / "build" / "debian-11"


def build(target: Path, tree: Path = APP) -> Path:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run([sys.executable, "-m", "hftp.pyz", target], env=environment, check=True)
    return target


def newest_python() -> str:
    """Find the newest Python at hand: on the path, or kept by pyenv."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(20, sys.version_info.minor, -1):
        for python in (shutil.which(f"python3.{minor}"), *kept.glob(f"3.{minor}.*/bin/python3")):
            if python and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
                return str(python)
    return sys.executable


class Place(NamedTuple):
    """Where a Python runs.

    Attributes:
        command: What runs it.
        root: Its root directory.
        path: A directory of it for this module's files.
    """

    command: tuple[str, ...]
    root: Path
    path: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the file to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    @contextlib.contextmanager
    def serving(self, *flags: str) -> Iterator[str]:
        """Serve the files; give the address. The server must end well, and say nothing."""
        process = subprocess.Popen(
            [*self.command, "serve", "-a", "127.0.0.1", "-p", "0", "-d", self.inside("data"), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, errors) == (0, "")

    def inside(self, name: str) -> str:
        """Give the path of a file as this Python sees it."""
        return f"/{(self.path / name).relative_to(self.root)}"


@pytest.fixture(scope="module", params=["3.9", "newest"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A directory with the file, and files to be served, for each Python."""
    with contextlib.ExitStack() as stack:
        if request.param == "3.9":
            if os.geteuid() or not OLD_RELEASE.is_dir():
                unavailable("python3.9", "as root, try: make debian-11")
            root = OLD_RELEASE
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=root / "tmp")))
            command = ["chroot", str(root), "python3"]
            assert subprocess.check_output([*command, "-V"]).startswith(b"Python 3.9.")
        else:
            root, path = Path("/"), tmp_path_factory.mktemp("pyz")
            command = [newest_python()]
        build(path / "hftp.pyz")
        (path / "data").mkdir()
        for name, text in FILES.items():
            (path / "data" / name).write_bytes(text)
        yield Place((*command, "-I", f"/{(path / 'hftp.pyz').relative_to(root)}"), root, path)


def test_the_same_sources_make_the_same_file(tmp_path: Path) -> None:
    tree = tmp_path / "copy"
    shutil.copytree(APP, tree, ignore=shutil.ignore_patterns("__pycache__"))  # with other dates
    copied = build(tmp_path / "copied.pyz", tree)
    assert build(tmp_path / "hftp.pyz").read_bytes() == copied.read_bytes()
    assert (tmp_path / "hftp.pyz").stat().st_mode & 0o111


@pytest.mark.parametrize("flags", [*(["--strategy", name] for name in strategies.NAMES), ["--workers", "2"]])
def test_it_serves_and_fetches(place: Place, flags: list[str]) -> None:
    with place.serving(*flags) as address, tempfile.TemporaryDirectory(dir=place.path) as fetched:
        output = place.inside(Path(fetched).name)
        ended = place.run("get", address, "--all", "--jobs", "2", "-o", output)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert {path.name: path.read_bytes() for path in Path(fetched).iterdir()} == FILES


def test_each_of_its_commands_runs(place: Place) -> None:
    with place.serving("--log", place.inside("log"), "--log-format", "json") as address:
        for arguments, code, output in (
            (["ls", address], 0, "f\nhuge\nmib\n"),
            (["stat", address, "f"], 0, "41 f\n"),
            (["cat", address, "f", "--base64"], 0, FILES["f"].decode()),
            (["help", address], 0, "get_file_listing\nget_metadata\nget_slice\nhelp\nquit\n"),
            (["health", address], 0, ""),
            (["stat", address, "missing"], 9, ""),
        ):
            ended = place.run(*arguments)
            assert (ended.returncode, ended.stdout) == (code, output), ended
            assert ended.stderr.count("\n") == (code != 0)
    assert '"command": "get_metadata missing", "code": 202' in (place.path / "log").read_text()
