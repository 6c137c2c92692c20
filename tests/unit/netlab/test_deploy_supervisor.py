"""The supervisor that ships with a release, run with servers that do all sorts of things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netlab.deploy import supervisor
from netlab.deploy.supervisor import LOGS_KEPT, Log

SOURCE = Path(supervisor.__file__)


@contextmanager
def supervised(base: Path, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the supervisor with a program in the server's place."""
    release = base / "releases" / "one"
    release.mkdir(parents=True)
    (release / "hftp.pyz").write_text(program)
    serve = {"addresses": ["127.0.0.1"], "port": 1, "directory": "."}
    (release / "release.json").write_text(json.dumps({"serve": serve}))
    (base / "current").symlink_to("releases/one")
    with subprocess.Popen([sys.executable, "-I", "-S", SOURCE, "supervise", base]) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def state(base: Path) -> dict[str, Any]:
    """Return what it says of the server; nothing yet is an empty one."""
    try:
        read: dict[str, Any] = json.loads((base / "run" / "state.json").read_text())
    except FileNotFoundError:
        return {}
    return read


def wait_log(base: Path, text: str) -> str:
    """Wait until the log has a text in it."""
    deadline = time.monotonic() + 20
    while True:
        log = base / "log" / "server.log"
        said = log.read_text() if log.exists() else ""
        if text in said:
            return said
        assert time.monotonic() < deadline, said
        time.sleep(0.01)


def test_a_server_that_ends_is_started_again_later_and_later(tmp_path: Path) -> None:
    with supervised(tmp_path, "print('here I am', flush=True)\nraise SystemExit(7)\n"):
        said = wait_log(tmp_path, "starts again in 0.8 s")
    assert said.count("here I am") >= 3
    assert "the server ended: exit code 7; it starts again in 0.2 s" in said


def test_it_ends_its_server_when_it_is_told_to_end(tmp_path: Path) -> None:
    program = "import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(60)\n"
    with supervised(tmp_path, program) as process:
        said = wait_log(tmp_path, "pid ")
        pid = int(said.split()[1])
        assert state(tmp_path)["pid"] == pid
        process.terminate()
        assert process.wait(20) == 0
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = (
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)\n"
    )
    with supervised(tmp_path, program) as process:
        wait_log(tmp_path, "deaf")
        started = time.monotonic()
        process.terminate()
        assert process.wait(20) == 0
        assert time.monotonic() - started < 15


def test_there_is_one_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(60)\n"):
        wait_log(tmp_path, "up")
        argv = [sys.executable, "-I", "-S", str(SOURCE), "supervise", str(tmp_path)]
        assert subprocess.run(argv, check=False, timeout=20).returncode == 0


def test_a_killed_supervisor_leaves_no_lock(tmp_path: Path) -> None:
    with supervised(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(2)\n") as process:
        wait_log(tmp_path, "up")
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        with subprocess.Popen([sys.executable, "-I", "-S", SOURCE, "supervise", tmp_path]) as second:
            deadline = time.monotonic() + 20
            while (tmp_path / "log" / "server.log").read_text().count("up") < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            second.terminate()
            assert second.wait(20) == 0


def test_what_the_server_prints_is_kept_and_rotated(tmp_path: Path) -> None:
    program = "import time\nfor number in range(6000): print('x' * 1023)\n"
    program += "print('done', flush=True)\ntime.sleep(60)\n"
    with supervised(tmp_path, program):
        wait_log(tmp_path, "done")
    logs = sorted((tmp_path / "log").iterdir())
    assert len(logs) == 1 + LOGS_KEPT
    assert all(log.stat().st_size <= supervisor.LOG_BYTES for log in logs)


def test_a_log_begins_anew_before_it_grows_too_long(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    log = Log(str(path), limit_bytes=10)
    for piece in (b"aaaaaa", b"bbbbbb", b"cccccc", b"dddddd", b"eeeeee"):
        log.write(piece)
    log.close()
    assert path.read_bytes() == b"eeeeee"
    assert (tmp_path / "server.log.1").read_bytes() == b"dddddd"
    assert len(os.listdir(tmp_path)) == 1 + LOGS_KEPT  # noqa: PTH208
