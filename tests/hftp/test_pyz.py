"""hftp.pyz: one file, the same bytes from the same sources, on the oldest and the newest Python at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hftp.serving import APP, PATIENCE_SECONDS


def build(target: Path, tree: Path = APP) -> Path:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run([sys.executable, "-m", "hftp.pyz", target], env=environment, check=True)
    return target


def pythons() -> list[str]:
    """Find the oldest and the newest Python here that it should run on."""
    names = [name for minor in range(9, 20) if (name := shutil.which(f"python3.{minor}"))]
    working = [name for name in names if subprocess.run([name, "-V"], capture_output=True).returncode == 0]
    return sorted({working[0], working[-1]}) if working else [sys.executable]


def test_the_same_sources_make_the_same_file(tmp_path: Path) -> None:
    tree = tmp_path / "copy"
    shutil.copytree(APP, tree, ignore=shutil.ignore_patterns("__pycache__"))  # with other dates
    copied = build(tmp_path / "copied.pyz", tree)
    assert build(tmp_path / "hftp.pyz").read_bytes() == copied.read_bytes()
    assert (tmp_path / "hftp.pyz").stat().st_mode & 0o111


@pytest.mark.parametrize("python", pythons())
def test_it_serves_and_fetches(data: Path, tmp_path: Path, python: str) -> None:
    pyz = build(tmp_path / "hftp.pyz")
    command = [python, "-I", str(pyz)]
    server = subprocess.Popen(
        [*command, "serve", "-a", "127.0.0.1", "-p", "0", "-d", str(data)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("listening on ").strip()
        for arguments, output in (["ls", address], "f\nhuge\nmib\n"), (["stat", address, "f"], "41 f\n"):
            ended = subprocess.run(
                [*command, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
            )
            assert (ended.returncode, ended.stdout, ended.stderr) == (0, output, "")
    finally:
        server.terminate()
        server.communicate()
    assert server.returncode == 0
