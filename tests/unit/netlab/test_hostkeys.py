"""Host keys are believed as ssh(1) believes them: known_hosts files in all their forms."""

from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from netlab.backends.ssh.hostkeys import (
    ChangedHostKeyError,
    RevokedHostKeyError,
    UnknownHostKeyError,
    check_host_key,
    preferred_first,
)
from netlab.errors import NetlabError
from netlab.inventory.model import Login

KEY, OTHER, ELSE = (paramiko.ECDSAKey.generate() for _ in range(3))
HOST = "lab01.example.org"
SALT = "bmV0bGFiIHNhbHQgMjAgYnl0ZXM="  # 20 bytes; the same in every process that runs the tests


def line(names: str, key: paramiko.PKey = KEY) -> str:
    return f"{names} {key.get_name()} {key.get_base64()}"


def login(file: Path, *lines: str, port: int = 22) -> Login:
    file.write_text("\n".join(lines))
    return Login(HOST, port, known_hosts=(file,))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.mark.parametrize(
    "names",
    [
        HOST,
        f"{HOST},198.18.1.11",
        "LAB01.Example.org",
        "*.example.org",
        "lab??.example.org,!lab02*",
        paramiko.HostKeys.hash_host(HOST, SALT),
    ],
)
def test_a_host_is_known_by_its_name_in_any_form(file: Path, names: str) -> None:
    check_host_key(login(file, "# a comment", "", line(names)), KEY, accept_new=False)


@pytest.mark.parametrize(
    "names", ["lab02.example.org", "*.example.org,!lab01*", "|1|cut", "[lab01.example.org]:22"]
)
def test_a_host_is_not_known_by_others(file: Path, names: str) -> None:
    with pytest.raises(UnknownHostKeyError, match="SHA256:"):
        check_host_key(login(file, line(names), "nonsense", f"{HOST} ssh-rsa"), KEY, accept_new=False)


def test_another_port_is_another_host(file: Path) -> None:
    check_host_key(login(file, line(f"[{HOST}]:2222"), port=2222), KEY, accept_new=False)
    with pytest.raises(UnknownHostKeyError):
        check_host_key(login(file, line(HOST), port=2222), KEY, accept_new=False)


def test_of_several_known_keys_each_is_good(file: Path) -> None:
    known = login(file, line(HOST, OTHER), line(HOST))
    check_host_key(known, KEY, accept_new=False)
    with pytest.raises(ChangedHostKeyError, match=f"THE HOST KEY OF {HOST} HAS CHANGED"):
        check_host_key(known, ELSE, accept_new=True)


@pytest.mark.parametrize("more", [(), (line(HOST),)])
def test_a_revoked_key_is_believed_by_nobody(file: Path, more: tuple[str, ...]) -> None:
    known = login(file, *more, f"@revoked {line('*')}")
    with pytest.raises(RevokedHostKeyError, match="IS REVOKED"):
        check_host_key(known, KEY, accept_new=True)


def test_an_authoritys_key_is_no_hosts(file: Path) -> None:
    with pytest.raises(UnknownHostKeyError):
        check_host_key(login(file, f"@cert-authority {line('*')}"), KEY, accept_new=False)


def test_a_new_key_is_recorded_in_a_line_of_its_own(file: Path) -> None:
    known = login(file, line("other", OTHER))  # without a newline at its end
    check_host_key(known, KEY, accept_new=True)
    assert file.read_text() == f"{line('other', OTHER)}\n{line(HOST)}\n"
    check_host_key(known, KEY, accept_new=False)
    file.unlink()
    check_host_key(known, KEY, accept_new=True)
    assert file.read_text() == f"{line(HOST)}\n"


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    known = Login(HOST, known_hosts=(tmp_path,))
    with pytest.raises(NetlabError, match=rf"known hosts {tmp_path}: Is a directory"):
        check_host_key(known, KEY, accept_new=True)


def test_the_kind_that_is_known_is_asked_for_first(file: Path) -> None:
    kinds = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
    assert preferred_first(login(file, line(HOST)), kinds)[0] == "ecdsa-sha2-nistp256"
    assert preferred_first(login(file, "@revoked " + line(HOST)), kinds) == kinds
