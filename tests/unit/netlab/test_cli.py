"""What a user of the command can get wrong: one line on standard error, exit code 2, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab import __version__
from netlab.cli import main
from netlab.errors import BackendUnavailableError, ExitCode, ExperimentError, LabError, NetlabError

if TYPE_CHECKING:
    from collections.abc import Iterator

BINDS = (
    "localhost, 127.0.0.1, 127.0.0.2, 0.0.0.0, ::1, ::, ::v6only, "
    "lan-ipv4, lan-ipv6, back-ipv4, back-device, hostname, not-ours"
)


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["xyzzy"], "No such command 'xyzzy'. (see 'netlab --help')"),
        (["run", "--bogus"], "No such option '--bogus'. (see 'netlab run --help')"),
        (["run", "a", "b"], "Got unexpected extra argument (b) (see 'netlab run --help')"),
        (["run", "--json"], "Option '--json' requires an argument. (see 'netlab run --help')"),
        (
            ["run", "--explain", "a", "b"],
            "Option '--explain' requires 3 arguments. (see 'netlab run --help')",
        ),
        (
            ["run", "--explain", "::", "peer", "name", "--bind", "::"],
            "--explain names one cell: it goes without --bind and --from (see 'netlab run --help')",
        ),
        (
            ["run", "other"],
            "no experiment is called 'other': there is bind-address, or the path of a .yaml file",
        ),
        (["run", "other.yaml"], "other.yaml: No such file or directory"),
        (["run", "--backend", "vmware"], "no backend is called 'vmware': there is netns, compose"),
        (["run", "--bind", "lo"], f"no bind is called 'lo': there is {BINDS}"),
        (["run", "--from", "mars"], "no vantage is called 'mars': there is server, peer, remote, outsider"),
        (["run", "--explain", "lo", "peer", "name"], f"no bind is called 'lo': there is {BINDS}"),
        (
            ["run", "--explain", "::", "mars", "name"],
            "no vantage is called 'mars': there is server, peer, remote, outsider",
        ),
        (
            ["run", "--explain", "::", "peer", "hostname"],
            "no target of peer is called 'hostname' (did you mean 'name'?): there is name, "
            "lan-ipv4, lan-ipv6, back-ipv4, 127.0.0.1",
        ),
        (["run", "--json", "no/where.json"], "no/where.json: there is no directory no"),
        (["run", "--svg", "no/where.svg"], "no/where.svg: there is no directory no"),
        (["run", "--json", "."], ".: is a directory; name a file in it"),
        (["run", "--json", ""], "--json wants the name of a file"),
        (["run", "--html", "no/where.html"], "no/where.html: there is no directory no"),
        (
            ["run", "--html", "-", "--json", "-"],
            "--json and --html: only one of them can be standard output",
        ),
        (
            ["run", "--html", "it", "--json", "./it"],
            "--json and --html: only one of them can be ./it",
        ),
        (
            ["run", "x.yaml", "--json", "./x.yaml"],
            "--json: ./x.yaml is what is read, and would be written over",
        ),
        (
            ["check", "--html", "netlab.yaml"],
            "--html: netlab.yaml is what is read, and would be written over",
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == ExitCode.USAGE
    said = capsys.readouterr()
    assert said.err == f"netlab: {message}\n"
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_can_not_be_written_to_is_found_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    assert main(["run", "--json", f"{tmp_path}/it.json"]) == ExitCode.USAGE
    assert capsys.readouterr().err.endswith(f"{tmp_path} can't be written to\n")


def test_without_a_command_there_is_help_and_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == ExitCode.USAGE
    said = capsys.readouterr()
    assert said.err.startswith("Usage: netlab [OPTIONS] COMMAND [ARGS]...\n")
    assert said.out == ""


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["run"], ["doctor"], ["scan"], ["ls"], ["down"], ["clients"]])
def test_every_command_has_help(command: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, option]) == ExitCode.OK
    said = capsys.readouterr()
    assert said.out.startswith(f"Usage: {' '.join(['netlab', *command])} ")
    assert said.err == ""


def test_the_help_of_run_says_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit code: 0 every cell was measured and is as predicted; 1 one is not as predicted" in text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"netlab, version {__version__}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NetlabError("x"), 2),
        (ExperimentError("f.yaml", 1, "a", "b"), 2),
        (LabError("x"), 3),
        (BackendUnavailableError("netns", "why", "what to do"), 4),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: NetlabError, code: int) -> None:
    assert error.exit_code == code
    assert "\n" not in str(error)


def test_the_module_runs_as_the_command_does() -> None:
    ended = subprocess.run([sys.executable, "-m", "netlab", "run", "other"], capture_output=True, text=True)
    assert ended.returncode == ExitCode.USAGE
    assert ended.stderr.startswith("netlab: no experiment is called 'other'")


def test_help_answers_without_loading_what_it_does_not_need() -> None:
    """No Docker, no netlink, no YAML for `--help`: they cost most of a second on a slow machine."""
    program = (
        "import sys; from netlab.cli import main; main(['--help']); "
        "print([m for m in ('docker', 'pyroute2', 'ruamel.yaml', 'pydantic', 'rich') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--help"]])
def test_a_full_disk_is_told_in_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "netlab", *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.stderr == "netlab: the output can't be written: No space left on device\n"
    assert ended.returncode == ExitCode.USAGE
