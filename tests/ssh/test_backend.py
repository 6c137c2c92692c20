"""`netlab run`, `scan` and `why` over real OpenSSH daemons."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from typing import Any

import pytest

from netlab.backends.netns import NetnsLab
from netlab.experiments.machines import MachinesDraft
from netlab.experiments.plan import SERVER
from netlab.run import run
from tests.requirements import unavailable
from tests.ssh.conftest import machines
from tests.ssh.fleet import Done, Fleet, keygen

Outcomes = dict[tuple[str, str, str], str]


def matrix_over_ssh(lab: Fleet, *arguments: str) -> tuple[Done, dict[str, Any]]:
    """Run the experiment on the machines; return how it ended, and its record."""
    file = lab.directory / "run.json"
    done = lab.netlab("run", "-i", "lab.yaml", "--json", str(file), *arguments)
    return done, json.loads(file.read_text()) if file.exists() else {}


def test_the_matrix_over_ssh_is_that_of_the_netns_backend_cell_by_cell(lab: Fleet) -> None:
    done, record = matrix_over_ssh(lab)
    assert done.code == 0, done.err
    over_ssh: Outcomes = {}
    for cell in record["cells"]:
        assert cell["agrees"], cell
        observed = cell["observation"]
        key = (cell["bind"], cell["vantage"], cell["address"])
        over_ssh[key] = f"{observed['verdict']} {observed['detail']}".strip()
    draft = MachinesDraft(tuple(lab.machines), 19500)
    matrix = run(draft, "netns", NetnsLab(machines()), lambda *_: None)
    in_namespaces: Outcomes = {}
    for seen in matrix.cells:
        outcome = seen.observation.outcome
        assert outcome is not None
        key = (seen.bind.name, seen.vantage, seen.target.address)
        in_namespaces[key] = f"{outcome.verdict} {outcome.detail}".strip()
    assert len(over_ssh) > 300
    assert over_ssh == in_namespaces


def test_nothing_is_left_on_a_machine(lab: Fleet) -> None:
    def there() -> str:
        script = 'ls -A "$TMPDIR"; ls -A "$TMPDIR/home"; ls /proc | grep -c "^[0-9]*$"'
        channel = lab.lab.spawn("server-any", ["sh", "-c", script])
        lines = []
        while line := channel.readline(5):
            lines.append(line.decode())
        return "".join(lines[:-1])

    before = there()
    done, _ = matrix_over_ssh(lab, "--from", SERVER)
    assert done.code == 0, done.err
    assert there() == before


def test_a_router_that_no_inventory_names_leads_only_to_where_somebody_has_a_router(lab: Fleet) -> None:
    """The servers have a network of their own, which the router of the others does not know."""
    lines = lab.inventory.read_text().splitlines(keepends=True)
    (lab.directory / "no-router.yaml").write_text("".join(one for one in lines if "router:" not in one))
    file = lab.directory / "scan.json"
    done = lab.netlab("scan", "-i", "no-router.yaml", "--port", "22", "--strict", "--json", str(file))
    assert done.code == 0, done.out + done.err
    cells = json.loads(file.read_text())["cells"]
    seen = {(cell["vantage"], cell["address"]): cell["observation"]["verdict"] for cell in cells}
    alone, shared = "198.18.2.14", lab.machines["server-any"]
    assert seen["controller", alone] == "unreachable"
    assert seen["controller", shared] == seen["remote", shared] == seen["server-loopback", alone] == "open"


def test_a_machine_that_is_down_is_one_line_and_stops_nobody_else(own_lab: Fleet) -> None:
    own_lab.daemons["peer"].close()
    done, record = matrix_over_ssh(own_lab, "--from", "router")
    assert done.code == 3
    complaints = [line for line in done.err.splitlines() if line]
    assert len(complaints) == 1, done.err
    assert "peer is left out" in complaints[0]
    assert "onnection refused" in complaints[0]
    assert {cell["host"] for cell in record["cells"]} == {
        "router",
        "remote",
        "server-any",
        "server-loopback",
    } - {"router"}


def test_machines_that_cannot_be_used_are_told_in_their_order_not_in_that_of_giving_up(lab: Fleet) -> None:
    text = (
        lab.inventory.read_text()
        + "  slow: {address: 198.18.1.250}\n  quick: {address: 198.18.1.101, port: 9}\n"
    )
    (lab.directory / "order.yaml").write_text(text)
    done = lab.netlab("scan", "-i", "order.yaml", "--limit", "slow,quick,peer", "--port", "22")
    assert done.code == 0, done.err
    assert [line.split()[1] for line in done.err.splitlines()] == ["slow", "quick"]


def test_a_daemon_that_stops_answering_is_given_up(own_lab: Fleet) -> None:
    # Its TCP port still accepts: the kernel does that.
    own_lab.daemons["peer"].send_signal(signal.SIGSTOP)
    done, _ = matrix_over_ssh(own_lab, "--from", "router", "--bind", "server-any 0.0.0.0")
    own_lab.daemons["peer"].send_signal(signal.SIGCONT)
    assert done.code == 3
    assert "peer is left out" in done.err
    assert "no SSH" in done.err


def test_an_unknown_host_key_is_refused_with_its_fingerprint_until_it_is_accepted(own_lab: Fleet) -> None:
    known = own_lab.directory / ".ssh" / "known_hosts"
    address = own_lab.machines["peer"]
    lines = known.read_text().splitlines(keepends=True)
    known.write_text("".join(line for line in lines if not line.startswith(f"{address} ")))
    shown = own_lab.run(
        ["ssh-keygen", "-l", "-f", str(own_lab.directory / "hosts" / "peer" / "host_key.pub")]
    )
    fingerprint = shown.out.split()[1]
    few = ("--from", "router", "--bind", "server-any 0.0.0.0")
    done, _ = matrix_over_ssh(own_lab, *few)
    assert done.code == 3
    assert fingerprint in done.err
    assert "--accept-new" in done.err
    assert matrix_over_ssh(own_lab, "--accept-new", *few)[0].code == 0
    # It is known from now on, and what was there before still is.
    assert matrix_over_ssh(own_lab, *few)[0].code == 0
    assert sorted(line.split()[0] for line in known.read_text().splitlines()) == sorted(
        own_lab.machines.values()
    )


def test_a_changed_host_key_is_refused_loudly_even_with_accept_new(own_lab: Fleet) -> None:
    known = own_lab.directory / ".ssh" / "known_hosts"
    keygen(own_lab.directory / "another")
    kind, key, *_ = (own_lab.directory / "another.pub").read_text().split()
    address = own_lab.machines["peer"]
    lines = [
        line for line in known.read_text().splitlines(keepends=True) if not line.startswith(f"{address} ")
    ]
    known.write_text("".join([*lines, f"{address} {kind} {key}\n"]))
    done, _ = matrix_over_ssh(own_lab, "--accept-new", "--from", "router", "--bind", "server-any 0.0.0.0")
    assert done.code == 3
    assert f"THE HOST KEY OF {address} HAS CHANGED" in done.err
    assert known.read_text().count(f"{address} ") == 1


def test_a_host_key_is_looked_up_and_recorded_by_its_alias_as_ssh_does(own_lab: Fleet) -> None:
    known = own_lab.directory / ".ssh" / "known_hosts"
    address = own_lab.machines["peer"]
    lines = known.read_text().splitlines(keepends=True)
    (line,) = (line for line in lines if line.startswith(f"{address} "))
    known.write_text(line.replace(address, "the-peer"))
    said = {
        "HostName": address,
        "User": "student",
        "HostKeyAlias": "The-Peer",
        "UserKnownHostsFile": known,
        "IdentityFile": own_lab.directory / ".ssh" / "id_ed25519",
    }
    config = ["Host peer", *(f" {keyword} {value}" for keyword, value in said.items())]
    (own_lab.directory / "config").write_text("\n".join(config) + "\n")
    scan = ("scan", "-i", "config", "--port", "22", "--strict")
    by_ssh = own_lab.run(["ssh", "-F", "config", "-o", "StrictHostKeyChecking=yes", "peer", "true"])
    assert by_ssh.code == 0, by_ssh.err
    done = own_lab.netlab(*scan)
    assert done.code == 0, done.err
    known.write_text("")
    assert "the host key of the-peer is not known" in own_lab.netlab(*scan).err
    done = own_lab.netlab(*scan, "--accept-new")
    assert done.code == 0, done.err
    assert known.read_text().split()[0] == "the-peer"
    assert own_lab.run(["ssh", "-F", "config", "-o", "StrictHostKeyChecking=yes", "peer", "true"]).code == 0
    keygen(own_lab.directory / "other")
    other = own_lab.directory.joinpath("other.pub").read_text()
    known.write_text(f"the-peer {other}")
    assert "THE HOST KEY OF the-peer HAS CHANGED" in own_lab.netlab(*scan).err


def test_with_a_limit_no_other_machine_is_spoken_to(lab: Fleet) -> None:
    config = lab.directory / "many"
    hosts = [f"Host {name}\n HostName {address}\n" for name, address in lab.machines.items()]
    # Forty more, none of which is there.
    off = [f"Host off{number}\n HostName 198.18.1.{number}\n" for number in range(210, 250)]
    user = f"Host *\n User student\n IdentityFile {lab.directory}/.ssh/id_ed25519\n"
    config.write_text("".join([*off, *hosts, user]))
    limited = ("--limit", "peer,server-*,!server-any", "--parallel", "1")
    done = lab.netlab("scan", "-i", "many", *limited, "--port", "22")
    assert done.code == 0, done.err
    assert "peer:22" in done.out
    assert "server-any" not in done.out
    done = lab.netlab("why", "peer", "router:22", "-i", "many", "--limit", "peer", "--limit", "router")
    assert done.code == 0, done.err
    done = lab.netlab("run", "-i", "many", "--limit", "peer", "--bind", "peer 0.0.0.0")
    assert done.code == 0, done.err
    assert done.err == ""
    done = lab.netlab("status", "-i", "many", "--limit", "peer")
    assert [line.split()[0] for line in done.out.splitlines()] == ["MACHINE", "peer"]
    done = lab.netlab("scan", "-i", "many", "--limit", "nobody")
    assert done.code == 2
    assert done.err == "netlab: many: --limit: neither a machine nor a group is called nobody\n"


def test_a_key_that_is_not_allowed_is_one_line(own_lab: Fleet) -> None:
    own = own_lab.directory / ".ssh"
    shutil.move(own / "id_ed25519", own / "elsewhere")
    keygen(own / "id_ecdsa", "ecdsa")
    done, _ = matrix_over_ssh(own_lab)
    assert done.code == 3
    assert "student may not log in: 1 key was tried" in done.err
    assert "Traceback" not in done.err


def test_a_scan_finds_every_daemon_from_everywhere(lab: Fleet) -> None:
    file = lab.directory / "scan.json"
    done = lab.netlab("scan", "-i", "lab.yaml", "--port", "22", "--strict", "--json", str(file))
    assert done.code == 0, done.err + done.out
    record = json.loads(file.read_text())
    assert {service["name"] for service in record["services"]} == {f"{name}:22" for name in lab.machines}
    neighbours = [c for c in record["cells"] if c["vantage"] == "controller" and c["host"] == "peer"]
    assert [c["observation"]["verdict"] for c in neighbours] == ["open", "open"]


def test_why_explains_a_way_across_hosts(lab: Fleet) -> None:
    done = lab.netlab("why", "remote", "peer:22", "-i", "lab.yaml")
    assert done.code == 0, done.err
    assert "predicted open, observed open" in done.out
    assert "passes it on" in done.out
    done = lab.netlab("why", "remote", "peer:23", "-i", "lab.yaml")
    assert done.code == 0, done.err
    assert "predicted refused, observed refused" in done.out


def test_why_asks_by_udp_and_a_machine_s_kernel_refuses_by_icmp(lab: Fleet) -> None:
    done = lab.netlab("why", "remote", "peer:53/udp", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert "predicted refused, observed refused" in done.out
    assert "port unreachable" in done.out


def test_a_filter_that_no_fact_shows_is_suspected_where_it_may_be(own_lab: Fleet) -> None:
    dropped = [
        "iptables",
        "--append",
        "INPUT",
        "--protocol",
        "tcp",
        "--dport",
        "22",
        "--source",
        "198.18.1.101",
    ]
    filtering = own_lab.lab.spawn("server-any", [*dropped, "--jump", "DROP"])
    if filtering.wait(10):
        unavailable("ssh", f"no packet filter can be set up in a namespace: {filtering.diagnostics()}")
    done = own_lab.netlab("why", "peer", "server-any:22", "-i", "lab.yaml")
    assert done.code == 1, done.out + done.err
    assert "predicted open, observed timeout" in done.out
    said = " ".join(done.out.split())
    assert "a packet filter between peer and server-any, on neither host, or on one of them" in said


def test_a_machine_without_its_python_is_one_line_and_stops_nobody(lab: Fleet) -> None:
    machines = list(lab.machines.items())[:2]
    (lost, _), (there, _) = machines
    hosts = [f"  {name}: {{address: {address!r}}}\n" for name, address in machines]
    hosts[0] = hosts[0].replace("}", ", python: /no/such/python}")
    (lab.directory / "odd.yaml").write_text("defaults: {user: student}\nhosts:\n" + "".join(hosts))
    done = lab.netlab("scan", "-i", "odd.yaml", "--port", "22")
    assert f"{there}:22" in done.out
    assert [line for line in done.err.splitlines() if lost in line and "/no/such/python" in line]
    assert "name another interpreter (python:)" in done.err
    done = lab.netlab("why", there, f"{lost}:22", "-i", "odd.yaml")
    assert done.code == 3
    assert f"netlab: {lost} can't be used: agent on {lost}: " in done.err
    assert "Traceback" not in done.err
    done = lab.netlab("status", "-i", "odd.yaml")
    assert done.code == 1
    assert "/no/such/python" in next(line for line in done.out.splitlines() if line.startswith(lost))
    assert "nothing is deployed" in next(line for line in done.out.splitlines() if line.startswith(there))


@pytest.mark.parametrize("way", ["router", "[peer, router]"])
def test_a_machine_behind_jump_hosts_is_reached_through_them(own_lab: Fleet, way: str) -> None:
    hosts = "".join(f"  {name}: {{address: {address!r}}}\n" for name, address in own_lab.machines.items())
    hosts = hosts.replace(
        f"remote: {{address: {own_lab.machines['remote']!r}", f"remote: {{address: 198.18.3.102, jump: {way}"
    )
    own_lab.inventory.write_text(f"defaults: {{user: student}}\nhosts:\n{hosts}")
    # Directly there is no way: the router passes nothing on.
    stop = own_lab.lab.spawn("router", ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"])
    assert stop.wait(5) == 0
    done, record = matrix_over_ssh(own_lab, "--from", "remote", "--bind", "server-any 0.0.0.0")
    assert done.code == 0, done.err
    assert record["cells"]


def test_a_jump_host_is_logged_in_to_once_for_all_that_is_behind_it(own_lab: Fleet) -> None:
    hosts = "".join(f"  {name}: {{address: {address!r}}}\n" for name, address in own_lab.machines.items())
    text = f"defaults: {{user: student, jump: router}}\nhosts:\n{hosts}"
    own_lab.inventory.write_text(text)
    before = own_lab.daemons["router"].diagnostics().count("Accepted publickey")
    done = own_lab.netlab("scan", "-i", "lab.yaml", "--port", "22", "--strict")
    assert done.code == 0, done.err + done.out
    assert own_lab.daemons["router"].diagnostics().count("Accepted publickey") == before + 1
    (own_lab.directory / "off.yaml").write_text(f"{text}  off[1:4]: {{address: '198.18.1.[251:254]'}}\n")
    done = own_lab.netlab("scan", "-i", "off.yaml", "--limit", "peer,off*", "--port", "22")
    assert done.code == 0, done.err
    assert [line.split(": ")[3] for line in done.err.splitlines()] == ["the jump host can't reach it"] * 4


def test_key_files_that_are_of_no_use_are_said_only_where_no_other_key_lets_in(lab: Fleet) -> None:
    own = lab.directory / ".ssh"
    (lab.directory / "garbage").write_bytes(bytes(range(256)))
    keygen(lab.directory / "stranger")
    useless = ["missing", "garbage", "stranger.pub", ".ssh"]
    text = lab.inventory.read_text()

    def scan(keys: list[str]) -> Done:
        said = text.replace("user: student", f"user: student, keys: {json.dumps(keys)}")
        (lab.directory / "keys.yaml").write_text(said)
        return lab.netlab("scan", "-i", "keys.yaml", "--limit", "peer", "--port", "22")

    done = scan(useless)
    assert done.code == 3
    assert len(done.err.splitlines()) == 1, done.err
    said = ["missing there is no such file", "garbage is no private key", ".ssh Is a directory"]
    said += ["stranger.pub is a public key: name the private one", "0 keys were tried"]
    assert not [text for text in said if text not in done.err], done.err
    done = scan([*useless, str(own / "id_ed25519")])
    assert done.code == 0, done.err


def test_keys_of_the_agent_are_tried_before_a_passphrase_is_asked_for(own_lab: Fleet) -> None:
    own = own_lab.directory / ".ssh"
    keygen(own / "locked", passphrase="not asked for")
    text = own_lab.inventory.read_text().replace("user: student", "user: student, key: .ssh/locked")
    own_lab.inventory.write_text(text)
    scan = f"{sys.executable} -m netlab scan -i lab.yaml --port 22 --strict"
    add = "ssh-add -q .ssh/id_ed25519"
    done = own_lab.run(["ssh-agent", "sh", "-c", f"{add} && {scan}"])
    assert done.code == 0, done.err
    # And no others than those that are named, where that is said: of these the agent's before the file's.
    own_lab.inventory.write_text(text.replace(".ssh/locked", ".ssh/locked, only_these_keys: true"))
    done = own_lab.run(["ssh-agent", "sh", "-c", f"{add} && {scan}"])
    assert done.code == 3
    assert "locked is encrypted" in done.err
    keygen(own / "first")
    own_lab.inventory.write_text(text.replace(".ssh/locked", ".ssh/first, only_these_keys: true"))
    done = own_lab.run(["ssh-agent", "sh", "-c", f"ssh-add -q .ssh/first && rm .ssh/first && {scan}"])
    assert done.code == 3
    assert "1 key was tried" in done.err


def test_too_many_keys_of_the_agent_are_told_as_what_they_are(own_lab: Fleet) -> None:
    names = [f"key{number}" for number in range(8)]
    for name in names:
        keygen(own_lab.directory / name)
    scan = f"{sys.executable} -m netlab scan -i lab.yaml --port 22"
    done = own_lab.run(["ssh-agent", "sh", "-c", f"ssh-add -q {' '.join(names)} && {scan}"])
    assert done.code == 3
    assert "it hung up after 6 keys were tried for student: name the right one, and no other" in done.err


def test_a_server_that_wants_two_keys_is_shown_both(own_lab: Fleet) -> None:
    own, there = own_lab.directory / ".ssh", own_lab.directory / "hosts" / "peer"
    keygen(own / "second")
    with (there / "authorized_keys").open("a") as authorized:
        authorized.write((own / "second.pub").read_text())
    more = 'echo AuthenticationMethods publickey,publickey >> "$TMPDIR/sshd_config"\n'
    (there / "more.sh").write_text(more)
    own_lab.daemons["peer"].close()
    own_lab.start_machine("peer")
    own_lab.wait_up("peer")
    scan = ("scan", "-i", "lab.yaml", "--limit", "peer", "--port", "22", "--strict")
    done = own_lab.netlab(*scan)
    assert done.code == 3
    assert "student may not log in: 1 key was tried" in done.err
    text = own_lab.inventory.read_text()
    keys = "keys: [.ssh/second, .ssh/id_ed25519]"
    own_lab.inventory.write_text(text.replace("user: student", f"user: student, {keys}"))
    done = own_lab.netlab(*scan)
    assert done.code == 0, done.err


def test_a_port_that_is_taken_is_told_before_anything_is_tried_and_another_does(lab: Fleet) -> None:
    text = lab.inventory.read_text()
    (lab.directory / "taken.yaml").write_text(f"{text}serve: {{hosts: [peer, server-any], port: 22}}\n")
    run = ("run", "-i", "taken.yaml", "--bind", "peer 0.0.0.0", "--limit", "peer,server-any,remote")
    done = lab.netlab(*run)
    assert done.code == 3
    said = "0.0.0.0:22, [::]:22 is taken, perhaps by what 'netlab deploy' put there: use another --port"
    assert done.err.splitlines() == [
        f"netlab: peer is left out: {said}",
        f"netlab: server-any is left out: {said}",
        "netlab: none of the servers can be used: peer, server-any",
    ]
    done = lab.netlab(*run, "--port", "19501")
    assert done.code == 0, done.err
    assert done.err == ""
    assert lab.netlab("run", "--port", "19501").code == 2
