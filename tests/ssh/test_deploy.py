"""`netlab deploy` and what belongs to it, on machines with real OpenSSH daemons."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssh.deploying import BASE, GUEST, Room, lines_of, room, wait_until, zipapp_with

# Listens and answers, and is gone half a second later.
DIES_SOON = """
import os, sys, threading, time
def die():
    time.sleep(0.5)
    sys.stderr.write("out of luck\\n")
    sys.stderr.flush()
    os._exit(3)
threading.Thread(target=die, daemon=True).start()
from hftp.cli import main
sys.exit(main())
"""
DIES_AT_ONCE = 'import sys\nsys.exit("no luck at all")\n'
# Ends half a second after the first of its requests that is not its host's own.
DIES_WHEN_USED = """
import os, sys
from hftp import cli, server
import hftp.files
was = hftp.files.DataDirectory.open
def die(self, name):
    os._exit(4)
hftp.files.DataDirectory.open = die
sys.exit(cli.main())
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Two machines and a guest, for tests that leave them up."""
    with room(tmp_path_factory.mktemp("room"), 2) as up:
        yield up


@pytest.fixture(autouse=True)
def from_nothing(lab: Room) -> None:
    """Every test begins with machines on which nothing is deployed."""
    lab.inventory()
    for host in lab.names:
        lab.wipe(host)


def write(lab: Room, name: str, content: bytes) -> str:
    """Put a file beside the inventory."""
    (lab.up.directory / name).write_bytes(content)
    return name


def deployed(lab: Room) -> str:
    """Deploy, and return the release."""
    done = lab.netlab("deploy")
    assert done.code == 0, done.out + done.err
    return lab.current("lab01")


def test_from_nothing_every_machine_serves_a_whole_release(lab: Room) -> None:
    done = lab.netlab("deploy")
    assert done.code == 0, done.out + done.err
    for host, line in lines_of(done).items():
        assert line.startswith("deployed"), line
        assert "as wanted from 2 vantages" in line
        assert lab.releases(host) == {lab.current(host): True}
        assert lab.answers(host)
    assert "2 deployed" in done.err


def test_a_second_run_changes_nothing_and_says_so(lab: Room) -> None:
    release = deployed(lab)
    before = {host: lab.state(host) for host in lab.names}
    done = lab.netlab("deploy")
    assert done.code == 0, done.out + done.err
    for line in lines_of(done).values():
        assert line == f"unchanged {release[:12]} as wanted from 2 vantages"
    assert {host: lab.state(host) for host in lab.names} == before


def test_check_says_what_would_change_and_changes_nothing(lab: Room) -> None:
    done = lab.netlab("deploy", "--check")
    assert done.code == 0, done.out + done.err
    assert "would change - upload release" in lines_of(done)["lab01"]
    assert "cannot access" in lab.run("lab01", "sh", "-c", f"ls -d {BASE} 2>&1 || true")
    release = deployed(lab)
    assert lines_of(lab.netlab("deploy", "--check"))["lab01"] == f"unchanged {release[:12]}"
    lab.inventory("port: 19501")
    done = lab.netlab("deploy", "--check")
    assert f"instead of {release[:12]}" in lines_of(done)["lab01"]
    assert lab.current("lab01") == release


def test_a_new_release_takes_the_place_of_the_old_one_and_rollback_takes_it_back(lab: Room) -> None:
    old = deployed(lab)
    newer = write(lab, "newer.pyz", zipapp_with({"newer.txt": b"1"}))
    done = lab.netlab("deploy", "--zipapp", newer)
    assert done.code == 0, done.out + done.err
    new = lab.current("lab01")
    assert new != old
    assert lines_of(done)["lab01"].startswith(f"deployed {new[:12]} before: {old[:12]}")
    assert lab.releases("lab01") == {old: True, new: True}
    done = lab.netlab("rollback")
    assert done.code == 0, done.out + done.err
    assert lab.current("lab01") == old
    assert lab.answers("lab01")
    done = lab.netlab("rollback", "--to", new[:8])
    assert done.code == 0, done.out + done.err
    assert lab.current("lab02") == new


def test_only_so_many_releases_are_kept(lab: Room) -> None:
    lab.inventory("keep: 1", only=["lab01"])
    deployed(lab)
    for number in range(2):
        name = write(lab, "next.pyz", zipapp_with({"number.txt": b"%d" % number}))
        assert lab.netlab("deploy", "--zipapp", name).code == 0
    assert len(lab.releases("lab01")) == 2
    assert lab.current("lab01") in lab.releases("lab01")


def test_undeploy_leaves_the_data_and_nothing_else(lab: Room) -> None:
    before = lab.run("lab01", "find", ".", "-not", "-path", "./hftp-data*")
    deployed(lab)
    lab.run("lab01", "sh", "-c", "echo precious > hftp-data/kept")
    done = lab.netlab("undeploy")
    assert done.code == 0, done.out + done.err
    assert lines_of(done)["lab01"] == "removed -"
    there = lab.run("lab01", "find", ".", "-not", "-path", "./hftp-data*").splitlines()
    assert set(there) - set(before.splitlines()) <= {"./.local", "./.local/share"}
    assert lab.run("lab01", "cat", "hftp-data/kept") == "precious\n"
    assert not lab.answers("lab01")
    assert not lab.signal("lab01", 0, BASE), "a process is left"
    assert lines_of(lab.netlab("undeploy"))["lab01"] == "unchanged - nothing is deployed"


def test_status_says_release_health_and_address(lab: Room) -> None:
    release = deployed(lab)
    done = lab.netlab("status")
    assert done.code == 0, done.out + done.err
    line = lines_of(done)["lab01"]
    assert release[:12] in line
    assert "healthy" in line
    assert "0.0.0.0:19500 hftp-data (supervised)" in line


def test_logs_show_what_the_server_wrote_and_follow_it(lab: Room) -> None:
    deployed(lab)
    assert "listening on 0.0.0.0:19500" in lab.netlab("logs", "lab01").out
    following = lab.start("logs", "lab01", "-f", "-n", "1")
    assert following.readline(30)
    lab.answers("lab01", vantage=GUEST)
    seen = b""
    while b"get_file_listing" not in seen or str(lab.up.machines[GUEST]).encode() not in seen:
        seen = following.readline(20)
        assert seen
    following.close()


def test_logs_of_what_has_none_are_a_line(lab: Room) -> None:
    for arguments, code, said in (
        (("lab1",), 2, "no machine that is to serve is called lab1 (did you mean 'lab01'?)"),
        (("guest",), 2, "no machine that is to serve is called guest"),
        (("lab01", "-n", "0"), 2, "0 is not in the range x>=1"),
        (("lab01",), 3, "nothing is deployed"),
    ):
        done = lab.netlab("logs", *arguments)
        assert done.code == code, done.err
        assert said in done.err
        assert len(done.err.splitlines()) == 1
        assert done.out == ""


def test_an_interruption_is_told_for_every_machine_and_takes_back_what_was_on_trial(lab: Room) -> None:
    old = deployed(lab)
    newer = write(lab, "newer.pyz", zipapp_with({"newer.txt": b"interrupted"}))
    deploying = lab.start("deploy", "--serial", "1", "--zipapp", newer)
    # It is confirmed a second after its start, at the soonest.
    wait_until(lambda: lab.current("lab01") not in ("", old))
    deploying.send_signal(signal.SIGTERM)
    lines = [deploying.readline(30).decode() for _ in range(2)]
    assert deploying.wait(30) == 130
    assert [line.split()[:2] for line in lines] == [["lab01", "interrupted"], ["lab02", "interrupted"]]
    assert "2 machines: 2 interrupted" in deploying.diagnostics()
    deploying.close()
    wait_until(lambda: lab.has_no_deployer("lab01"))
    assert [lab.current(host) for host in lab.names] == [old, old]
    assert lab.answers("lab01")


def test_a_killed_server_is_started_again(lab: Room) -> None:
    deployed(lab)
    before = lab.state("lab01")
    assert lab.signal("lab01", signal.SIGKILL, "hftp.pyz")
    wait_until(lambda: lab.state("lab01")["pid"] not in (None, before["pid"]))
    wait_until(lambda: lab.answers("lab01"))
    done = lab.netlab("status")
    assert done.code == 0, done.out + done.err
    assert "1 restarts" in lines_of(done)["lab01"]
    assert "signal 9" in lab.netlab("logs", "lab01").out


def test_a_server_without_its_supervisor_is_found_and_replaced(lab: Room) -> None:
    deployed(lab)
    assert lab.signal("lab01", signal.SIGKILL, "supervisor.py")
    wait_until(lambda: not lab.signal("lab01", 0, "supervisor.py"))
    assert lab.netlab("status").code == 1
    done = lab.netlab("deploy")
    assert done.code == 0, done.out + done.err
    assert "started again" in lines_of(done)["lab01"]
    assert lab.netlab("status").code == 0


@pytest.mark.parametrize("main", [DIES_AT_ONCE, DIES_SOON, DIES_WHEN_USED])
def test_a_server_that_dies_leaves_the_old_one_serving(lab: Room, main: str) -> None:
    old = deployed(lab)
    bad = write(lab, "bad.pyz", zipapp_with({}, main))
    done = lab.netlab("deploy", "--zipapp", bad)
    assert done.code == 1, done.out + done.err
    for host, line in lines_of(done).items():
        assert line.startswith("went back"), line
        assert old[:12] in line
        assert lab.current(host) == old
        assert lab.releases(host) == {old: True}
        assert lab.answers(host)
    assert lab.netlab("status").code == 0


def test_a_server_that_dies_at_once_is_found_out_beside_the_old_one_which_runs_on(
    lab: Room,
) -> None:
    old = deployed(lab)
    before = {host: lab.state(host) for host in lab.names}
    bad = write(lab, "bad.pyz", zipapp_with({}, DIES_AT_ONCE))
    for line in lines_of(lab.netlab("deploy", "--zipapp", bad)).values():
        said = "tried out beside the old one, it does not serve: no luck at all"
        assert line == f"went back {old[:12]} {said}; {old[:12]} ran all the time"
    assert {host: lab.state(host) for host in lab.names} == before


def test_a_server_that_dies_at_once_leaves_nothing_where_nothing_was(lab: Room) -> None:
    bad = write(lab, "bad.pyz", zipapp_with({}, DIES_AT_ONCE))
    done = lab.netlab("deploy", "--zipapp", bad)
    assert done.code == 1, done.out + done.err
    line = lines_of(done)["lab01"]
    assert "nothing runs there now" in line
    assert "no luck at all" in line
    assert lab.current("lab01") == ""
    assert lab.releases("lab01") == {}


def test_who_must_not_get_through_and_does_takes_the_release_back(lab: Room) -> None:
    lab.inventory("addresses: [127.0.0.1]\nnot_from: [guest]")
    old = deployed(lab)
    lab.inventory("addresses: [0.0.0.0]\nnot_from: [guest]")
    done = lab.netlab("deploy")
    assert done.code == 1, done.out + done.err
    line = lines_of(done)["lab01"]
    assert line.startswith(f"went back {old[:12]} guest gets through to {lab.up.machines['lab01']}:19500")
    assert "which not_from forbids: on lab01 0.0.0.0:19500" in line
    assert lab.current("lab01") == old
    assert not lab.answers("lab01", vantage=GUEST)


def test_who_must_get_through_and_does_not_takes_it_back_with_the_predicted_reason(lab: Room) -> None:
    lab.inventory("addresses: [127.0.0.1]\nreachable_from: [controller]")
    done = lab.netlab("deploy")
    assert done.code == 1, done.out + done.err
    line = lines_of(done)["lab01"]
    assert "controller does not get through to" in line
    assert "refused" in line
    assert "listening: 127.0.0.1:19500" in line
    assert "to open it: bind 0.0.0.0" in line
    assert "nothing runs there now" in line


def test_an_address_that_is_not_the_machines_is_told_before_anything_changes(lab: Room) -> None:
    lab.inventory("addresses: [198.18.1.250]", only=["lab01"])
    done = lab.netlab("deploy")
    assert done.code == 1, done.out + done.err
    assert lines_of(done)["lab01"] == "failed - 198.18.1.250 is no address of this host"
    assert lab.releases("lab01") == {}


def test_a_gate_that_is_violated_later_is_told_though_nothing_changed(lab: Room) -> None:
    lab.inventory("addresses: [0.0.0.0]")
    deployed(lab)
    lab.inventory("addresses: [0.0.0.0]\nnot_from: [guest]")
    done = lab.netlab("deploy")
    assert done.code == 1, done.out + done.err
    assert lines_of(done)["lab01"].startswith("violated")


def test_a_rollout_in_batches_stops_at_the_first_that_fails(lab: Room) -> None:
    bad = write(lab, "bad.pyz", zipapp_with({}, DIES_AT_ONCE))
    done = lab.netlab("deploy", "--serial", "1", "--zipapp", bad)
    assert done.code == 1, done.out + done.err
    assert lines_of(done)["lab01"].startswith("went back")
    assert lines_of(done)["lab02"].startswith("not tried")
    done = lab.netlab("deploy", "--serial", "50%", "--max-fail", "1", "--zipapp", bad)
    assert lines_of(done)["lab02"].startswith("went back")


def test_data_is_made_equal_by_checksum(lab: Room) -> None:
    files = lab.up.directory / "files"
    files.mkdir(exist_ok=True)
    (files / "a.txt").write_bytes(b"a" * 100_000)
    (files / "b.txt").write_bytes(b"b")
    (files / "not served").mkdir(exist_ok=True)
    lab.inventory(only=["lab01"])
    lab.run("lab01", "rm", "-f", "hftp-data/kept")
    done = lab.netlab("deploy", "--data", "files")
    assert done.code == 0, done.out + done.err
    assert "2 files sent" in lines_of(done)["lab01"]
    assert "left out: not served" in done.err
    assert lines_of(lab.netlab("deploy", "--data", "files"))["lab01"].startswith("unchanged")
    stamp = lab.run("lab01", "stat", "-c", "%i %Y", "hftp-data/a.txt")
    (files / "b.txt").write_bytes(b"B")
    lab.run("lab01", "sh", "-c", "echo mine > hftp-data/extra")
    assert "b.txt sent" in lines_of(lab.netlab("deploy", "--data", "files"))["lab01"]
    assert lab.run("lab01", "stat", "-c", "%i %Y", "hftp-data/a.txt") == stamp
    assert lab.run("lab01", "cat", "hftp-data/b.txt", "hftp-data/extra") == "Bmine\n"
    assert "extra removed" in lines_of(lab.netlab("deploy", "--data", "files", "--delete"))["lab01"]
    there = lab.run("lab01", "ls", "-A", "hftp-data").split()
    assert sorted(there) == ["a.txt", "b.txt"]


def test_damage_to_a_release_is_repaired(lab: Room) -> None:
    release = deployed(lab)
    lab.run("lab01", "sh", "-c", f"echo >> {BASE}/current/supervisor.py")
    done = lab.netlab("deploy")
    assert done.code == 0, done.out + done.err
    assert lab.releases("lab01") == {release: True}


def test_nothing_of_an_inventory_reaches_a_shell(lab: Room) -> None:
    nasty = "$(touch owned) `touch owned` ; touch owned; 'a \"b"
    lab.inventory("directory: " + json.dumps(nasty), only=["lab01"])
    done = lab.netlab("deploy")
    assert done.code == 0, done.out + done.err
    assert "owned" not in lab.run("lab01", "ls", "-A").replace(nasty, "")
    assert lab.run("lab01", "test", "-d", nasty) == ""
    lab.netlab("undeploy")
    lab.run("lab01", "rmdir", nasty)


def test_a_deployment_at_work_is_waited_for_and_named(lab: Room, tmp_path: Path) -> None:
    lab.inventory(only=["lab01"])
    deployed(lab)
    held = "import fcntl, time, sys\nf = open(sys.argv[1], 'r+')\nfcntl.flock(f, 2)\n"
    held += "f.write('somebody@elsewhere')\nf.flush()\nprint('held', flush=True)\ntime.sleep(60)"
    python = lab.up.lab.python("lab01")
    script = 'cd "$TMPDIR/home" && exec "$@"'
    holder = lab.up.lab.spawn("lab01", ["sh", "-c", script, "sh", python, "-c", held, f"{BASE}/lock"])
    assert holder.readline(10) == b"held\n"
    newer = write(lab, "newer.pyz", zipapp_with({"newer.txt": b"lock"}))
    done = lab.netlab("deploy", "--zipapp", newer)
    assert done.code == 1, done.out + done.err
    assert "another deployment is at work: somebody@elsewhere" in lines_of(done)["lab01"]
    holder.close()
    assert lab.netlab("deploy", "--zipapp", newer).code == 0
