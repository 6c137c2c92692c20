"""Machines with passwords, cron and systemd: containers, each with an OpenSSH daemon that root runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose.conftest import find_engine
from tests.ssh.deploying import BASE, lines_of, wait_until, zipapp_with
from tests.ssh.fleet import Done, keygen
from tests.ssh.machines import USER, Machines, machines

PLAIN, SYSTEMD = "plain", "systemd"
UNIT = "netlab-hftp.service"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A machine with cron, and one with systemd."""
    with machines(find_engine(), tmp_path_factory.mktemp("machines"), (PLAIN, SYSTEMD)) as up:
        yield up


@pytest.fixture(autouse=True)
def from_nothing(lab: Machines) -> Iterator[None]:
    """Every test begins with machines on which nothing is deployed, and leaves them so."""
    lab.inventory("reachable_from: [all, controller]")
    yield
    lab.inventory("reachable_from: [all, controller]")
    assert lab.netlab("undeploy", "-i", "lab.yaml").code == 0


def without_keys(lab: Machines) -> None:
    """Write an inventory by which no key is tried."""
    lab.inventory("reachable_from: [all, controller]", defaults=", only_these_keys: true")


def is_nowhere(lab: Machines, secret: str, done: Done) -> None:
    """See that a secret was neither said nor written, here or on the machines."""
    assert secret not in done.out + done.err
    files = [path for path in lab.directory.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    for name, container in lab.containers.items():
        assert secret not in lab.engine("logs", container)
        places = "/home /var/log /var/spool /etc /tmp /run /root"
        assert not lab.on(
            name, "sh", "-c", f"grep -rlI --devices=skip -- {secret} {places} 2>/dev/null || true"
        )


def test_a_password_is_asked_for_once_for_all_machines_and_is_seen_nowhere(lab: Machines) -> None:
    without_keys(lab)
    done = lab.at_a_terminal(lab.password, "password of", "deploy", "-i", "lab.yaml")
    assert "ENDED 0 QUESTIONS 1 SEEN []" in done.out, done.out + done.err
    assert "2 deployed" in done.out
    is_nowhere(lab, lab.password, done)


def test_a_wrong_password_is_one_line_for_each_machine_and_is_asked_for_once(lab: Machines) -> None:
    without_keys(lab)
    done = lab.at_a_terminal("not-that-one", "password of", "deploy", "-i", "lab.yaml")
    assert "ENDED 3 QUESTIONS 1 SEEN []" in done.out, done.out + done.err
    assert done.out.count("student may not log in: 0 keys were tried") == 2
    assert "Traceback" not in done.out
    is_nowhere(lab, "not-that-one", done)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_an_encrypted_key_of_any_kind_is_asked_for_once_for_all_machines(lab: Machines, kind: str) -> None:
    passphrase = f"horse-battery-{kind}"
    key = lab.directory / f"locked_{kind}"
    keygen(key, kind, passphrase)
    lab.allow(key)
    lab.inventory(defaults=f", key: {key.name}, only_these_keys: true")
    try:
        done = lab.at_a_terminal(passphrase, "passphrase of", "scan", "-i", "lab.yaml", "--port", "22")
        assert "ENDED 0 QUESTIONS 1 SEEN []" in done.out, done.out + done.err
        is_nowhere(lab, passphrase, done)
    finally:
        lab.allow(lab.directory / ".ssh" / "id_ed25519")


def test_a_key_that_only_the_agent_has_opens_every_machine(lab: Machines) -> None:
    key = lab.directory / "in_the_agent"
    keygen(key)
    lab.allow(key)
    lab.inventory(only=[PLAIN])
    own = lab.directory / ".ssh" / "id_ed25519"
    hidden = own.rename(own.with_name("hidden"))
    script = 'eval "$(ssh-agent)" >/dev/null && ssh-add -q "$1" && rm "$1"; shift; "$@"; code=$?; '
    script += "ssh-agent -k >/dev/null; exit $code"
    try:
        done = lab.run(
            ["sh", "-c", script, "sh", str(key), *lab.command("scan", "-i", "lab.yaml", "--strict")]
        )
        assert done.code == 0, done.out + done.err
    finally:
        hidden.rename(own)
        lab.allow(own)


def test_the_matrix_on_these_machines_is_as_predicted(lab: Machines) -> None:
    done = lab.netlab("run", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err


def test_cron_starts_the_server_with_the_machine(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[PLAIN])
    assert lab.shell(PLAIN, "crontab -l 2>/dev/null || true") == ""
    lab.shell(PLAIN, "echo '0 5 * * 1 true # mine' | crontab -")
    done = lab.netlab("deploy", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert "not start with the host" not in done.out
    assert "# netlab deploy" in lab.shell(PLAIN, "crontab -l")
    lab.start_again(PLAIN)
    wait_until(lambda: lab.serves(PLAIN), 60)
    done = lab.netlab("deploy", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert lines_of(done)[PLAIN].startswith("unchanged")
    assert lab.netlab("undeploy", "-i", "lab.yaml").code == 0
    assert lab.shell(PLAIN, "crontab -l") == "0 5 * * 1 true # mine"
    lab.shell(PLAIN, "crontab -r")


@pytest.fixture
def lingering(lab: Machines) -> Iterator[None]:
    """An account whose manager runs from the machine's start on: as root allows it once."""
    lab.on(SYSTEMD, "loginctl", "enable-linger", USER)
    yield
    lab.on(SYSTEMD, "loginctl", "disable-linger", USER)


def test_without_a_manager_that_lasts_our_own_supervisor_runs_it_and_it_says_so(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[SYSTEMD])
    done = lab.netlab("deploy", "-i", "lab.yaml", "--method", "systemd")
    assert done.code == 1
    assert "no systemd unit is possible: the account may not linger" in done.out
    done = lab.netlab("deploy", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert "no systemd unit: the account may not linger" in done.out
    assert "(supervised)" in lab.netlab("status", "-i", "lab.yaml").out


@pytest.mark.usefixtures("lingering")
def test_systemd_runs_the_server_as_a_unit_of_the_account(lab: Machines) -> None:
    lab.inventory("reachable_from: [controller]", only=[SYSTEMD])
    done = lab.netlab("deploy", "-i", "lab.yaml", "--method", "systemd")
    assert done.code == 0, done.out + done.err
    old = current(lab)
    assert "(systemd)" in lab.netlab("status", "-i", "lab.yaml").out
    shown = control(lab, "show", UNIT, "-p", "NoNewPrivileges,ProtectSystem,PrivateTmp,Restart,UnitFileState")
    assert {*shown.split()} >= {
        *("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes"),
        *("Restart=on-failure", "UnitFileState=enabled"),
    }
    verify = (
        f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemd-analyze --user verify .config/systemd/user/{UNIT} 2>&1"
    )
    assert lab.shell(SYSTEMD, verify) == ""

    pid = control(lab, "show", UNIT, "-p", "MainPID", "--value")
    lab.on(SYSTEMD, "kill", "-9", pid)
    wait_until(lambda: control(lab, "show", UNIT, "-p", "MainPID", "--value") not in ("0", pid))
    wait_until(lambda: lab.serves(SYSTEMD))
    assert "1 restarts" in lab.netlab("status", "-i", "lab.yaml").out
    assert "listening on" in lab.netlab("logs", SYSTEMD, "-i", "lab.yaml").out

    (lab.directory / "newer.pyz").write_bytes(zipapp_with({"newer.txt": b"1"}))
    done = lab.netlab("deploy", "-i", "lab.yaml", "--zipapp", "newer.pyz")
    assert done.code == 0, done.out + done.err
    assert current(lab) != old
    (lab.directory / "bad.pyz").write_bytes(zipapp_with({}, 'import sys\nsys.exit("no luck")\n'))
    done = lab.netlab("deploy", "-i", "lab.yaml", "--zipapp", "bad.pyz")
    assert lines_of(done)[SYSTEMD].startswith("went back"), done.out + done.err
    assert lab.netlab("rollback", "-i", "lab.yaml").code == 0
    assert current(lab) == old

    lab.start_again(SYSTEMD)
    wait_until(lambda: lab.serves(SYSTEMD), 60)
    done = lab.netlab("undeploy", "-i", "lab.yaml")
    assert done.code == 0, done.out + done.err
    assert not lab.serves(SYSTEMD)
    assert "not-found" in control(lab, "show", UNIT, "-p", "LoadState")


def current(lab: Machines) -> str:
    """Return the release that the machine with systemd runs."""
    return lab.shell(SYSTEMD, f"readlink {BASE}/current")


def control(lab: Machines, *words: str) -> str:
    """Ask the manager of the account's units."""
    quoted = " ".join(words)
    return lab.shell(SYSTEMD, f"XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user {quoted} || true")
