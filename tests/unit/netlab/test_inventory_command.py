"""`netlab hosts`, and the examples of docs/inventories.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from netlab.cli import main
from netlab.errors import ExitCode
from netlab.inventory import Account, load_inventory

FILES = Path(__file__).parents[2] / "data" / "inventories"
PAGE = Path(__file__).parents[3] / "docs" / "inventories.md"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_hosts_shows_what_was_understood(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "lab.yaml"
    (home / "there").touch()
    file.write_text(
        "hosts:\n"
        "  gateway: {address: 198.18.1.1, port: 2200, user: ana, keys: [there, gone]}\n"
        "  lab[1:2]: {address: '2001:db8::[1:2]', jump: gateway, groups: lab}\n"
        "serve: {hosts: lab, not_from: gateway}\n"
    )
    assert main(["hosts", "-i", str(file)]) == ExitCode.OK
    output = capsys.readouterr()
    lines = [line.split() for line in output.out.splitlines() if line.strip()]
    assert lines == [
        [f"{file}:", "3", "machines"],
        ["machine", "address", "user", "keys", "through", "groups"],
        [lines[2][0]],
        ["gateway", "198.18.1.1:2200", "ana", f"{home}/there", "-", "-"],
        [f"{home}/gone", "(missing)"],
        ["lab1", "[2001:db8::1]:22", "-", "-", "ana@198.18.1.1:2200", "lab"],
        ["lab2", "[2001:db8::2]:22", "-", "-", "ana@198.18.1.1:2200", "lab"],
        ["serves", "hftp-data", "on", "lab:", "0.0.0.0,", "port", "19500"],
        ["must", "not", "be", "reached", "from", "gateway"],
    ]
    assert output.err == ""


def test_hosts_says_on_standard_error_what_it_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    file = FILES / "ansible" / "hosts.ini"
    assert main(["hosts", "-i", str(file)]) == ExitCode.OK
    output = capsys.readouterr()
    assert "control: left out: reached by 'local', not SSH" in output.err
    assert "control" not in output.out
    assert "hunter2" not in output.out + output.err


def test_hosts_writes_json_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hosts", "-i", str(FILES / "lab.yaml"), "--json", "-"]) == ExitCode.OK
    written = json.loads(capsys.readouterr().out)
    assert len(written["machines"]) == 27
    assert written["machines"][0] == {
        "name": "gateway",
        "address": "gw.lab.example.edu",
        "port": 2200,
        "user": "ana",
        "keys": [str(FILES / "keys" / "lab_ed25519")],
        "only_these_keys": False,
        "known_hosts": [],
        "host_key_alias": "",
        "jumps": [],
        "groups": [],
        "python": "python3",
    }
    assert written["serving"]["reachable_from"] == ["lab", "controller"]


def test_hosts_ends_with_2_for_a_file_that_can_not_be_followed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "lab.yaml"
    file.write_text("hosts:\n  a: {port: x}\n")
    assert main(["hosts", "-i", str(file)]) == ExitCode.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"netlab: {file}:2: hosts.a.port: expected a whole number; got 'x'\n"


# The page's examples

EXAMPLES = {
    found[1]: found[0]
    for found in re.findall(r"^```\w*\n(# (\S+)\n.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
}


def test_the_page_has_an_example_of_every_kind() -> None:
    assert list(EXAMPLES) == ["lab.yaml", "~/.ssh/config", "hosts.ini", "hosts.yml"]


@pytest.mark.parametrize(
    ("name", "machines", "last", "groups"),
    [
        ("lab.yaml", 26, ("guest", "198.18.9.7", 22, "alumno"), {"lab", "room-b"}),
        ("~/.ssh/config", 4, ("lab03", "lab03.example.edu", 22, "alumno"), set()),
        ("hosts.ini", 41, ("lab40.example.edu", "lab40.example.edu", 22, "alumno"), {"lab"}),
        ("hosts.yml", 41, ("files", "198.18.1.10", 2222, ""), {"lab", "servers"}),
    ],
)
def test_an_example_of_the_page_is_understood(
    name: str, machines: int, last: tuple[str, str, int, str], groups: set[str], home: Path
) -> None:
    file = home / name.rpartition("/")[2]
    file.write_text(EXAMPLES[name])
    inventory = load_inventory(file, account=Account("me", 1000, home, "desk"))
    machine = inventory.machines[-1]
    assert len(inventory.machines) == machines
    assert (machine.name, machine.login.address, machine.login.port, machine.login.user) == last
    assert {group for m in inventory.machines for group in m.groups} == groups
    lab = next(m for m in inventory.machines if m.name in ("a07", "lab02", "lab07.example.edu"))
    assert [(jump.user, jump.address) for jump in lab.jumps] == [("ana", "gw.example.edu")]
    assert inventory.notes == ()
