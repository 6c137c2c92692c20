"""What labels say of runs, and how much of it is believed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

leftovers = pytest.importorskip("netlab.backends.compose.leftovers", reason="the docker SDK is not installed")

RUN = "0123abcd"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for temporary files of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_directory_that_was_made_for_a_run_is_of_that_run(temporary: Path) -> None:
    made = leftovers.new_directory(RUN)
    assert made.parent == temporary
    assert leftovers.is_of_run(made, RUN)
    assert not leftovers.is_of_run(made, "4567cdef")


def test_no_other_place_is_however_it_is_written(temporary: Path) -> None:
    (temporary / f"netlab-{RUN}-file").touch()
    (temporary / f"netlab-{RUN}-link").symlink_to(Path.home())
    (temporary / f"netlab-{RUN}-real").mkdir()
    (temporary / "precious").mkdir()
    for place in (
        *("/", "/etc", "", ".", "..", str(temporary)),
        str(temporary / "precious"),
        str(temporary / f"netlab-{RUN}-real/../precious"),
        str(temporary / f"netlab-{RUN}-real/.."),
        str(temporary / f"netlab-{RUN}-file"),
        str(temporary / f"netlab-{RUN}-link"),
        str(temporary / f"netlab-{RUN}-link/x"),
        str(temporary / f"netlab-{RUN}-gone"),
        f"netlab-{RUN}-real",
        str(temporary / f"netlab-{RUN}-\0"),
    ):
        assert not leftovers.is_of_run(Path(place), RUN), place


def test_labels_tell_whose_a_run_is() -> None:
    said = leftovers.labels(RUN)
    owner = leftovers.read_owner(said[leftovers.OWNER_LABEL])
    assert owner == leftovers.this_process()
    assert owner.process == os.getpid() and owner.machine == socket.gethostname()
    assert owner.here and owner.alive
    assert said[leftovers.RUN_LABEL] == RUN


@pytest.mark.parametrize(
    "said",
    [
        "",
        "1",
        "1 2",
        "-1 2 here",
        "1 2 he re",
        "1 2 \x1b[2J",
        "9" * 40 + " 1 x",
        "1 1 " + "x" * 65,
        "1 1 x\n",
    ],
)
def test_an_owner_that_is_none_is_not_believed(said: str) -> None:
    assert leftovers.read_owner(said) is None


def test_a_process_that_has_ended_or_started_later_is_not_the_owner() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = leftovers._started(process.pid)
        owner = leftovers.Owner(process.pid, started, socket.gethostname())
        assert owner.alive
        assert not leftovers.Owner(process.pid, started - 1, owner.machine).alive, "its id was given again"
    assert not owner.alive


def test_a_run_is_abandoned_only_if_its_process_is_known_to_be_gone() -> None:
    mine = leftovers.this_process()
    for owner, abandoned, shown in (
        (mine, False, f"running, process {os.getpid()}"),
        (leftovers.Owner(os.getpid(), 0, mine.machine), True, "left behind"),
        (leftovers.Owner(1, 1, "elsewhere"), False, "running, process 1 on elsewhere"),
        (None, True, "left behind"),
    ):
        it = leftovers.Leftover(RUN, owner, ("a", "b"), ("c",), (), None)
        assert it.abandoned is abandoned
        assert str(it) == f"{RUN}: {shown}: 2 containers, 1 network"


def test_a_run_that_was_killed_before_it_asked_for_anything_is_known_by_its_directory(
    temporary: Path,
) -> None:
    made = leftovers.new_directory(RUN)
    (temporary / "netlab-4567cdef-1-1").mkdir()  # not of that form
    assert leftovers._directories() == {RUN: made}
    it = leftovers._leftover(RUN, (), made)
    assert it.owner == leftovers.this_process()
    assert str(it) == f"{RUN}: running, process {os.getpid()}: a directory"
