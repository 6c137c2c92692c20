"""What a deployment says and decides, without a machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netlab.deploy.data import read_data
from netlab.deploy.gate import vantages_of
from netlab.deploy.release import release_for
from netlab.deploy.result import Result, State, exit_code
from netlab.deploy.screen import line_of, summary_of
from netlab.deploy.there import deployer
from netlab.deploy.there.cron import reboot_line
from netlab.deploy.there.datafiles import plain_name
from netlab.deploy.there.files import file_system_of
from netlab.deploy.there.lock import take_lock
from netlab.deploy.there.problems import ProblemError
from netlab.deploy.there.releases import Store
from netlab.deploy.there.systemd import HARDENINGS, unit_text
from netlab.errors import ExitCode, NetlabError
from netlab.inventory.model import Inventory, Login, Machine, Serving
from tests.requirements import unavailable


def inventory(serving: Serving) -> Inventory:
    machines = [Machine(f"lab{n}", Login(f"198.18.1.{n}"), groups=("lab",)) for n in (1, 2)]
    return Inventory("lab.yaml", (*machines, Machine("guest", Login("198.18.1.9"))), serving)


def test_every_byte_and_setting_makes_another_release() -> None:
    one = release_for(Serving(), "python3")
    assert one.id == release_for(Serving(), "python3").id
    others = [
        release_for(Serving(port=80), "python3"),
        release_for(Serving(addresses=("::1",)), "python3"),
        release_for(Serving(directory="x"), "python3"),
        release_for(Serving(), "python3.12"),
    ]
    assert len({one.id, *(other.id for other in others)}) == 5


def test_who_must_serve_does_not_matter_to_what_is_served() -> None:
    assert release_for(Serving(not_from=("guest",)), "p").id == release_for(Serving(), "p").id


def test_vantages_are_machines_of_groups_and_the_controller() -> None:
    found = vantages_of(inventory(Serving(reachable_from=("lab", "controller"), not_from=("guest",))))
    assert found.reachable_from == ("lab1", "lab2", "controller")
    assert found.not_from == ("guest",)


def test_a_machine_that_must_and_must_not_get_through_is_refused() -> None:
    with pytest.raises(NetlabError, match="lab1, lab2 is both in reachable_from and in not_from"):
        vantages_of(inventory(Serving(reachable_from=("all",), not_from=("lab",))))


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ((State.DEPLOYED, State.UNCHANGED, State.REMOVED, State.WOULD_CHANGE), ExitCode.OK),
        ((State.DEPLOYED, State.WENT_BACK), ExitCode.DISAGREES),
        ((State.NOT_REACHED, State.FAILED), ExitCode.DISAGREES),
        ((State.DEPLOYED, State.NOT_REACHED), ExitCode.NOT_MEASURED),
        ((State.NOT_MEASURED,), ExitCode.NOT_MEASURED),
        ((State.NOT_TRIED,), ExitCode.DISAGREES),
        ((State.FAILED, State.INTERRUPTED), ExitCode.INTERRUPTED),
    ],
)
def test_what_was_not_done_or_not_checked_is_no_success(states: tuple[State, ...], code: ExitCode) -> None:
    assert exit_code(Result("lab", state) for state in states) is code


def test_a_line_stays_one_line_whatever_a_machine_says() -> None:
    line = line_of(Result("lab1", State.FAILED, detail="bad\n\x1b[31mnews"), 6)
    assert line == "lab1    failed        -             bad  [31mnews"
    assert (
        summary_of([Result("a", State.FAILED), Result("b", State.FAILED)], 1) == "2 machines: 2 failed; 1.0 s"
    )


def test_the_line_for_cron_survives_shell_and_cron() -> None:
    line = reboot_line("/usr/bin/python3", "/home/o'neil/50%/supervisor.py", "/home/o'neil/50%")
    assert line.startswith("@reboot /usr/bin/python3 -I -S '/home/o'\"'\"'neil/50\\%/supervisor.py' start ")
    assert line.endswith(" # netlab deploy")
    command = (
        line.removeprefix("@reboot ").replace("\\%", "%").replace("/usr/bin/python3 -I -S", "printf '%s\\n'")
    )
    said = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    assert said == "/home/o'neil/50%/supervisor.py\nstart\n/home/o'neil/50%\n"


@pytest.mark.parametrize("hardening", HARDENINGS, ids=["full", "without devices", "always"])
def test_the_unit_is_one_that_systemd_understands(tmp_path: Path, hardening: tuple[str, ...]) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        unavailable("systemd", "there is no systemd-analyze here")
    base = tmp_path / 'home of "o\'neil" $HOME 50% \\'
    text = unit_text("/usr/bin/python3", str(base), hardening, system=True)
    unit = tmp_path / "netlab-hftp.service"
    unit.write_text(text)
    done = subprocess.run([verify, "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in done.stderr.splitlines() if "netlab-hftp" in line]
    assert not ours, done.stderr


def test_the_unit_is_hardened() -> None:
    text = unit_text("/usr/bin/python3", "/home/student/.local/share/netlab", HARDENINGS[0], system=False)
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "Restart=on-failure"):
        assert f"\n{line}\n" in text


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", ".netlab-incoming", "a\0b"])
def test_a_file_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(Exception, match="is no file's name"):
        plain_name(name)


def test_files_that_hftp_cannot_serve_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "with space").write_bytes(b"b")
    (tmp_path / "directory").mkdir()
    (tmp_path / "inside").symlink_to("a.txt")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "outside").symlink_to("/etc/passwd")
    (tmp_path / os.fsdecode(b"\xff")).touch()
    os.mkfifo(tmp_path / "pipe")
    data = read_data(tmp_path)
    assert list(data.files) == ["a.txt", "inside"]
    assert data.described()["a.txt"][0] == 1
    assert data.left_out == ("directory", "nowhere", "outside", "pipe", "with space", "\\udcff")


def test_data_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NetlabError, match="No such file"):
        read_data(tmp_path / "missing")


def test_a_lock_that_is_waited_for_is_had_though_its_directory_goes_with_its_holder(tmp_path: Path) -> None:
    base = tmp_path / "base"
    held = take_lock(str(base / "lock"), "one", 0.0)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(take_lock, str(base / "lock"), "two", 20.0)
        base.rename(tmp_path / "doomed")
        shutil.rmtree(tmp_path / "doomed")
        os.close(held)
        os.close(waiting.result())
    assert (base / "lock").read_text().startswith("two, process ")


def test_a_controller_that_holds_the_lock_and_says_nothing_for_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployer, "IDLE_S", 1)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    there = deployer.Deployer()
    there.lock({"who": "ada@desk", "wait_s": 0})
    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo\nhalf")
    before = signal.getsignal(signal.SIGALRM)
    try:
        with os.fdopen(reading, "rb") as stream:
            assert [*deployer.requests(stream, there)] == [b"one\n", b"two\n"]
        there.end({})
        assert not there.locked
    finally:
        signal.signal(signal.SIGALRM, before)
        os.close(writing)


def test_a_lock_that_is_held_says_by_whom(tmp_path: Path) -> None:
    held = take_lock(str(tmp_path / "lock"), "ada@desk", 0.0)
    with pytest.raises(ProblemError, match=r"another deployment is at work: ada@desk, process \d+, since "):
        take_lock(str(tmp_path / "lock"), "two", 0.0)
    os.close(held)


def test_a_release_that_lacks_a_byte_is_not_whole(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    release = release_for(Serving(), "python3")
    place = tmp_path / "releases" / release.id
    place.mkdir(parents=True)
    (place / "hftp.pyz").write_bytes(release.program)
    (place / "supervisor.py").write_text(release.supervisor)
    (place / "release.json").write_text(release.manifest)
    assert store.is_whole(release.id)
    (place / "hftp.pyz").write_bytes(release.program[:-1])
    assert not store.is_whole(release.id)
    assert not store.is_whole("../../etc")


def test_proc_is_known_for_what_it_is() -> None:
    assert file_system_of("/proc/self") == "proc"
