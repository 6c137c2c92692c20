"""On a fresh machine: the wheel alone has everything, and three lines say whether a server is reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab.errors import ExitCode
from tests.wheel.installed import ROOT, Installed

# What `netlab --help` has no use for, and what takes its time to import.
HEAVY = {
    "pydantic",
    "rich",
    "ruamel",
    "pyroute2",
    "jinja2",
    "docker",
    "paramiko",
    "asyncio",
    "ssl",
    "matplotlib",
}

THREE_LINES = """\
service: {command: [python3, -m, http.server, --bind, ADDRESS, "{port}"], port: 8000}
lab: lan
expect: [allow: {from: peer, to: lan-ipv4}]
"""


def three_lines(address: str) -> str:
    return THREE_LINES.replace("ADDRESS", address)


def test_nothing_of_the_checkout_is_used(installed: Installed, tmp_path: Path) -> None:
    code = "import hftp, json, netlab, sys; print(json.dumps([hftp.__file__, netlab.__file__, sys.path]))"
    *places, path = json.loads(installed.run(tmp_path, "python", "-c", code).stdout)
    assert all(Path(place).is_relative_to(installed.environment) for place in places)
    assert not [entry for entry in path if Path(entry).is_relative_to(ROOT)]


def test_it_says_what_it_needs(installed: Installed, tmp_path: Path) -> None:
    checked = installed.run(tmp_path, "python", "-m", "pip", "check")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.usefixtures("labs")
def test_three_lines_are_green_where_the_server_is_reached(installed: Installed, tmp_path: Path) -> None:
    assert len(THREE_LINES.splitlines()) == 3
    (tmp_path / "netlab.yaml").write_text(three_lines('"{address}"'))
    checked = installed.run(tmp_path, "netlab", "check")
    assert checked.returncode == ExitCode.OK, checked.stdout + checked.stderr
    assert "1 of 1 as expected" in checked.stdout


@pytest.mark.usefixtures("labs")
def test_three_lines_are_red_with_a_reason_where_it_is_not(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "netlab.yaml").write_text(three_lines("127.0.0.1"))
    checked = installed.run(tmp_path, "netlab", "check")
    assert checked.returncode == ExitCode.DISAGREES, checked.stdout + checked.stderr
    assert "any: peer dials lan-ipv4 (198.18.1.11): expected allow (open), observed refused" in checked.stdout
    assert "(listening: 127.0.0.1:8000)" in checked.stdout
    assert "to open it: bind 0.0.0.0 or 198.18.1.11" in checked.stdout


@pytest.mark.usefixtures("labs")
def test_the_wheel_alone_runs_the_experiment_and_draws_it(installed: Installed, tmp_path: Path) -> None:
    ran = installed.run(
        tmp_path, "netlab", "run", "--html", "run.html", "--svg", "run.svg", "--json", "run.json"
    )
    assert ran.returncode == ExitCode.OK, ran.stdout + ran.stderr
    assert "312 as predicted" in " ".join(ran.stdout.split())
    assert {path.name for path in tmp_path.iterdir()} >= {"run.html", "run.svg", "run.json"}


@pytest.mark.usefixtures("labs")
def test_the_wheel_alone_begins_a_check_validates_it_and_runs_it(
    installed: Installed, tmp_path: Path
) -> None:
    for command in (["init"], ["validate"], ["check"], ["schema", "-"]):
        ended = installed.run(tmp_path, "netlab", *command)
        assert ended.returncode == ExitCode.OK, (command, ended.stdout, ended.stderr)
    assert json.loads(ended.stdout) == json.loads((tmp_path / "netlab.schema.json").read_text())


def test_the_lab_in_containers_is_in_the_wheel(installed: Installed) -> None:
    (packaged,) = installed.environment.glob("lib/python*/site-packages/netlab/compose.yaml")
    assert packaged.read_bytes() == (ROOT / "compose.yaml").read_bytes()


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["scan", "--compose", "shop"], "compose"),
        (["why", "web", "db:5432", "--compose", "shop"], "compose"),
        (["scan", "-i", "lab.yaml"], "ssh"),
        (["why", "lab01", "lab01:22", "-i", "lab.yaml"], "ssh"),
        (["deploy", "-i", "lab.yaml"], "ssh"),
        (["rollback"], "ssh"),
        (["undeploy"], "ssh"),
        (["status"], "ssh"),
        (["logs", "lab01"], "ssh"),
        (["run", "-i", "lab.yaml"], "ssh"),
    ],
)
def test_what_an_extra_is_for_names_the_command_that_installs_it(
    installed: Installed, tmp_path: Path, command: list[str], extra: str
) -> None:
    (tmp_path / "lab.yaml").write_text("hosts: {lab01: {address: 192.0.2.1}}\nserve: {hosts: [lab01]}\n")
    ended = installed.run(tmp_path, "netlab", *command)
    assert ended.returncode == ExitCode.UNAVAILABLE, ended.stderr
    assert f"pip install 'hftp-netlab[{extra}]'" in ended.stderr


def test_help_imports_nothing_that_it_has_no_use_for(installed: Installed, tmp_path: Path) -> None:
    code = "import sys; from netlab.cli import main; main(['--help']); print(*sys.modules)"
    helped = installed.run(tmp_path, "python", "-c", code)
    assert "Usage: netlab" in helped.stdout
    loaded = {module.partition(".")[0] for module in helped.stdout.splitlines()[-1].split()}
    assert loaded & HEAVY == set()
