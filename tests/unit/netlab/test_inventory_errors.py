"""What is wrong with an inventory is said in one line: the file, the line, the key, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from netlab.errors import InventoryError, NetlabError
from netlab.inventory import Account, load_inventory

WRONG = YAML(typ="safe").load(Path(__file__).parents[2] / "data" / "inventories" / "wrong.yaml")


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account("me", 1000, tmp_path, "desk")


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["says"].removeprefix("FILE:")[:60])
def test_what_is_wrong_is_said_in_one_line(case: dict[str, str], account: Account) -> None:
    file = account.home / case["file"]
    file.write_text(case["text"].replace("FILE", str(file)))
    with pytest.raises(NetlabError) as caught:
        load_inventory(file, account=account)
    assert str(caught.value).replace(str(file), "FILE") == case["says"]


def test_a_directory_is_refused(account: Account) -> None:
    with pytest.raises(NetlabError, match="is a directory: name a file in it, or write down what it gives"):
        load_inventory(account.home, account=account)


def test_a_program_is_refused_and_not_run(account: Account) -> None:
    file, ran = account.home / "inventory", account.home / "ran"
    file.write_text(f"#!/bin/sh\ntouch {ran}\n")
    file.chmod(0o755)
    with pytest.raises(NetlabError, match="is a program, and inventories are not run"):
        load_inventory(file, account=account)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"\xff", "FILE: not UTF-8 text (byte 0)"),
        (b"\x7fELF\0", "FILE: not text: there is a zero byte in it"),
        (b"#" * (1 << 20) + b"#", "FILE: larger than 1 MiB: this is no inventory"),
    ],
)
def test_a_file_that_is_no_text_is_refused(contents: bytes, message: str, account: Account) -> None:
    file = account.home / "hosts"
    file.write_bytes(contents)
    with pytest.raises(NetlabError) as caught:
        load_inventory(file, account=account)
    assert str(caught.value).replace(str(file), "FILE") == message


def test_a_device_without_an_end_is_refused(account: Account) -> None:
    with pytest.raises(NetlabError, match="larger than 1 MiB"):
        load_inventory("/dev/zero", account=account)


def test_a_file_that_is_not_there_is_refused(account: Account) -> None:
    with pytest.raises(NetlabError, match="No such file or directory"):
        load_inventory(account.home / "lab.yaml", account=account)


def test_an_included_file_that_can_not_be_followed_is_named(account: Account) -> None:
    (account.home / ".ssh").mkdir()
    (account.home / ".ssh" / "more").write_text("\nPort x\n")
    file = account.home / "config"
    file.write_text("Host a\nInclude more\n")
    with pytest.raises(InventoryError, match=r"\.ssh/more:2: Port: 'x' is no port: 1 to 65535"):
        load_inventory(file, account=account)


def test_what_is_wrong_with_ones_own_ssh_configuration_is_said(account: Account) -> None:
    (account.home / ".ssh").mkdir()
    (account.home / ".ssh" / "config").write_text("Port x\n")
    file = account.home / "lab.yaml"
    file.write_text("hosts: {a: }")
    with pytest.raises(InventoryError, match=r"\.ssh/config:1: Port: 'x' is no port"):
        load_inventory(file, account=account)


def test_the_commands_of_an_ssh_configuration_are_not_run(account: Account) -> None:
    file, ran = account.home / "config", account.home / "ran"
    file.write_text(
        f'Host a\nMatch exec "touch {ran}"\nProxyCommand touch {ran}\nHost b\nLocalCommand touch {ran}\n'
    )
    load_inventory(file, account=account)
    assert not ran.exists()
    assert [entry.name for entry in account.home.iterdir()] == ["config"]
