"""What can happen to machines, and to who deploys, while `netlab deploy` is at work."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.ssh.deploying import BASE, Room, lines_of, room, wait_until, zipapp_with
from tests.ssh.fleet import CONTROLLER, keygen

MIB = 1 << 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Machines: the last has a small disk."""
    with room(tmp_path_factory.mktemp("room"), 6, {"lab06": "1m"}) as up:
        yield up


@pytest.fixture(autouse=True)
def from_nothing(lab: Room) -> None:
    """Every test begins with machines on which nothing is deployed."""
    lab.inventory()
    for host in lab.names:
        lab.wipe(host)


def large(lab: Room, mib: int) -> str:
    """Make a release that takes a while to upload."""
    (lab.up.directory / "large.pyz").write_bytes(zipapp_with({"ballast": os.urandom(mib * MIB)}))
    return "large.pyz"


def is_uploading(lab: Room, host: str) -> bool:
    """Whether a part of a release is on a machine, and not all of it."""
    place = f"{BASE}/releases"
    sizes = lab.run(host, "sh", "-c", f"stat -c %s {place}/.incoming-*/hftp.pyz 2>/dev/null || true")
    return any(int(size) > MIB for size in sizes.split())


def test_each_machine_that_cannot_be_deployed_to_is_a_line_and_stops_nobody_else(lab: Room) -> None:
    # lab02: another host key; lab03: silent; lab04: its port is taken; lab06: a full disk; lab99: off.
    lab.inventory("reachable_from: [controller]", more="  lab99: {address: 198.18.1.99, groups: [lab]}")
    known = lab.up.directory / ".ssh" / "known_hosts"
    before = known.read_text()
    keygen(lab.up.directory / "other")
    other = (lab.up.directory / "other.pub").read_text().split()
    address = re.escape(lab.up.machines["lab02"])
    known.write_text(
        re.sub(rf"(?m)^{address} .*$", f"{lab.up.machines['lab02']} {other[0]} {other[1]}", before)
    )
    listens = "import socket, time; s = socket.create_server(('0.0.0.0', 19500))"
    listens += "; print(1, flush=True); time.sleep(99)"
    taker = lab.ssh("lab04", f'{lab.up.lab.python("lab04")} -c "{listens}"')
    assert taker.readline(20) == b"1\n"
    stopped = lab.signal("lab03", signal.SIGSTOP, "sshd")
    try:
        done = lab.netlab("deploy")
    finally:
        assert stopped
        lab.signal("lab03", signal.SIGCONT, "sshd")
        known.write_text(before)
        taker.close()
    assert done.code == 1, done.out + done.err
    lines = lines_of(done)
    assert lines["lab01"].startswith("deployed")
    assert lines["lab02"].startswith("not reached - THE HOST KEY OF 198.18.1.12 HAS CHANGED")
    assert re.match(r"not reached - 198.18.1.13:22: no SSH: .*", lines["lab03"]), lines["lab03"]
    assert re.match(r"failed - port 19500 is taken by process \d+ \(python", lines["lab04"]), lines["lab04"]
    assert lines["lab05"].startswith("deployed")
    assert re.match(r"failed - the disk is full: \d+ KiB free in .*, \d+ needed", lines["lab06"]), lines[
        "lab06"
    ]
    assert lines["lab99"].startswith("not reached - 198.18.1.99:22: ")
    assert lab.answers("lab01")
    for host in ("lab02", "lab03", "lab04", "lab06"):
        assert lab.releases(host) == {}
    assert "Traceback" not in done.err


def test_a_host_key_that_is_not_known_is_refused_until_it_is_accepted(lab: Room) -> None:
    lab.inventory(only=["lab01"])
    known = lab.up.directory / ".ssh" / "known_hosts"
    before = known.read_text()
    known.write_text("")
    try:
        done = lab.netlab("deploy")
        assert done.code == 3, done.out + done.err
        assert "is not known (ssh-ed25519 SHA256:" in lines_of(done)["lab01"]
        assert lab.netlab("deploy", "--accept-new").code == 0
    finally:
        known.write_text(before)


def test_a_disk_that_fills_up_during_the_upload_is_told_and_nothing_is_left(lab: Room) -> None:
    lab.inventory(only=["lab01"])
    program = large(lab, 20)
    deploying = lab.start("deploy", "--zipapp", program)
    wait_until(lambda: is_uploading(lab, "lab01"))
    lab.run("lab01", "sh", "-c", "head -c 64m /dev/zero > filler 2>/dev/null || true")
    line = deploying.readline(60).decode()
    assert deploying.wait(30) == 1
    deploying.close()
    lab.run("lab01", "rm", "filler")
    assert "the disk is full" in line
    assert lab.netlab("deploy").code == 0
    assert list(lab.releases("lab01").values()) == [True]
    assert not lab.run("lab01", "sh", "-c", f"ls -d {BASE}/releases/.??* 2>/dev/null || true")


def test_a_disk_that_fills_up_during_the_data_leaves_no_half_file_and_the_next_run_finishes(
    lab: Room,
) -> None:
    lab.inventory("reachable_from: [controller]", only=["lab01", "lab05"])
    assert lab.netlab("deploy").code == 0
    release = lab.current("lab01")
    files = lab.up.directory / "files"
    files.mkdir(exist_ok=True)
    (files / "a-small").write_bytes(b"small")
    (files / "b-large").write_bytes(os.urandom(40 * MIB))
    deploying = lab.start("deploy", "--data", "files")
    arriving = "stat -c %s hftp-data/.netlab-incoming/b-large 2>/dev/null || echo 0"
    wait_until(lambda: int(lab.run("lab01", "sh", "-c", arriving)) > MIB)
    lab.run("lab01", "sh", "-c", "head -c 64m /dev/zero > filler 2>/dev/null || true")
    lines = [deploying.readline(60).decode() for _ in range(2)]
    assert deploying.wait(30) == 1
    deploying.close()
    assert re.match(
        rf"lab01 +failed +{release[:12]} +the upload broke off: .*: the disk is full", lines[0]
    ), lines
    assert re.match(r"lab05 +deployed +.*2 files sent", lines[1]), lines
    # What came over whole is served, of the other nothing is left, and there is as much room as before.
    assert lab.run("lab01", "ls", "-A", "hftp-data").split() == ["a-small"]
    assert lab.run("lab01", "cat", "hftp-data/a-small") == "small"
    assert lab.current("lab01") == release
    assert lab.answers("lab01")
    lab.run("lab01", "sh", "-c", "head -c 64m /dev/zero > filler2 2>/dev/null || true")
    done = lab.netlab("deploy", "--data", "files")
    assert done.code == 1, done.out + done.err
    assert re.match(
        r"failed \w+ the disk is full: \d+ KiB free, \d+ needed for --data", lines_of(done)["lab01"]
    )
    lab.run("lab01", "rm", "filler", "filler2")
    done = lab.netlab("deploy", "--data", "files")
    assert done.code == 0, done.out + done.err
    assert "b-large sent" in lines_of(done)["lab01"]
    assert lab.run("lab01", "cmp", "hftp-data/b-large", str(files / "b-large")) == ""
    lab.run("lab01", "sh", "-c", "head -c 64m /dev/zero > filler 2>/dev/null || true")
    done = lab.netlab("undeploy")
    lab.run("lab01", "rm", "filler")
    assert done.code == 0, done.out + done.err


def test_a_machine_that_dies_during_the_upload_is_whole_when_it_is_back(lab: Room) -> None:
    lab.inventory("reachable_from: [controller]", only=["lab01", "lab05"])
    assert lab.netlab("deploy").code == 0
    old = lab.current("lab01")
    program = large(lab, 20)
    deploying = lab.start("deploy", "--zipapp", program)
    wait_until(lambda: is_uploading(lab, "lab01"))
    lab.power_cut("lab01")
    lines = [deploying.readline(60).decode() for _ in range(2)]
    assert deploying.wait(60) == 1
    deploying.close()
    assert re.match(r"lab01 +failed", lines[0]), lines
    assert re.match(r"lab05 +deployed", lines[1]), lines
    lab.start_again("lab01")
    assert lab.current("lab01") == old
    assert lab.releases("lab01") == {old: True}
    done = lab.netlab("deploy", "--zipapp", program)
    assert done.code == 0, done.out + done.err
    assert lab.current("lab01") == lab.current("lab05")


def test_an_sshd_that_stops_answering_during_the_upload_is_given_up(lab: Room) -> None:
    lab.inventory("reachable_from: [controller]", only=["lab01", "lab05"])
    program = large(lab, 20)
    deploying = lab.start("deploy", "--zipapp", program)
    wait_until(lambda: is_uploading(lab, "lab01"))
    assert lab.signal("lab01", signal.SIGSTOP, "sshd")
    try:
        started = time.monotonic()
        lines = [deploying.readline(90).decode() for _ in range(2)]
        assert time.monotonic() - started < 60
        assert deploying.wait(60) == 1
    finally:
        lab.signal("lab01", signal.SIGCONT, "sshd")
    deploying.close()
    assert re.match(r"lab01 +failed", lines[0]), lines
    assert "no answer within" in lines[0]
    assert re.match(r"lab05 +deployed", lines[1]), lines
    done = lab.netlab("deploy")
    assert done.code == 0, done.out + done.err


_ASKS_LATER = """
import sys
from netlab.backends.ssh import Terms
from netlab.backends.ssh.connection import Connections
from netlab.errors import LabError
from netlab.inventory import load_inventory

connection = Connections(Terms()).to(load_inventory("lab.yaml").machine("lab01"))
channel = connection.session()
print("connected", flush=True)
sys.stdin.readline()
connection.session = lambda: channel  # which the server has opened, before it stops
try:
    connection.sftp()
except LabError as error:
    print(type(error).__name__, error, flush=True)
"""


def test_an_sshd_that_stops_answering_before_a_transfer_is_given_up(lab: Room) -> None:
    argv = [sys.executable, "-c", _ASKS_LATER]
    script = 'cd "$1" && export HOME="$1" && shift && exec "$@"'
    asking = lab.up.lab.spawn(CONTROLLER, ["sh", "-c", script, "sh", str(lab.up.directory), *argv])
    assert asking.readline(30) == b"connected\n"
    assert lab.signal("lab01", signal.SIGSTOP, "sshd")
    try:
        asking.send(b"\n")
        assert asking.readline(40).startswith(b"LabError lab01: no SFTP: ")
    finally:
        lab.signal("lab01", signal.SIGCONT, "sshd")
        asking.close()


def test_a_controller_that_is_killed_at_any_moment_leaves_whole_releases(lab: Room, tmp_path: Path) -> None:
    lab.inventory(only=["lab01", "lab05"])
    started = time.monotonic()
    assert lab.netlab("deploy").code == 0
    takes_s = time.monotonic() - started
    hosts = ("lab01", "lab05")
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for number in range(10):
        program = f"release{number}.pyz"
        (lab.up.directory / program).write_bytes(zipapp_with({"number": b"%d" % number}))
        deploying = lab.start("deploy", "--zipapp", program)
        time.sleep(moments.uniform(0.2, takes_s))
        deploying.send_signal(signal.SIGKILL)
        deploying.close()
        for host in hosts:
            assert lab.is_whole(host, lab.current(host)), (seed, number)
            wait_until(partial(lab.has_no_deployer, host))  # it may still go back
            current, releases = lab.current(host), lab.releases(host)
            assert current in releases, (seed, number)
            assert all(releases.values()), (seed, number)
        done = lab.netlab("deploy", "--zipapp", program)
        assert done.code == 0, (seed, number, done.out + done.err)
        assert lab.current("lab01") == lab.current("lab05")
        assert all(lab.answers(host) for host in hosts)


def test_a_release_whose_controller_was_killed_before_it_was_confirmed_is_taken_back(lab: Room) -> None:
    lab.inventory(only=["lab01"])
    assert lab.netlab("deploy").code == 0
    old = lab.current("lab01")
    (lab.up.directory / "next.pyz").write_bytes(zipapp_with({"next": b""}))
    deploying = lab.start("deploy", "--zipapp", "next.pyz")
    # It is confirmed a second after its start, at the soonest.
    wait_until(lambda: lab.current("lab01") not in ("", old))
    deploying.send_signal(signal.SIGKILL)
    deploying.close()
    wait_until(lambda: lab.has_no_deployer("lab01"))
    assert lab.releases("lab01") == {old: True}
    assert lab.current("lab01") == old
    assert lab.answers("lab01")
    assert "took back" in lab.run("lab01", "cat", f"{BASE}/deploys.log")


def test_no_secret_is_ever_shown(lab: Room, tmp_path: Path) -> None:
    passphrase = "correct-horse-battery"
    key = lab.up.directory / "secret_key"
    keygen(key, passphrase=passphrase)
    lab.run("lab01", "sh", "-c", f"cat {key}.pub >> .ssh/authorized_keys")
    inventory = lab.inventory(only=["lab01"], name="secret.yaml")
    text = (lab.up.directory / inventory).read_text()
    text = text.replace("user: student", "user: student, key: secret_key, only_these_keys: true")
    (lab.up.directory / inventory).write_text(text)
    done = lab.up.at_a_terminal(passphrase, "passphrase of", "deploy", "-i", inventory)
    assert "ENDED 0 QUESTIONS 1 SEEN []" in done.out, done.out + done.err
    assert "deployed" in done.out
    assert passphrase not in done.out + done.err
    assert passphrase not in lab.run("lab01", "sh", "-c", "grep -r correct-horse . || true")
    private = key.read_text().splitlines()[2]
    assert private not in done.out + done.err + lab.run(
        "lab01", "sh", "-c", f"grep -rl {private[:40]} . || true"
    )


# Answers as an agent does, and says of a deployment what it is told to.
_EVIL = """#!{python}
import json, sys
given = sys.stdin.buffer
source = given.read(int(given.readline()))
deploying = b"from netlab.deploy.there.deployer import main"
exec(compile(source.rpartition(deploying)[0] or source, "agent", "exec"), {{"__name__": "__main__"}})
from netlab.agent.program import Agent
agent = Agent()
for line in given:
    request = json.loads(line)
    if request["op"] in ("facts", "probe"):
        sys.stdout.buffer.write(agent.answer(line))
        sys.stdout.buffer.flush()
        continue
    said = {{"ok": {{"current": "\\033[31m", "text": "\\033[31mred", "cursor": ""}}}}
    if request["op"] == "lock":
        said = {{"error": "\\033[31mred"}}
    print(json.dumps({{"id": request["id"], **said}}), flush=True)
"""


def test_what_a_machine_says_of_itself_is_checked_and_harms_no_terminal(lab: Room) -> None:
    lab.inventory("reachable_from: [controller]", only=["lab01", "lab02"])
    text = (lab.up.directory / "lab.yaml").read_text()
    home = lab.run("lab01", "pwd").strip()
    evil = _EVIL.format(python=lab.up.lab.python("lab01"))
    lab.run("lab01", "sh", "-c", 'printf %s "$1" > evil && chmod +x evil', "sh", evil)
    address = lab.up.machines["lab01"]
    said = text.replace(f"{{address: {address}", f"{{python: {home}/evil, address: {address}")
    (lab.up.directory / "evil.yaml").write_text(said)
    for command, code in (
        ("deploy", 1),
        ("deploy --check", 1),
        ("status", 3),
        ("undeploy", 1),
        ("logs lab01", 0),
    ):
        name, *more = command.split()
        done = lab.netlab(name, *more, inventory="evil.yaml")
        assert done.code == code, (command, done.out + done.err)
        assert "Traceback" not in done.err, (command, done.err)
        assert "\033" not in done.out + done.err, (command, done.out + done.err)
        if name == "deploy":
            assert re.match(r"(failed|not reached) ", lines_of(done)["lab01"]), done.out
            assert re.match(r"(deployed|unchanged) ", lines_of(done)["lab02"]), done.out
    assert "it answers otherwise than asked: survey." in lab.netlab("status", inventory="evil.yaml").out
    rude = "#!/bin/sh\nprintf '\\033[31mred' >&2\n"
    lab.run("lab01", "sh", "-c", 'printf %s "$1" > evil', "sh", rude)
    done = lab.netlab("scan", "--port", "22", inventory="evil.yaml")
    assert "lab01 is left out: " in done.err
    assert "\\x1b[31mred" in done.err
    assert "\033" not in done.out + done.err
    lab.run("lab01", "rm", "evil")
