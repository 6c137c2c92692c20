"""`hftp ls|stat|get|cat|help`: output on stdout, talk on stderr, one line an error, an exit code a kind."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from hftp.cli import main
from hftp.exits import Exit
from tests.hftp.conftest import make_data
from tests.hftp.serving import PATIENCE_SECONDS, PYTHON, environment, hftp, running_server, wait_until
from tests.requirements import require_ipv6

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hftp.serving import RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One for all of these: none of them changes it."""
    with running_server(make_data(tmp_path_factory.mktemp("shared") / "data")) as server:
        yield server


@pytest.fixture
def at(server: RunningServer) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["ls"], "f\nhuge\nmib\n"),
        (["stat", "f", "mib"], "41 f\n1048576 mib\n"),
        (["cat", "f", "f"], "!Que calor que hace hoy, pinta una birra!" * 2),
        (["cat", "--raw", "f"], "!Que calor que hace hoy, pinta una birra!"),
        (["cat", "--base64", "f"], "!Que calor que hace hoy, pinta una birra!"),
        (["help"], "get_file_listing\nget_metadata\nget_slice\nhelp\nquit\n"),
    ],
)
def test_output_is_what_was_asked_and_nothing_else(
    at: str, arguments: list[str], output: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command, *names = arguments
    assert main([command, at, *names]) == Exit.OK
    assert capfd.readouterr() == (output, "")


def test_get_writes_files_here(at: str, server: RunningServer, tmp_path: Path) -> None:
    ended = hftp("get", at, "f", "mib", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    for name in ("f", "mib"):
        assert (tmp_path / name).read_bytes() == (server.directory / name).read_bytes()


def test_get_all_writes_what_is_listed(data: Path, tmp_path: Path) -> None:
    (data / "huge").unlink()
    (tmp_path / "here").mkdir()
    with running_server(data) as server:
        at = f"127.0.0.1:{server.port}"
        assert main(["get", at, "--all", "-o", str(tmp_path / "here"), "--jobs", "2"]) == Exit.OK
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["f", "mib"]


def test_get_output_names_the_file(at: str, server: RunningServer, tmp_path: Path) -> None:
    assert main(["get", at, "mib", "--output", str(tmp_path / "other")]) == Exit.OK
    assert (tmp_path / "other").read_bytes() == (server.directory / "mib").read_bytes()


def test_a_link_that_the_user_names_stays_one(at: str, server: RunningServer, tmp_path: Path) -> None:
    """As root, who may replace /dev/stdout, which is one."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert main(["get", at, "mib", "--output", str(tmp_path / "link")]) == Exit.OK
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == (server.directory / "mib").read_bytes()


def test_get_shows_progress_on_a_terminal(at: str, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    ended = subprocess.run(
        [PYTHON, "-m", "hftp", "get", at, "mib"],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=follower,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert ended.returncode == 0
    assert "mib [" in shown
    assert "100%" in shown
    assert shown.endswith("\n")


def test_an_ipv6_literal_is_a_host(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    require_ipv6()
    with running_server(data, "-a", "::1") as server:
        assert main(["ls", f"[::1]:{server.port}"]) == Exit.OK
    assert capfd.readouterr().out == "f\nhuge\nmib\n"


def test_a_reader_that_goes_away_is_no_error(at: str) -> None:
    """Like `hftp cat ... | head -c 10`."""
    process = subprocess.Popen(
        [PYTHON, "-m", "hftp", "cat", at, "huge"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(PATIENCE_SECONDS) == Exit.BROKEN_PIPE


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_ctrl_c_ends_without_a_traceback(at: str, tmp_path: Path, jobs: str) -> None:
    process = subprocess.Popen(
        [PYTHON, "-m", "hftp", "get", at, "huge", "--jobs", jobs],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    part = tmp_path / "huge.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 0, "downloading")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE_SECONDS) == (b"", b"")
    assert process.returncode == Exit.INTERRUPTED


def says_one_line(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command that fails; give its exit code and its line."""
    try:
        code = main(arguments)
    except SystemExit as ended:  # argparse
        code = int(ended.code or 0)
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    return code, errors


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["stat", "AT", "missing"], Exit.REFUSED_REQUEST, "202 FILE NOT FOUND"),
        (["cat", "AT", "missing"], Exit.REFUSED_REQUEST, "202 FILE NOT FOUND"),
        (["get", "AT", "missing"], Exit.REFUSED_REQUEST, "202 FILE NOT FOUND"),
        (["stat", "AT", "../f"], Exit.USAGE, "can't be a file name"),
        (["get", "AT", "a/b"], Exit.USAGE, "can't be a file name"),
        (["get", "AT"], Exit.USAGE, "name the files"),
        (["get", "AT", "f", "--all"], Exit.USAGE, "name the files"),
        (["get", "AT", "f", "mib", "-o", "/nonexistent"], Exit.USAGE, "need a directory"),
        (["get", "AT", "f", "-o", "/nonexistent/f"], Exit.FAILED, "/nonexistent/f.part: No such file"),
        (["get", "AT", "f", "--jobs", "0"], Exit.USAGE, "from 1 to 64"),
        (["get", "AT", "f", "--raw", "--base64"], Exit.USAGE, "not allowed with"),
        (["stat", "AT"], Exit.USAGE, "NAME"),
        (["ls", "AT", "--timeout", "0"], Exit.USAGE, "leave no time"),
        (["ls", "AT", "--timeout", "1e12"], Exit.USAGE, "from 0 to 1000000"),
        (["serve", "--idle-time", "inf"], Exit.USAGE, "from 0 to 1000000"),
        (["ls", "nobody.invalid"], Exit.UNKNOWN_HOST, "nobody.invalid"),
        (["ls", "127.0.0.1:1"], Exit.UNREACHABLE, "ECONNREFUSED"),
        (["ls", "127.0.0.1:port"], Exit.USAGE, "from 0 to 65535"),
        (["ls", "[::1"], Exit.USAGE, "[ADDRESS]:PORT"),
        (["ls", "::1:19500"], Exit.USAGE, "[ADDRESS]:PORT"),
        (["get", "AT", "f", "-o", "-"], Exit.USAGE, "hftp cat"),
        (["get", "AT", "f", "-o", ""], Exit.USAGE, "hftp cat"),
        (["serve", "-d", ""], Exit.USAGE, "no directory"),
        (["ls", ""], Exit.USAGE, "no host"),
        (["ls"], Exit.USAGE, "HOST"),
        (["sl", "AT"], Exit.USAGE, "sl"),
        ([], Exit.USAGE, "COMMAND"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    at: str, arguments: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ended, line = says_one_line(capfd, *(at if argument == "AT" else argument for argument in arguments))
    assert said in line
    assert ended == code


def test_a_silent_server_is_a_timeout(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        code, line = says_one_line(capfd, "ls", at, "--timeout", "0.1")
    assert code == Exit.TIMEOUT
    assert "for the status line for 0.1 s" in line


def test_an_error_ends_a_process_without_a_traceback(at: str) -> None:
    """As above, in a process of its own."""
    ended = hftp("stat", at, "missing")
    assert ended.returncode == 9
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr
