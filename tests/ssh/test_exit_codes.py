"""Every exit code that docs/ci.md lists, of the commands on real machines; 4 is in tests/wheel."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from tests.requirements import unavailable
from tests.ssh.deploying import wait_until
from tests.ssh.fleet import CONTROLLER, USER, Fleet

COMMANDS: dict[str, tuple[str, ...]] = {
    "scan": ("scan", "--strict", "--port", "22"),
    "why": ("why", "peer", "server-any:22"),
    "deploy": ("deploy",),
    "run": ("run", "--bind", "server-any 0.0.0.0", "--from", "peer"),
}
# Takes a connection and says nothing: whoever logs in there waits.
SILENT = """
import socket, time
sock = socket.create_server(("127.0.0.1", 2222))
print("listening", flush=True)
connection, _ = sock.accept()
print("connected", flush=True)
time.sleep(60)
"""


# netlab as somebody would have it who has a whole hour for each machine.
PATIENT = """
import sys
from netlab.backends.ssh import connection
from netlab.cli import main
connection._CONNECT_S = connection._HANDSHAKE_S = 3600.0
sys.exit(main(sys.argv[1:]))
"""


def inventory(lab: Fleet, name: str, serve: str = "", **machines: str) -> tuple[str, str]:
    """Write an inventory, and return the words that name it."""
    lines = [f"defaults: {{user: {USER}}}", "hosts:"]
    lines += [f"  {host.replace('_', '-')}: {said}" for host, said in machines.items()]
    lines.append(f"serve: {{hosts: [server-any]{serve}}}")
    (lab.directory / name).write_text("\n".join(lines) + "\n")
    return "-i", name


def at(lab: Fleet, machine: str) -> str:
    return f"{{address: {lab.machines[machine]!r}}}"


@pytest.fixture(scope="module")
def well(lab: Fleet) -> tuple[str, str]:
    """An inventory of machines that are well."""
    return inventory(lab, "well.yaml", **{name.replace("-", "_"): at(lab, name) for name in lab.machines})


@pytest.fixture
def filtered(lab: Fleet) -> Iterator[None]:
    """A packet filter that no fact shows: what peer sends to one machine is dropped there."""
    rule = ["INPUT", "--protocol", "tcp", "--source", lab.machines["peer"], "--jump", "DROP"]
    filtering = lab.lab.spawn("server-any", ["iptables", "--wait", "--insert", *rule])
    if filtering.wait(10):
        unavailable("ssh", f"no packet filter can be set up in a namespace: {filtering.diagnostics()}")
    yield
    assert lab.lab.spawn("server-any", ["iptables", "--wait", "--delete", *rule]).wait(10) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_0_all_is_as_it_should_be(lab: Fleet, well: tuple[str, str], command: str) -> None:
    done = lab.netlab(*COMMANDS[command], *well)
    assert done.code == 0, done.out + done.err
    if command == "deploy":
        assert lab.netlab("status", *well).code == 0
        assert lab.netlab("undeploy", *well).code == 0


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("command", ["scan", "why", "run"])
def test_1_a_dial_is_not_as_predicted(lab: Fleet, well: tuple[str, str], command: str) -> None:
    done = lab.netlab(*COMMANDS[command], *well)
    assert done.code == 1, done.out + done.err


@pytest.mark.usefixtures("filtered")
def test_0_is_what_a_scan_ends_with_that_is_not_strict_whatever_it_finds(
    lab: Fleet, well: tuple[str, str]
) -> None:
    assert lab.netlab("scan", "--port", "22", *well).code == 0


def test_1_a_machine_does_not_serve(lab: Fleet, well: tuple[str, str]) -> None:
    taken = inventory(lab, "taken.yaml", ", port: 22", server_any=at(lab, "server-any"))
    done = lab.netlab("deploy", *taken)
    assert done.code == 1, done.out + done.err
    assert lab.netlab("status", *well).code == 1


@pytest.mark.parametrize("command", [*COMMANDS, "status"])
def test_2_a_wrong_file_and_it_is_said_where(lab: Fleet, command: str) -> None:
    wrong = inventory(lab, "wrong.yaml", peer="{adress: 192.0.2.1}", server_any=at(lab, "server-any"))
    done = lab.netlab(*COMMANDS.get(command, (command,)), *wrong)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("netlab: wrong.yaml:3: hosts.peer.adress: unknown key")


@pytest.mark.parametrize("command", [*COMMANDS, "status"])
def test_3_a_machine_is_out_of_reach(lab: Fleet, command: str) -> None:
    off = inventory(
        lab,
        "off.yaml",
        peer="{address: 127.0.0.1, port: 2223}",
        server_any="{address: 127.0.0.1, port: 2224}",
    )
    done = lab.netlab(*COMMANDS.get(command, (command,)), *off)
    assert done.code == 3, done.out + done.err
    assert "onnection refused" in done.out + done.err


@pytest.fixture
def nobody(lab: Fleet) -> Iterator[str]:
    """An address that swallows what is sent there."""
    address = lab.machines["peer"].rpartition(".")[0] + ".250"
    entry = [address, "lladdr", "02:00:00:00:00:fa", "dev", "eth0"]
    assert lab.lab.spawn(CONTROLLER, ["ip", "neigh", "replace", *entry, "nud", "permanent"]).wait(10) == 0
    yield address
    assert lab.lab.spawn(CONTROLLER, ["ip", "neigh", "del", *entry]).wait(10) == 0


def dials_nobody(lab: Fleet) -> bool:
    return lab.lab.spawn(CONTROLLER, ["ss", "-Htn", "state", "syn-sent"]).readline(10) != b""


@pytest.mark.parametrize("command", [*COMMANDS, "status", "logs"])
def test_130_interrupted_while_a_machine_is_waited_for(lab: Fleet, nobody: str, command: str) -> None:
    """One takes a connection and says nothing, and one does not even do that; both would be waited for."""
    silent = inventory(
        lab,
        "silent.yaml",
        ", reachable_from: [peer]",
        peer="{address: 127.0.0.1, port: 2222}",
        server_any=f"{{address: {nobody}}}",
    )
    words = COMMANDS.get(command, ("logs", "server-any") if command == "logs" else (command,))
    machine = lab.lab.spawn(CONTROLLER, [sys.executable, "-u", "-c", SILENT])
    try:
        assert machine.readline(30) == b"listening\n"
        script = 'cd "$1" && export HOME="$1" && shift && exec "$@"'
        netlab = (sys.executable, "-c", PATIENT, *words, *silent)
        running = lab.lab.spawn(CONTROLLER, ["sh", "-c", script, "sh", str(lab.directory), *netlab])
        wait_until(lambda: dials_nobody(lab))
        if command in COMMANDS:
            assert machine.readline(30) == b"connected\n", running.diagnostics()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130, running.diagnostics()
        assert "Traceback" not in running.diagnostics()
        assert not dials_nobody(lab)
        running.close()
    finally:
        machine.close()
