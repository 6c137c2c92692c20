"""Inventories of every kind, as people keep them: what is understood of each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from netlab.inventory import Account, Inventory, Login, Machine, Serving, load_inventory
from netlab.inventory.ranges import expand
from netlab.inventory.record import record

FILES = Path(__file__).parents[2] / "data" / "inventories"
GATEWAY = Login("gw.lab.example.edu", 2200, "ana", (FILES / "keys" / "lab_ed25519",))


@pytest.fixture
def account(tmp_path: Path) -> Account:
    home = tmp_path / "home"
    home.mkdir()
    return Account("me", 1000, home, "desk.example.edu")


def loaded(name: str, account: Account) -> Inventory:
    return load_inventory(FILES / name, account=account)


def written(account: Account, text: str, name: str = "lab.yaml", ssh: str = "") -> Inventory:
    """Return the inventory of a text, with the user's SSH configuration beside it."""
    if ssh:
        (account.home / ".ssh").mkdir(exist_ok=True)
        (account.home / ".ssh" / "config").write_text(ssh)
    file = account.home / name
    file.write_text(text)
    return load_inventory(file, account=account)


# lab.yaml


def test_a_lab_file_is_two_rooms_behind_a_gateway(account: Account) -> None:
    inventory = loaded("lab.yaml", account)
    names = [machine.name for machine in inventory.machines]
    assert names == ["gateway", *expand("a[01:20]"), *expand("b[01:04]"), "server", "guest"]
    assert inventory.machine("a07") == Machine(
        "a07",
        Login("198.18.1.107", 22, "alumno", (FILES / "keys" / "lab_ed25519",)),
        (GATEWAY,),
        ("lab", "room-a"),
        "/usr/bin/python3.11",
    )
    assert inventory.machine("b02").login.address == "b02.lab.example.edu"
    assert inventory.machine("b02").login.port == 2222
    assert inventory.machine("guest").jumps == ()
    assert inventory.notes == ()


def test_a_machine_on_the_common_way_needs_only_what_is_before_it(account: Account) -> None:
    inventory = written(account, "defaults: {jump: [a, b]}\nhosts: {a: , b: , c: }\n")
    ways = {m.name: [jump.address for jump in m.jumps] for m in inventory.machines}
    assert ways == {"a": [], "b": ["a"], "c": ["a", "b"]}


def test_a_machine_says_what_its_defaults_do_not(account: Account) -> None:
    server = loaded("lab.yaml", account).machine("server")
    assert server.login.keys == (account.home / ".ssh" / "id_ed25519", FILES / "keys" / "server")
    assert server.login.only_these_keys
    assert server.login.known_hosts == (FILES / "keys" / "known_hosts",)
    assert server.jumps == (GATEWAY, Login("198.18.1.1", 2022, "ops"))


def test_a_lab_file_says_what_is_served_and_who_must_reach_it(account: Account) -> None:
    assert loaded("lab.yaml", account).serving == Serving(
        ("lab",), ("0.0.0.0",), 19500, "files", ("lab", "controller"), ("guest",), 2
    )


def test_groups_name_their_machines(account: Account) -> None:
    inventory = loaded("lab.yaml", account)
    assert [m.name for m in inventory.named(("room-b", "guest"))] == [*expand("b[01:04]"), "guest"]


def test_a_jump_may_be_a_machine_that_needs_one_itself(account: Account) -> None:
    inventory = written(account, "hosts: {a: {jump: b}, b: {jump: c, port: 3}, c: {user: carla}}\n")
    assert inventory.machine("a").jumps == (Login("c", user="carla"), Login("b", 3))


def test_a_jump_may_say_another_user_and_port_than_the_machine(account: Account) -> None:
    inventory = written(account, "hosts: {a: {jump: 'root@b:4'}, b: {address: 198.18.1.1, user: bob}}\n")
    assert inventory.machine("a").jumps == (Login("198.18.1.1", 4, "root"),)


def test_the_nearest_keys_count(account: Account) -> None:
    text = """
    defaults: {key: /default}
    groups: {g: {keys: [/group, /other]}}
    hosts: {own: {key: /own, groups: g}, grouped: {groups: g}, plain: }
    """
    keys = {m.name: [*map(str, m.login.keys)] for m in written(account, text).machines}
    assert keys == {"own": ["/own"], "grouped": ["/group", "/other"], "plain": ["/default"]}


def test_groups_may_disagree_about_what_the_host_says(account: Account) -> None:
    inventory = written(
        account, "groups: {g: {user: a}, h: {user: b}}\nhosts: {x: {groups: [g, h], user: c}}\n"
    )
    assert inventory.machine("x").login.user == "c"


def test_parts_of_a_lab_file_may_be_shared_by_anchors(account: Account) -> None:
    text = "hosts:\n  a: &room {user: ana, port: 2}\n  b:\n    <<: *room\n    port: 3\n  c: *room\n"
    logins = [(m.login.user, m.login.port) for m in written(account, text).machines]
    assert logins == [("ana", 2), ("ana", 3), ("ana", 2)]


def test_keys_do_not_depend_on_where_netlab_is_started(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = account.home / "100%.yaml"
    file.write_text("hosts: {a: {key: keys/%r_%h}, b: {key: 50%%}}\n")
    monkeypatch.chdir(account.home)
    inventory = load_inventory(file, account=account)
    keys = [machine.login.keys for machine in inventory.machines]
    assert keys == [(account.home / "keys" / "me_a",), (account.home / "50%",)]


# The SSH configuration beside an inventory


def test_the_ssh_configuration_applies_to_machines_of_a_lab_file(account: Account) -> None:
    settings = "  User sara\n  Port 2201\n  IdentityFile ~/.ssh/a\n  ProxyJump gw\n"
    ssh = f"Host a 198.18.*\n{settings}Host gw\n  User gil\n"
    inventory = written(account, "hosts: {a: {port: 5, key: /k}, b: {address: 198.18.1.1}, c: }\n", ssh=ssh)
    home = account.home
    assert inventory.machine("a") == Machine(
        "a", Login("a", 5, "sara", (Path("/k"), home / ".ssh" / "a")), (Login("gw", user="gil"),)
    )
    assert inventory.machine("b").login == Login("198.18.1.1", 2201, "sara", (home / ".ssh" / "a",))
    assert inventory.machine("c") == Machine("c", Login("c"))


def test_an_inventory_may_jump_over_a_host_of_the_ssh_configuration(account: Account) -> None:
    inventory = written(
        account, "hosts: {a: {jump: gw}}\n", ssh="Host gw\n  HostName gw.example.edu\n  ProxyJump outer.x\n"
    )
    assert [jump.address for jump in inventory.machine("a").jumps] == ["outer.x", "gw.example.edu"]


def test_an_inventory_may_refuse_the_jump_of_the_ssh_configuration(account: Account) -> None:
    inventory = written(account, "hosts: {a: {jump: none}}\n", ssh="Host *\n  ProxyJump gw.example.edu\n")
    assert inventory.machine("a").jumps == ()


def test_the_ssh_configuration_can_be_another_file(account: Account) -> None:
    other = account.home / "other"
    other.write_text("User olga\n")
    file = account.home / "lab.yaml"
    file.write_text("hosts: {a: }\n")
    assert load_inventory(file, account=account, ssh_config=other).machine("a").login.user == "olga"


# An SSH configuration as inventory


@pytest.fixture
def ssh_inventory(account: Account) -> Inventory:
    shutil.copytree(FILES / "ssh", account.home / ".ssh")
    return load_inventory(account.home / ".ssh" / "config", account=account)


def test_the_machines_of_an_ssh_configuration_are_those_that_it_names(ssh_inventory: Inventory) -> None:
    names = ["printer", "gateway", "lab01", "lab02", "lab03", "far", "old", "odd"]
    assert [machine.name for machine in ssh_inventory.machines] == names


def test_patterns_of_an_ssh_configuration_add_settings(account: Account, ssh_inventory: Inventory) -> None:
    ssh = account.home / ".ssh"
    gateway = Login(
        "gw.lab.example.edu", 2200, "ana", (ssh / "gateway_ed25519", ssh / "ana_gw.lab.example.edu")
    )
    assert ssh_inventory.machine("lab01") == Machine(
        "lab01",
        Login("lab01.lab.example.edu", 22, "student", (ssh / "student_lab01.lab.example.edu",), True),
        (gateway,),
    )
    assert ssh_inventory.machine("lab03").login.user == "everyone"
    assert ssh_inventory.machine("far").jumps[1].address == "middle"
    assert ssh_inventory.machine("far").login.known_hosts == (
        ssh / "known_hosts",
        ssh / "known_2001:db8:9::7",
    )


def test_an_old_way_of_jumping_is_followed(ssh_inventory: Inventory) -> None:
    assert [jump.address for jump in ssh_inventory.machine("old").jumps] == ["gw.lab.example.edu"]


def test_what_an_ssh_configuration_says_in_vain_is_told(account: Account, ssh_inventory: Inventory) -> None:
    file = account.home / ".ssh" / "config"
    assert ssh_inventory.notes == (
        f"{file}:25: ProxyCommand: not followed: is not run: write it as ProxyJump, if it is a way through "
        "another machine",
        f"{file}:27: Match: not followed, but for 'Match all'; use Host",
        f"{file}:38: StrictHostKeyChecking: not followed: host keys are always checked; --accept-new records "
        "new ones",
        f"{file}: changes nothing here: ForwardAgent, ServerAliveInterval",
    )


# Ansible


def understood_by_ansible(name: str) -> tuple[dict[str, dict[str, Any]], dict[str, set[str]]]:
    """Return every host's variables and groups, as `ansible-inventory --list` printed them."""
    said = json.loads((FILES / "ansible" / f"{name}.ansible-inventory.json").read_text())
    inside = {g: {*v.get("hosts", ())} for g, v in said.items() if g != "_meta"}
    for _ in said:
        for group, value in said.items():
            for child in value.get("children", ()):
                inside[group] |= inside.get(child, set())
    variables = said["_meta"]["hostvars"]
    groups = {
        host: {g for g, hosts in inside.items() if host in hosts} - {"all", "ungrouped"} for host in variables
    }
    return variables, groups


@pytest.mark.parametrize("name", ["hosts.ini", "hosts.yml"])
def test_an_ansible_inventory_means_what_it_means_to_ansible(name: str, account: Account) -> None:
    inventory = loaded(f"ansible/{name}", account)
    variables, groups = understood_by_ansible(name)
    by_ssh = {host for host, said in variables.items() if said.get("ansible_connection") != "local"}
    assert {machine.name for machine in inventory.machines} == by_ssh
    for machine in inventory.machines:
        said, login = variables[machine.name], machine.login
        assert set(machine.groups) == groups[machine.name]
        assert login.address == said.get("ansible_host", machine.name)
        assert login.port == said.get("ansible_port", 22)
        assert login.user == said.get("ansible_user", "")
        assert len(login.keys) == ("ansible_ssh_private_key_file" in said)
        assert len(machine.jumps) == ("ansible_ssh_common_args" in said)
        python = said.get("ansible_python_interpreter", "auto")
        assert machine.python == ("python3" if python.startswith("auto") else python)


def test_an_ansible_inventory_in_ini_form(account: Account) -> None:
    inventory = loaded("ansible/hosts.ini", account)
    jump = Login("198.18.9.1", 2200, "ops")
    assert inventory.machine("lab04") == Machine(
        "lab04",
        Login("198.18.1.204", 22, "student", (account.home / ".ssh" / "lab key",)),
        (jump,),
        ("room", "lab"),
        "/usr/bin/python3.12",
    )
    assert inventory.machine("rackb") == Machine(
        "rackb", Login("rackb", 2222, "room"), (jump,), ("room", "racks")
    )
    assert not any("hunter2" in note for note in inventory.notes)
    assert "hunter2" not in json.dumps(record(inventory))
    source = FILES / "ansible" / "hosts.ini"
    assert inventory.notes == (
        f"{source}:2: control: left out: reached by 'local', not SSH",
        f"{source}: arguments of ssh: stricthostkeychecking: not followed: host keys are always checked; "
        "--accept-new records new ones",
        f"{source}: ansible_password: no secret is read from a file: netlab asks",
        f"{source}: changes nothing here: ansible_become",
    )


def test_an_ansible_inventory_in_yaml(account: Account) -> None:
    inventory = loaded("ansible/hosts.yml", account)
    keys = (FILES / "ansible" / "keys" / "db",)
    assert inventory.machine("db01") == Machine(
        "db01",
        Login("198.18.4.1", 22, "postgres", keys),
        (Login("bastion.example.edu", 22, "deploy"),),
        ("inside", "db"),
    )
    assert inventory.machine("bastion").login == Login("bastion.example.edu", 2200, "deploy")


@pytest.mark.parametrize(
    ("arguments", "login", "jumps"),
    [
        ("-J gw", Login("a"), (Login("gw"),)),
        ("-Jana@gw:22,[2001:db8::1]:2", Login("a"), (Login("gw", 22, "ana"), Login("2001:db8::1", 2))),
        ("-oProxyJump=gw -o 'ProxyJump other'", Login("a"), (Login("gw"),)),
        ("-o ProxyCommand='ssh -W %h:%p -q ana@gw'", Login("a"), (Login("gw", user="ana"),)),
        ("-o ProxyCommand='nc %h %p' -J gw", Login("a"), ()),
        ("-p 5 -l eva -i /k", Login("a", 5, "eva", (Path("/k"),)), ()),
        (
            "-o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes",
            Login("a", only_these_keys=True, known_hosts=(Path("/dev/null"),)),
            (),
        ),
        ("-C -o ControlMaster=auto", Login("a"), ()),
    ],
)
def test_simple_arguments_of_ssh_are_followed(
    arguments: str, login: Login, jumps: tuple[Login, ...], account: Account
) -> None:
    text = f"[all:vars]\nansible_ssh_common_args={arguments}\n[lab]\na\n"
    assert written(account, text, "hosts").machine("a") == Machine("a", login, jumps, ("lab",))


# Which kind a file is


@pytest.mark.parametrize(
    ("name", "text", "address"),
    [
        ("lab.yaml", "hosts: {x: {address: a}}", "a"),
        ("lab", "hosts:\n  x: {address: a}\n", "a"),
        ("lab.json", '{"hosts": {"x": {"address": "a"}}}', "a"),
        ("hosts.yml", "all: {hosts: {x: {ansible_host: a}}}", "a"),
        ("hosts", "---\nweb:\n  hosts:\n    x: {ansible_host: a}\n", "a"),
        ("hosts", "x ansible_host=a\n", "a"),
        ("hosts.ini", "[web]\nx ansible_host=a\n", "a"),
        ("hosts", "# Host y\n\n[web]\nx ansible_host=a\n", "a"),
        ("config", "Host x\n  HostName a\n", "a"),
        ("ours.conf", "\n# Ours.\nServerAliveInterval=9\nhost x\n  hostname a\n", "a"),
        ("config", "\ufeffHost x\r\n  HostName a\r\n", "a"),
    ],
)
def test_the_kind_of_an_inventory_shows_in_its_name_or_its_text(
    name: str, text: str, address: str, account: Account
) -> None:
    assert written(account, text, name).machine("x").login.address == address


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("lab", ["lab"]),
        ("lab[8:10]", ["lab8", "lab9", "lab10"]),
        ("lab[08:10]", ["lab08", "lab09", "lab10"]),
        ("lab[:2]", ["lab0", "lab1", "lab2"]),
        ("[a:c].x", ["a.x", "b.x", "c.x"]),
        ("r[1:2]n[1:5:2]", ["r1n1", "r1n3", "r1n5", "r2n1", "r2n3", "r2n5"]),
    ],
)
def test_a_range_stands_for_names(pattern: str, names: list[str]) -> None:
    assert [*expand(pattern)] == names
