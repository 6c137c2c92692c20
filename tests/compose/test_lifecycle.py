"""However a run in containers ends, nothing of it is left; and what is wrong is said in one line.

The labs here are small: a server and a peer, up in a second.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab.backends.compose import ComposeLab
from netlab.cli import main
from netlab.errors import ExitCode
from netlab.experiments.plan import ComposeFile
from tests.compose.conftest import Engine
from tests.compose.holdings import Holdings, holdings
from tests.compose.relay import Relay

COMPOSE = """
networks:
  default: {ipam: {config: [{subnet: "${NETLAB_LAN:-198.18.1}.0/24"}]}}
services:
  web:
    image: hftp-server
    ports: ["127.0.0.1:${NETLAB_PORTS:-195}11:19500"]
    volumes: [kept:/kept]
  peer: {image: hftp-client}
volumes:
  kept:
"""
# To dial where nobody is keeps the run dialling for a while.
EXPERIMENT = """
title: A server and a peer
compose: compose.yaml
service: {port: 19500, check: hftp}
patience_s: 2
binds: {any: {host: web, address: 0.0.0.0}}
vantages: {peer: {name: "{hostname}", nobody: 198.18.99.99}}
headline: {binds: [any], columns: {from a peer: {vantage: peer, target: name}}}
"""
# Of a run, until something of it is seen, and until it has ended.
WITHIN_S = 60

pytestmark = pytest.mark.usefixtures("images")


@pytest.fixture
def before(engine: Engine) -> Holdings:
    """What was on the engine before the test."""
    return holdings(engine)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    file = tmp_path / "small.yaml"
    file.write_text(EXPERIMENT)
    return file


@contextmanager
def netlab(engine: Engine, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run netlab, and end it."""
    with subprocess.Popen(
        [sys.executable, "-m", "netlab", *words],
        env={**engine.environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run_small(engine: Engine, experiment: Path, **variables: str) -> tuple[int, str]:
    """Run the experiment to its end; return its exit code and what it complains of."""
    with netlab(engine, "run", str(experiment), "--backend", "compose", **variables) as process:
        _, complaint = process.communicate(timeout=WITHIN_S)
    return process.returncode, complaint


def wait_until(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + WITHIN_S
    while not what():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)


def containers(engine: Engine, process: subprocess.Popen[str]) -> list[dict[str, str]]:
    """List the containers of a run."""
    listed = engine("ps", "--all", "--format", "json", "--filter", "label=netlab.run").splitlines()
    return [said for said in map(json.loads, listed) if f"netlab.owner={process.pid} " in said["Labels"]]


def is_going_up(engine: Engine, process: subprocess.Popen[str]) -> bool:
    return bool(containers(engine, process))


def is_dialling(engine: Engine, process: subprocess.Popen[str]) -> bool:
    """Whether a sidecar is there: it belongs to no project."""
    return any("com.docker.compose" not in said["Labels"] for said in containers(engine, process))


def wait_for(phase: str, engine: Engine, process: subprocess.Popen[str]) -> None:
    """Wait until a run is in a phase of its life; it goes down when its sidecars have gone."""
    wait_until(lambda: is_going_up(engine, process), process)
    if phase != "up":
        wait_until(lambda: is_dialling(engine, process), process)
    if phase == "down":
        wait_until(lambda: not is_dialling(engine, process), process)


# --- As it should be -------------------------------------------------------------------------------------


def test_two_runs_at_once_do_not_meet(engine: Engine, experiment: Path, before: Holdings) -> None:
    with (
        netlab(engine, "run", str(experiment), "--backend", "compose", "--json", "-") as one,
        netlab(engine, "run", str(experiment), "--backend", "compose", "--json", "-") as other,
    ):
        ends = [process.communicate(timeout=WITHIN_S) for process in (one, other)]
    for process, (said, complaint) in zip((one, other), ends, strict=True):
        assert process.returncode == 0, complaint
        cells = json.loads(said)["cells"]
        assert [cell["observation"]["verdict"] for cell in cells if cell["target"] == "name"] == ["open"]
    assert holdings(engine) - before == set()


def test_what_goes_wrong_in_the_middle_takes_the_lab_down(
    engine: Engine, experiment: Path, before: Holdings
) -> None:
    wanted = ComposeFile(experiment.parent / "compose.yaml", ("web",))
    with pytest.raises(ZeroDivisionError), ComposeLab(wanted) as lab:
        channel = lab.spawn("peer", ["python3", "-c", "input()"])
        assert holdings(engine) - before != set()
        raise ZeroDivisionError
    channel.close()
    assert holdings(engine) - before == set()


# --- Interrupted -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "number"), [("up", signal.SIGINT), ("dialling", signal.SIGHUP), ("down", signal.SIGTERM)]
)
def test_a_run_that_is_interrupted_takes_its_lab_down(
    engine: Engine, experiment: Path, before: Holdings, phase: str, number: signal.Signals
) -> None:
    with netlab(engine, "run", str(experiment), "--backend", "compose") as process:
        wait_for(phase, engine, process)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=WITHIN_S)
    assert complaint.strip() == "netlab: interrupted; nothing is left behind"
    assert process.returncode == ExitCode.INTERRUPTED
    assert holdings(engine) - before == set()


def test_after_sigkill_at_any_moment_ls_shows_the_run_and_down_removes_it(
    engine: Engine, experiment: Path, before: Holdings, capsys: pytest.CaptureFixture[str]
) -> None:
    with ComposeLab(ComposeFile(experiment.parent / "compose.yaml", ())):
        with_somebody_else = holdings(engine)
        for delay_s in [0.0, random.uniform(0, 1)]:  # in three seconds it may have ended by itself
            with netlab(engine, "run", str(experiment), "--backend", "compose") as process:
                wait_for("up", engine, process)
                time.sleep(delay_s)
                process.kill()
                process.communicate()
            assert main(["ls"]) == 0
            listed = capsys.readouterr().out.splitlines()
            assert len([line for line in listed if f"running, process {os.getpid()}:" in line]) == 1
            assert len([line for line in listed if "left behind" in line]) == 1, delay_s
            assert main(["down"]) == 0
            assert len(re.findall(r"^[0-9a-f]{8}: removed$", capsys.readouterr().out, re.MULTILINE)) == 1
            assert holdings(engine) - with_somebody_else == set(), delay_s
            assert with_somebody_else - holdings(engine) == set(), "of somebody else"
    time.sleep(1)  # had a killed Compose gone on, something new would be there
    assert holdings(engine) - before == set()


def test_labels_that_others_wrote_make_netlab_remove_nothing_of_theirs(
    engine: Engine, before: Holdings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A container that says it is a run's is removed when that run is named, and no more with it."""
    names = [
        engine("create", "--label", f"netlab.run={run}", "hftp-client") for run in ("../../etc", "0123abcd")
    ]
    try:
        assert main(["ls"]) == 0
        shown = capsys.readouterr().out
        assert "etc" not in shown
        assert "0123abcd: left behind: 1 container\n" in shown
        assert main(["down", "0123abcd"]) == 0
        assert capsys.readouterr().out == "0123abcd: removed\n"
        assert engine.run("inspect", names[0]).returncode == 0
    finally:
        engine.run("rm", "--force", *names)
    assert holdings(engine) - before == set()


def test_down_refuses_a_run_that_is_not_there(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "01234567"]) == ExitCode.USAGE
    assert "there is no run 01234567" in capsys.readouterr().err


# --- What can't be brought up ----------------------------------------------------------------------------


def test_an_image_that_is_missing_is_named(engine: Engine, experiment: Path, before: Holdings) -> None:
    code, complaint = run_small(engine, experiment, HFTP_CLIENT_IMAGE="netlab-nowhere")
    remedy = "pull or build it, or unset HFTP_CLIENT_IMAGE, which names it"
    assert re.fullmatch(f"netlab: .*has no image netlab-nowhere; {remedy}\n", complaint)
    assert code == ExitCode.UNAVAILABLE
    with netlab(engine, "scan", "--compose", "any", HFTP_CLIENT_IMAGE="netlab-nowhere") as process:
        assert process.communicate(timeout=WITHIN_S)[1] == complaint, "asked of all hosts, said once"
    assert process.returncode == ExitCode.UNAVAILABLE
    change(experiment, "image: hftp-client", "image: netlab-nowhere:3")
    code, complaint = run_small(engine, experiment)
    assert complaint == (
        "netlab: docker compose up: there is no image netlab-nowhere:3; "
        "pull or build it first: 'docker pull netlab-nowhere:3'\n"
    )
    assert code == ExitCode.NOT_MEASURED
    assert holdings(engine) - before == set()


def test_where_a_port_or_the_addresses_are_taken_the_run_moves_on(
    engine: Engine, experiment: Path, before: Holdings
) -> None:
    """Another run has the first addresses, and a program of which the engine knows nothing the next port."""
    with ComposeLab(ComposeFile(experiment.parent / "compose.yaml", ())) as lab:
        published = lab.engine.publications[0].port
        with listening(engine, published + 200):
            assert run_small(engine, experiment) == (0, "")
    assert holdings(engine) - before == set()


def test_a_port_that_is_taken_is_named(engine: Engine, experiment: Path, before: Holdings) -> None:
    change(experiment, "${NETLAB_PORTS:-195}11", "19999")
    change(experiment, "${NETLAB_LAN:-198.18.1}.0/24", "198.18.98.0/24")  # and so there is no other place
    with listening(engine, 19999):
        code, complaint = run_small(engine, experiment)
    assert re.fullmatch(r"netlab: docker compose up: .*127\.0\.0\.1:19999.*\n", complaint)
    assert "another program listens there" in complaint
    assert code == ExitCode.NOT_MEASURED
    assert holdings(engine) - before == set()


def test_addresses_that_are_taken_are_said_to_be(engine: Engine, experiment: Path, before: Holdings) -> None:
    change(experiment, "${NETLAB_LAN:-198.18.1}.0/24", "198.18.98.0/24")
    change(experiment, "${NETLAB_PORTS:-195}11", "19998")
    other = engine("network", "create", "--subnet", "198.18.98.128/25", f"netlab-test-{os.getpid()}")
    try:
        code, complaint = run_small(engine, experiment)
    finally:
        engine("network", "rm", other)
    assert complaint == (
        "netlab: docker compose up: its addresses overlap those of another network; "
        "'netlab ls' and 'docker network ls' tell whose\n"
    )
    assert code == ExitCode.NOT_MEASURED
    assert holdings(engine) - before == set()


def test_an_unhealthy_service_is_told_with_its_last_lines(
    engine: Engine, experiment: Path, before: Holdings
) -> None:
    check = '{test: [CMD, sh, -c, "echo not well; false"], interval: 100ms, retries: 1, start_period: 1ms}'
    server = (
        # On one stream: the engine keeps no order between two.
        'command: [sh, -c, "exec >&2; echo starting; echo no such disk; exec sleep 60"]\n'
        "    stop_signal: SIGKILL"
    )
    change(experiment, "image: hftp-server", f"image: hftp-server\n    healthcheck: {check}\n    {server}")
    code, complaint = run_small(engine, experiment)
    assert re.fullmatch(
        r"netlab: docker compose up: container netlab-[0-9a-f]{8}-web-1 is unhealthy; "
        r"its last lines: starting / no such disk; its health check: not well\n",
        complaint,
    )
    assert code == ExitCode.NOT_MEASURED
    assert holdings(engine) - before == set()


def test_a_service_that_ends_is_told_with_its_last_lines(
    engine: Engine, experiment: Path, before: Holdings
) -> None:
    command = 'command: [sh, -c, "echo no such disk >&2; exit 3"]'
    change(experiment, "image: hftp-server", f"image: hftp-server\n    {command}")
    code, complaint = run_small(engine, experiment)
    assert re.search(r"web-1 exited \(3\); its last lines: no such disk", complaint)
    assert (complaint.count("\n"), code) == (1, ExitCode.NOT_MEASURED)
    assert holdings(engine) - before == set()


def test_a_compose_file_that_is_none_is_a_line(engine: Engine, experiment: Path, before: Holdings) -> None:
    (experiment.parent / "compose.yaml").write_text("services: {web: [")
    code, complaint = run_small(engine, experiment)
    assert re.fullmatch(r"netlab: \S+compose\.yaml: yaml: .*\n", complaint)
    assert code == ExitCode.USAGE
    change(experiment, "host: web", "host: shop", file="small.yaml")
    (experiment.parent / "compose.yaml").write_text(COMPOSE)
    code, complaint = run_small(engine, experiment)
    assert re.fullmatch(
        r"netlab: \S+compose\.yaml: no service is called 'shop': there is peer, web\n", complaint
    )
    assert code == ExitCode.USAGE
    assert holdings(engine) - before == set()


# --- An engine that goes away ----------------------------------------------------------------------------


@pytest.fixture
def relay(engine: Engine, tmp_path: Path) -> Iterator[Relay]:
    """A way to the engine."""
    host = engine.environment.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    relay = Relay(tmp_path / "relay.sock", Path(host.removeprefix("unix://")))
    yield relay
    relay.cut()


@pytest.mark.parametrize("phase", ["up", "dialling"])
def test_an_engine_that_goes_away_is_a_line_and_when_it_is_back_down_removes_the_rest(
    engine: Engine,
    relay: Relay,
    experiment: Path,
    before: Holdings,
    phase: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with netlab(engine, "run", str(experiment), "--backend", "compose", DOCKER_HOST=relay.address) as process:
        wait_for(phase, engine, process)
        relay.cut()
        _, complaint = process.communicate(timeout=WITHIN_S)
    assert re.fullmatch(
        r"netlab: .*does not answer any more: .*'netlab down' removes what is left\n", complaint
    )
    assert process.returncode == ExitCode.NOT_MEASURED
    relay.mend()
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKER_HOST", relay.address)
    assert main(["down"]) == 0
    assert "removed" in capsys.readouterr().out
    assert holdings(engine) - before == set()


def test_no_engine_at_all_is_a_line(engine: Engine, experiment: Path, tmp_path: Path) -> None:
    code, complaint = run_small(engine, experiment, DOCKER_HOST=f"unix://{tmp_path}/nowhere.sock")
    assert re.fullmatch(
        r"netlab: backend compose is not available: DOCKER_HOST=.*No such file.*\n", complaint
    )
    assert code == ExitCode.UNAVAILABLE


# --- Of use above ----------------------------------------------------------------------------------------


def change(experiment: Path, old: str, new: str, file: str = "compose.yaml") -> None:
    path = experiment.parent / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@contextmanager
def listening(engine: Engine, port: int) -> Iterator[None]:
    """Have a program listen on a port of the engine's machine."""
    program = (
        f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); print(1); time.sleep(60)"
    )
    name = engine("run", "--detach", "--network", "host", "hftp-client", "python3", "-c", program)
    try:
        end = time.monotonic() + WITHIN_S
        while not engine("logs", name):
            assert time.monotonic() < end
            time.sleep(0.02)
        yield
    finally:
        engine("rm", "--force", "--volumes", name)
