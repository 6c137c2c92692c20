"""The examples of real services that the docs have, run, and held against what they and the docs say."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.namespaces import need_namespaces
from tests.requirements import unavailable

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs/examples").glob("netlab-*.yaml"))
PAGE = (ROOT / "docs/services.md").read_text(encoding="utf-8")

# The program of each.
PROGRAMS = {
    "dnsmasq": "dnsmasq",
    "http-server": sys.executable,
    "nginx": "nginx",
    "node": "node",
    "postgresql": "postgres",
    "redis": "redis-server",
    "sshd": "sshd",
    "udp": sys.executable,
}
# Where Debian and Ubuntu have them, beside PATH.
PLACES = ("/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))

SEAL = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# The server accepts and then serves not everybody: what listens does not show it, so it can't be predicted.
OF_THE_SERVER_ITSELF = ("accepted", "wrong-service", "no-answer")


@pytest.fixture(scope="module", autouse=True)
def available() -> None:
    need_namespaces()


@dataclass(frozen=True)
class Ended:
    """What came of a command on a sealed machine: see `sealed`."""

    code: int
    stdout: str
    stderr: str
    left: list[str]


def sealed(*command: str) -> Ended:
    as_user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    ended = subprocess.run(
        ["unshare", *as_user, *SEAL, sys.executable, "-B", "-m", "tests.services.sealed", *command],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "PYTHONUTF8": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return Ended(**json.loads(ended.stdout))


@functools.cache
def checked(name: str) -> tuple[Ended, list[dict[str, Any]]]:
    """Check an example, once for all tests; return how the command ended, and the cells."""
    if not shutil.which(PROGRAMS[name], path=os.pathsep.join((os.environ["PATH"], *PLACES))):
        unavailable("services", f"{PROGRAMS[name]} is not installed")
    file = f"docs/examples/netlab-{name}.yaml"
    ended = sealed(sys.executable, "-m", "netlab", "check", file, "--json", "-")
    return ended, json.loads(ended.stdout)["cells"] if ended.stdout else []


def test_a_service_that_listens_elsewhere_than_its_example_says_is_noticed(tmp_path: Path) -> None:
    text = (ROOT / "docs/examples/netlab-http-server.yaml").read_text(encoding="utf-8")
    file = tmp_path / "netlab.yaml"
    file.write_text(text.replace("  127.0.0.1: 127.0.0.1\n", "  127.0.0.1: 0.0.0.0\n"), encoding="utf-8")
    ended = sealed(sys.executable, "-m", "netlab", "check", str(file))
    assert ended.code == 1, ended.stderr
    assert "127.0.0.1: peer dials lan-ipv4 (198.18.1.14): expected refused, observed open" in ended.stdout


each = pytest.mark.parametrize("name", PROGRAMS)


def test_there_is_an_example_of_each_service() -> None:
    assert [file.stem for file in EXAMPLES] == [f"netlab-{name}" for name in PROGRAMS]


@each
def test_who_reaches_the_real_service_is_what_the_example_says(name: str) -> None:
    ended, cells = checked(name)
    assert ended.code == 0, ended.stderr
    assert cells
    assert all(cell["expected"] and cell["state"] == "met" for cell in cells)


@each
def test_it_is_as_predicted_but_for_whom_the_server_itself_turns_away(name: str) -> None:
    _, cells = checked(name)
    surprising = [cell for cell in cells if not cell["agrees"]]
    assert all(cell["expected"].startswith(OF_THE_SERVER_ITSELF) for cell in surprising), surprising
    assert all(cell["prediction"]["verdict"] == "open" for cell in surprising), surprising


@each
def test_it_needs_no_file_of_the_machine_to_be_written_and_leaves_no_process(name: str) -> None:
    ended, _ = checked(name)
    assert ended.code == 0, ended.stderr
    assert ended.left == []


def test_a_file_that_is_written_and_a_process_that_is_left_would_be_noticed() -> None:
    ended = sealed("sh", "-c", "setsid sleep 600 & sleep 0.1; touch /tmp/left")
    assert ended.code != 0
    assert "Read-only file system" in ended.stderr
    assert ended.left == ["sleep 600 "]


# --- What docs/services.md says --------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A line of the table: the example, and what is said of it, with the words that are set as code."""

    told: list[str]
    listens: list[str]
    reached: str


def table() -> dict[str, Row]:
    """Return the table by the names of the examples."""
    rows = {}
    for line in PAGE.splitlines():
        if found := re.match(r"\| \[.*?\]\(examples/netlab-(.*?)\.yaml\) \|", line):
            _, told, listens, reached, *_ = line.split(" | ")
            rows[found[1]] = Row(code(told), code(listens), reached)
    return rows


def code(text: str) -> list[str]:
    return re.findall(r"`(.*?)`", text)


def test_the_table_of_the_docs_has_every_example() -> None:
    assert sorted(table()) == sorted(PROGRAMS)


@each
def test_the_service_listens_by_default_where_the_docs_say(name: str) -> None:
    _, cells = checked(name)
    (listening,) = {
        step["text"].partition("listening on ")[2]
        for cell in cells
        if cell["bind"] == "default"
        for step in cell["prediction"]["reason"]
        if step["kind"] == "bind"
    }
    assert listening.split(", ") == table()[name].listens


@each
def test_another_machine_gets_by_default_what_the_docs_say(name: str) -> None:
    _, cells = checked(name)
    (outcome,) = [
        cell["observation"]["verdict"]
        for cell in cells
        if (cell["bind"], cell["vantage"], cell["target"]) == ("default", "peer", "name")
    ]
    assert table()[name].reached == outcome


@each
def test_the_example_tells_the_service_as_the_docs_say(name: str) -> None:
    text = (ROOT / f"docs/examples/netlab-{name}.yaml").read_text(encoding="utf-8")
    assert table()[name].told
    assert all(word in text for word in table()[name].told)
