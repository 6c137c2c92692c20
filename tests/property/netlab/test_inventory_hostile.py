"""Whatever a file says, it is understood or refused in one line; and what is understood is harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netlab.errors import NetlabError
from netlab.inventory import Account, Inventory, load_inventory
from netlab.inventory.ranges import MOST_MACHINES, expand
from netlab.inventory.screen import screen
from netlab.inventory.settings import MOST_HOPS

_WORDS = r"""
hosts defaults groups serve all children vars user port key keys jump address python none gateway
lab lab[01:03] [a:c] 198.18.1.1 2001:db8::1 [g] [g:vars] [g:children] ansible_host ansible_port
ansible_user ansible_ssh_common_args ansible_ssh_private_key_file Host HostName User Port
IdentityFile ProxyJump ProxyCommand Match Include ssh -J -o ProxyJump= -oProxyCommand=
UserKnownHostsFile IdentitiesOnly %h %r %% %d ~ ~/ ${HOME} {{ x }} !vault !!int !!set &a *a <<: 1 0
22 -1 65536 1.5 true null 2001-13-41 yes = : , - @ # ; ' " \ $(x) `x` | > ? ! [ ] { } /dev/null * ?
"""
WORDS = _WORDS.split()
SPACES = [
    " ",
    "\n",
    "\n  ",
    "\n    ",
    ": ",
    ":\n  ",
    ": {",
    "}",
    "=",
    "\t",
    "",
    "\x1b[2J",
    "\u2028",
    "\ud7ff",
    "\r",
    "\0",
]

texts = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from([*WORDS, *SPACES * 3]), max_size=40).map("".join),
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES)), max_size=30).map(
        lambda pairs: "".join(word + space for word, space in pairs)
    ),
)
names = st.sampled_from(["lab.yaml", "hosts.yml", "hosts.ini", "hosts", "config", "hosts.json"])


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    yield Account("me", 1000, tmp_path_factory.mktemp("home"), "desk")


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts, names)
@example("hosts: {a: 2001-13-41}", "lab.yaml")
@example("hosts: !!int", "lab.yaml")
@example("[" * 5000, "lab.yaml")
@example("{a: " * 2000, "lab.yaml")
@example("- " * 3000, "hosts.yml")
@example("%YAML 1.1\n---\nhosts: {a: }", "lab.yaml")
@example("hosts: &a {b: *a}", "lab.yaml")
@example("? [a]\n: b", "hosts.yml")
@example("? {a: b}\n: {hosts: }", "hosts.yml")
@example("Include **\nInclude /*/../*\nHost a", "config")
@example("Include \0\nHost a", "config")
@example("a ansible_port=\u0661", "hosts.ini")
@example("a[\u0661:\u0663]", "hosts.ini")
def test_any_text_is_understood_or_refused_in_one_line(account: Account, text: str, name: str) -> None:
    file = account.home / name
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        inventory = load_inventory(file, account=account, ssh_config=Path("/dev/null"))
    except NetlabError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 2000
    else:
        check_harmless(inventory)
        screen(inventory)


def check_harmless(inventory: Inventory) -> None:
    """Check that nothing in an inventory could be taken for an option, a command or a terminal's order."""
    assert 0 < len(inventory.machines) <= MOST_MACHINES
    found = {machine.name for machine in inventory.machines}
    assert len(found) == len(inventory.machines)
    for machine in inventory.machines:
        assert len(machine.jumps) <= MOST_HOPS + 1
        words = [machine.name, machine.python, *machine.groups]
        for login in (machine.login, *machine.jumps):
            assert 1 <= login.port <= 65535
            assert re.fullmatch(r"[A-Za-z0-9_.:%-]+", login.address)
            words += [login.address, login.user, *map(str, (*login.keys, *login.known_hosts))]
        assert all(word.isprintable() and not word.startswith("-") for word in words)
    assert all(note.isprintable() for note in inventory.notes)


@given(st.text(alphabet="ab0189[]:-", max_size=24))
def test_a_range_gives_names_or_is_refused(pattern: str) -> None:
    try:
        found = expand(pattern)
    except ValueError as error:
        assert str(error).isprintable()
    else:
        assert 0 < len(found) <= MOST_MACHINES
        assert len(set(found)) == len(found) or pattern.count("[") > 1
        assert not any(set(name) & {"[", "]"} for name in found)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 9), st.integers(3, 5))
def test_a_range_counts_as_python_does(first: int, length: int, step: int, width: int) -> None:
    last = first + length
    found = expand(f"x[{first:0{width}}:{last:0{width}}:{step}]y")
    padded = width if f"{first:0{width}}".startswith("0") else 0
    assert [*found] == [f"x{number:0{padded}}y" for number in range(first, last + 1, step)]
