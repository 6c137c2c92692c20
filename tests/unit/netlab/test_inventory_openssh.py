"""SSH configurations mean here what they mean to ssh: `ssh -G HOST -F FILE` says what that is."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from netlab.inventory import Account, Login
from netlab.inventory.keywords import split_words
from netlab.inventory.names import check_host
from netlab.inventory.openssh import SshConfig, matches, read_ssh_config
from netlab.inventory.resolve import resolve
from netlab.inventory.settings import Draft, Entry, Settings, read_hops
from tests.requirements import unavailable

HOSTS = ("plain", "lab1", "Lab2", "lab[12]", "a.example.org", "198.18.1.9", "2001:db8::9")

CONFIGS = [
    "",
    "User ana\nPort 2222\n",
    "user=ana\nPORT = 2222\n\tHostname   %h.example.org  \n",
    "Host lab*\n User ana\n User bob\nHost *\n User carla\n Port 33\n",
    "Host lab? !lab1\n User ana\nHost *.example.org\n User olga\n",
    "Host !lab1 *\n User ana\n",
    "Host !lab1\n User ana\n",
    "Host lab[12]\n User ana\n",
    "Host lab1,plain\n User ana\n",
    'Host "lab1" plain # and a comment\n User "ana"\n',
    "Host LAB1\n User ana\nHost Lab2\n User bob\n",
    "Host 198.18.* 2001:db8::*\n User ana\n HostName %h\n",
    "Host plain\n HostName A.Example.Org\nHost a.example.org\n User ana\n",
    "HostName %%h\nHost plain\n HostName x%%y\n",
    "IdentityFile ~/a\nIdentityFile %d/b\nHost lab1\n IdentityFile ~/c\nHost *\n IdentityFile ~/a\n",
    'IdentityFile "~/a b"\nIdentityFile ~/c\\ d\nIdentityFile \'e "f"\'\n',
    "IdentitiesOnly yes\n",
    "IdentitiesOnly TRUE\nIdentitiesOnly no\n",
    "UserKnownHostsFile ~/a %d/b_%h_%p_%r /c\nPort 5\nUser x\n",
    "UserKnownHostsFile none\n",
    "UserKnownHostsFile /one\nUserKnownHostsFile /two\n",
    "HostKeyAlias Lab\nUserKnownHostsFile ~/known_%k\n",
    "Host lab1\n HostKeyAlias one\nHost *\n HostKeyAlias [other]:22\n HostName %h.example.org\n",
    "ProxyJump gw\n",
    "ProxyJump ana@gw:2200,[2001:db8::1]:44,other\n",
    "ProxyJump ssh://ana@gw:2200\n",
    "Host lab1\n ProxyJump none\nHost *\n ProxyJump gw\n",
    "Host lab1\n ProxyCommand none\nHost *\n ProxyJump gw\n",
    "Host lab1\n ProxyJump other\nHost *\n ProxyCommand nc %h %p\n",
    "Match all\n User ana\nHost lab1\n User bob\n",
    "Host lab1\n Port 5\nMatch all\n User ana\n",
    "Host lab1\n Include INCLUDED\n Port 7\nHost *\n Port 8\n",
    "Include INCLUDED MISSING\nUser last\n",
    "Host lab1\n Include INCLUDED\nHost plain\n User after\n",
    "Compression yes\nServerAliveInterval 5\nSendEnv LANG LC_*\nForwardAgent no\n",
    "Host lab1\n\n  # a comment\n\tUser ana # another\n",
]
INCLUDED = "User included\nHost lab1 plain\n IdentityFile ~/included\n"


@dataclass(frozen=True)
class Said:
    """What `ssh -G` says, as far as it is followed here."""

    address: str
    port: int
    user: str
    keys: tuple[str, ...]
    only_these_keys: bool
    known_hosts: tuple[str, ...]
    host_key_alias: str
    jump: str


@pytest.fixture(scope="module")
def ssh() -> str:
    return shutil.which("ssh") or unavailable("ssh", "there is no command ssh (Debian: openssh-client)")


@pytest.fixture(scope="module")
def account() -> Account:
    # ssh takes the home directory from the account, whatever HOME says.
    return Account.own()


def asked(ssh: str, file: Path, host: str, account: Account) -> Said:
    """Ask ssh itself."""
    output = subprocess.run([ssh, "-G", "-F", file, host], capture_output=True, text=True, check=True).stdout
    said: dict[str, list[str]] = {}
    for line in output.splitlines():
        keyword, _, value = line.partition(" ")
        said.setdefault(keyword, []).append(value)
    # The paths of the default keys: told apart from the same ones in the file, as no file here has them.
    keys = [key for key in said["identityfile"] if not key.startswith("~/.ssh/id_")]
    known = said["userknownhostsfile"][0]
    default = known == f"{account.home}/.ssh/known_hosts {account.home}/.ssh/known_hosts2"
    return Said(
        said["hostname"][0],
        int(said["port"][0]),
        said["user"][0],
        tuple(keys),
        said["identitiesonly"] == ["yes"],
        () if default else tuple(known.split()),
        said.get("hostkeyalias", [""])[0],
        said.get("proxyjump", [""])[0],
    )


def is_host(text: str) -> bool:
    """Say whether a machine may be called so here; ssh leaves that to the resolver."""
    try:
        return bool(check_host(text))
    except ValueError:
        return False


def login_of(host: str, config: SshConfig, account: Account) -> Login:
    entry = Entry(host, Settings(jump=()), (), 1, host)
    return resolve(Draft("", (entry,)), config, account).machines[0].login


@pytest.mark.parametrize("text", CONFIGS)
def test_a_configuration_means_what_it_means_to_ssh(
    text: str, ssh: str, account: Account, tmp_path: Path
) -> None:
    included, file = tmp_path / "included", tmp_path / "config"
    included.write_text(INCLUDED)
    file.write_text(text.replace("INCLUDED", str(included)).replace("MISSING", str(tmp_path / "missing")))
    config = read_ssh_config(file, account)
    for host in HOSTS:
        said, found = asked(ssh, file, host, account), config.settings_for(host)
        if is_host(host) and is_host(said.address):
            login = login_of(host, config, account)
            known = tuple("none" if str(path) == "/dev/null" else str(path) for path in login.known_hosts)
            assert (login.address, login.port, known) == (said.address, said.port, said.known_hosts), host
        assert (found.user or account.user) == said.user, host
        assert (found.host_key_alias or "") == said.host_key_alias, host
        assert found.keys == said.keys, host
        assert bool(found.only_these_keys) == said.only_these_keys, host
        assert (found.jump or ()) == (read_hops(said.jump) if said.jump else ()), host


@pytest.mark.parametrize(
    "text", ["Port x\n", "User a b\n", "ProxyJump a,\n", "Hostnam x\n", "Port\n", 'User "x\n']
)
def test_what_ssh_refuses_is_refused(text: str, ssh: str, account: Account, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    refusal = subprocess.run([ssh, "-G", "-F", file, "a"], capture_output=True, check=False)
    assert refusal.returncode != 0
    with pytest.raises(Exception, match="config:1: "):
        read_ssh_config(file, account)


def test_a_pattern_of_many_stars_is_no_burden() -> None:
    assert not matches(("*a" * 60 + "b",), "a" * 250)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc", ["a", "b", "c"]),
        ("a 'b c' \"d e\"f", ["a", "b c", "d ef"]),
        ("a#b # c", ["a#b"]),
        (r"a\ b \"c\" d\e", ["a b", '"c"', r"d\e"]),
        ("''", [""]),
        ("", []),
    ],
)
def test_values_are_split_as_ssh_splits_them(text: str, words: list[str]) -> None:
    assert split_words(text) == words
