"""The command, run as a user runs it: what goes where, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from netlab.errors import ExitCode

ONE_CELL = ("--bind", "0.0.0.0", "--from", "peer")
# A terminal of 80 columns that can write anything; no colours, since nobody looks.
ENVIRONMENT = {**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1", "TERM": "dumb"}


pytestmark = pytest.mark.usefixtures("namespaces")


def netlab(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netlab", *arguments],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **changed},
        timeout=60,
    )


def test_the_screen_goes_to_standard_output_and_nothing_else_does() -> None:
    ended = netlab("run")
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert ended.stderr == ""
    first = " ".join(ended.stdout.splitlines()[:2])
    assert "13 binds x 24 cells, 312 measured, 312 as predicted" in first
    assert all(len(line) <= 80 for line in ended.stdout.splitlines())
    assert "0.0.0.0      ● ● ● ✗ ● ● ● ✗ ●   ● ● ✗ ● ✗   ● ● ✗ ⊘ ✗   ? ⊘ ⊘ ⊘ ✗" in ended.stdout


def test_a_terminal_without_unicode_gets_ascii() -> None:
    ended = netlab("run", *ONE_CELL, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert ended.stdout.isascii()
    assert "0.0.0.0  O O x O x" in ended.stdout


def test_json_on_standard_output_is_nothing_but_json() -> None:
    ended = netlab("run", *ONE_CELL, "--json", "-")
    record = json.loads(ended.stdout)
    assert len(record["cells"]) == 5
    assert all(cell["agrees"] for cell in record["cells"])
    opened = next(cell for cell in record["cells"] if cell["target"] == "lan-ipv4")
    assert (opened["bind"], opened["host"], opened["vantage"]) == ("0.0.0.0", "server-any", "peer")
    assert opened["address"] == "198.18.1.14"
    assert opened["prediction"]["verdict"] == opened["observation"]["verdict"] == "open"
    assert [step["kind"] for step in opened["prediction"]["reason"]] == [
        *("bind", "route", "delivery", "listener", "answer")
    ]
    assert "0.0.0.0" in ended.stderr  # the screen, for people


def test_json_and_the_picture_are_written_whole(tmp_path: Path) -> None:
    file, picture = tmp_path / "run.json", tmp_path / "run.svg"
    file.write_text("before")
    ended = netlab("run", *ONE_CELL, "--json", str(file), "--svg", str(picture))
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert len(json.loads(file.read_text())["cells"]) == 5
    assert picture.read_text().startswith("<svg ")
    assert "●" in picture.read_text()
    assert sorted(tmp_path.iterdir()) == [file, picture]


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        ended = netlab("run", *ONE_CELL, "--json", str(pipe))
        assert reader.stdout is not None
        assert json.loads(reader.stdout.read())["experiment"] == "bind-address"
    assert ended.returncode == ExitCode.OK
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            ("127.0.0.1", "peer", "lan-ipv4"),
            (
                "predicted refused, observed refused",
                "listener",
                "ECONNREFUSED after",
                "To open it: bind 0.0.0.0",
            ),
        ),
        (
            ("0.0.0.0", "peer", "lan-ipv4"),
            ("predicted open, observed open", "takes it", "the answer has this run"),
        ),
        (
            ("::", "remote", "back-ipv4"),
            (
                "predicted unreachable (ENETUNREACH), observed unreachable (ENETUNREACH)",
                "route",
                "To open it: give",
            ),
        ),
        (
            ("::", "outsider", "name"),
            ("predicted unresolved (EAI_NONAME), observed unresolved (EAI_NONAME)", "getaddrinfo"),
        ),
        (
            ("not-ours", "peer", "name"),
            ("predicted not-bound (EADDRNOTAVAIL)", "exit code", "To open it: bind 0.0.0.0, the wildcard"),
        ),
    ],
)
def test_one_cell_is_explained(cell: tuple[str, str, str], said: tuple[str, ...]) -> None:
    ended = netlab("run", "--explain", *cell, COLUMNS="200")
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert ended.stdout.startswith(f"{cell[0]}: {cell[1]} dials {cell[2]} (")
    places = [ended.stdout.index(text) for text in said]
    assert places == sorted(places)


def experiment(folder: Path, program: str) -> str:
    """Write the standard experiment with a Python program as its service; return the file."""
    text = resources.files("netlab.experiments").joinpath("bind-address.yaml").read_text()
    before, _, rest = text.partition("  command:")
    command = json.dumps(["{python}", "-c", program, "{address}", "{port}"])
    file = folder / "own.yaml"
    file.write_text(f"{before}  command: {command}\n{rest[rest.index('  options:') :]}")
    return str(file)


def test_a_disagreement_is_marked_told_and_the_exit_code(tmp_path: Path) -> None:
    hangs_up = (
        "import socket, sys\n"
        "sock = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
        "while True: sock.accept()[0].close()"
    )
    ended = netlab("run", experiment(tmp_path, hangs_up), *ONE_CELL)
    assert ended.returncode == ExitCode.DISAGREES
    assert "! not as predicted" in ended.stdout
    assert "0.0.0.0 peer lan-ipv4: predicted open, observed accepted" in ended.stdout
    assert "◐!" in ended.stdout


def test_a_service_that_dies_is_told_with_what_it_said_and_the_exit_code(tmp_path: Path) -> None:
    ended = netlab("run", experiment(tmp_path, "raise SystemExit('no licence')"), *ONE_CELL)
    assert ended.returncode == ExitCode.NOT_MEASURED
    assert "0.0.0.0 peer name and 4 more: not measured" in ended.stdout
    assert "no licence" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("options", [ONE_CELL, (*ONE_CELL, "--json", "-")])
def test_a_reader_that_has_seen_enough_is_no_failure(options: tuple[str, ...]) -> None:
    """`netlab run | head -1`, and a reader that is gone before the first line."""
    command = [sys.executable, "-m", "netlab", "run", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read().decode()
        assert running.wait(30) == ExitCode.OK
    assert "Traceback" not in said
    assert "Broken" not in said


def test_doctor_says_that_the_backend_works() -> None:
    ended = netlab("doctor")
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert "netns: works: Linux " in ended.stdout
