"""`netlab scan` of a project that is not netlab's, from images that netlab did not build.

`tiny` is a static binary on nothing else, `admin` listens on its loopback address and is published, `web` is
published; around them is what projects have: replicas, the host's network, another's, a stopped container.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netlab.cli import main
from netlab.errors import ExitCode
from tests.compose.conftest import Engine
from tests.compose.holdings import holdings
from tests.requirements import unavailable

PROJECT = f"netlab-test-scan-{os.getpid()}"
IMAGE = PROJECT
# Clear of the lab's, and of what the engine gives to networks that ask for nothing.
FRONT, BACK = "198.18.120", "198.18.121"

# Answers every connection with a line. With an argument it listens on that address; else on all.
SOURCE = r"""
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **words)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    struct sockaddr_in udp = {.sin_family = AF_INET, .sin_port = htons(5353)};
    here.sin_addr.s_addr = count > 2 ? inet_addr(words[2]) : INADDR_ANY;
    signal(SIGTERM, _exit);
    signal(SIGPIPE, SIG_IGN);
    bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&udp, sizeof udp);
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&here, sizeof here) || listen(s, 16))
        return 1;
    for (;;) {
        int c = accept(s, 0, 0);
        if (write(c, "tiny\n", 5) < 0) {}
        close(c);
    }
}
"""

COMPOSE = f"""
networks:
  front: {{ipam: {{config: [{{subnet: {FRONT}.0/24}}, {{subnet: "2001:db8:120::/64"}}]}}, enable_ipv6: true}}
  back: {{internal: true, ipam: {{config: [{{subnet: {BACK}.0/24}}]}}}}
x-tiny: &tiny {{image: {IMAGE}, stop_grace_period: 1s}}
services:
  tiny: {{<<: *tiny, command: ["7000"], networks: {{back: {{ipv4_address: {BACK}.10}}}}}}
  admin:
    <<: *tiny
    command: ["9000", "127.0.0.1"]
    networks: {{front: {{ipv4_address: {FRONT}.11}}, back: {{ipv4_address: {BACK}.11}}}}
    ports: ["28090:9000"]
  web:
    <<: *tiny
    command: ["8000"]
    networks: {{front: {{ipv4_address: {FRONT}.12, ipv6_address: "2001:db8:120::12"}}}}
    ports: ["28080:8000", "5353/udp"]
  guarded:
    <<: *tiny
    command: ["8100"]
    networks: {{front: {{ipv4_address: {FRONT}.13}}}}
    ports: ["127.0.0.1:28081:8100"]
  many: {{<<: *tiny, command: ["6000"], networks: [back], scale: 2}}
  alone: {{<<: *tiny, command: ["6100"], network_mode: none}}
  exporter: {{<<: *tiny, command: ["28100"], network_mode: host}}
  beside: {{<<: *tiny, command: ["7100"], network_mode: "service:tiny"}}
  still: {{<<: *tiny, command: ["6200"], networks: [back]}}
"""

# Dials what it is told, and says what came of each.
DIALLER = """
import errno, json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def dial(place):
    try:
        with socket.create_connection(place, 2) as connection:
            connection.settimeout(2)
            try:
                return "open" if connection.recv(100) == b"tiny\\n" else "accepted"
            except ConnectionResetError:
                return "accepted"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"
    except socket.gaierror:
        return "unresolved"
    except OSError as error:
        return "unreachable" if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH) else repr(error)
places = [tuple(place) for place in json.load(sys.stdin)]
print(*ThreadPoolExecutor(len(places)).map(dial, places), sep="\\n")
"""


@pytest.fixture(scope="module")
def image(engine: Engine) -> Iterator[str]:
    """An image of nothing but a static binary."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        unavailable("compose", "there is no C compiler, to make a static binary with")
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "tiny.c")
        source.write_text(SOURCE)
        subprocess.run([compiler, "-static", "-Os", "-s", "-o", f"{directory}/tiny", source], check=True)
        archive = subprocess.run(
            ["tar", "-C", directory, "-c", "tiny"], check=True, capture_output=True
        ).stdout
    done = subprocess.run(
        ["docker", "import", "--change", 'ENTRYPOINT ["/tiny"]', "-", IMAGE],
        env=engine.environment,
        input=archive,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    yield IMAGE
    engine("rmi", "--force", IMAGE)


@pytest.fixture(scope="module")
def file(engine: Engine, image: str, images: tuple[str, str]) -> Iterator[Path]:
    """The Compose file of the project, which is up."""
    before = holdings(engine)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "shop.yaml")
        path.write_text(COMPOSE)
        words = ("compose", "--project-name", PROJECT, "--file", str(path))
        try:
            engine(*words, "up", "--detach")
            engine(*words, "stop", "still")
            yield path
        finally:
            engine(*words, "down", "--timeout", "1")
    assert holdings(engine) - before == set()


def state(engine: Engine) -> dict[str, Any]:
    """Tell all that the engine says of the project's containers and networks."""
    label = f"label=com.docker.compose.project={PROJECT}"
    ids = engine("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
    networks = engine("network", "ls", "--quiet", "--filter", label).split()
    return {said["Id"]: said for name in (*ids, *networks) for said in json.loads(engine("inspect", name))}


@pytest.fixture(scope="module")
def report(engine: Engine, file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a scan writes as JSON; it leaves the project, and the engine, as they were."""
    before, everything = state(engine), holdings(engine)
    written = tmp_path_factory.mktemp("scan") / "scan.json"
    code = main(["scan", "--compose", PROJECT, "--json", str(written), "--strict"])
    assert code == 0
    assert state(engine) == before
    assert holdings(engine) - everything == set()
    said: dict[str, Any] = json.loads(written.read_text())
    return said


REPLICAS = [f"{PROJECT}-many-{number}" for number in (1, 2)]


def test_udp_sockets_are_named_though_nobody_asks_them(report: dict[str, Any]) -> None:
    own = {host: sockets for host, sockets in report["not_asked"].items() if host != "host"}
    assert own["web"] == ["0.0.0.0:5353"]
    assert set(own) == {service["host"] for service in report["services"]} - {"host"}


def test_every_listener_is_named(report: dict[str, Any]) -> None:
    listeners = {service["name"]: service["listeners"] for service in report["services"]}
    assert listeners == {
        "admin:9000": ["127.0.0.1:9000"],
        "alone:6100": ["0.0.0.0:6100"],
        "guarded:8100": ["0.0.0.0:8100"],
        **{f"{name}:6000": ["0.0.0.0:6000"] for name in REPLICAS},
        "tiny:7000": ["0.0.0.0:7000"],
        "tiny:7100": ["0.0.0.0:7100"],
        "web:8000": ["0.0.0.0:8000"],
        "host:28100": ["0.0.0.0:28100"],
        # What else there is on the engine's machine is not of this test's making.
        **{name: sockets for name, sockets in listeners.items() if name.startswith("host:")},
    }


def test_what_is_no_host_of_its_own_is_said(report: dict[str, Any]) -> None:
    assert report["notes"] == [
        f"{PROJECT}-still-1 does not run (exited)",
        "beside shares the network of tiny, and its listeners are among those of tiny",
        "exporter shares the network of host, and its listeners are among those of host",
    ]


def dials(engine: Engine, network: str, asked: list[tuple[str, int]]) -> list[str]:
    """Dial from a container's network, with a program of this test's own."""
    words = ["run", "--rm", "--interactive", "--network", network, "hftp-client", "python3", "-c", DIALLER]
    done = subprocess.run(
        ["docker", *words], env=engine.environment, input=json.dumps(asked), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("vantage", ["web", "admin", "tiny", "host"])
def test_who_reaches_what_is_what_comes_of_real_dials(
    engine: Engine, report: dict[str, Any], vantage: str
) -> None:
    cells = [cell for cell in report["cells"] if cell["vantage"] == vantage]
    container = f"container:{PROJECT}-{vantage}-1"
    asked = [(cell["address"], cell["port"]) for cell in cells]
    answers = dials(engine, "host" if vantage == "host" else container, asked)
    seen = {(address, port): answer for (address, port), answer in zip(asked, answers, strict=True)}
    said = {where: cell["observation"]["verdict"] for where, cell in zip(asked, cells, strict=True)}
    assert seen == said
    assert said == {where: cell["prediction"]["verdict"] for where, cell in zip(asked, cells, strict=True)}
    assert len(cells) > 8


def test_the_cells_are_those_that_were_meant(report: dict[str, Any]) -> None:
    seen = {
        (cell["bind"], cell["vantage"], cell["target"]): cell["observation"]["verdict"]
        for cell in report["cells"]
    }
    assert seen["admin:9000", "web", "admin"] == "refused"
    assert seen["admin:9000", "host", "published, 127.0.0.1"] == "accepted"
    assert seen["web:8000", "admin", "web"] == "open"
    assert seen["web:8000", "host", "published, 127.0.0.1"] == "open"
    assert seen["web:8000", "tiny", f"front, {FRONT}.12"] == "unreachable"
    assert seen["tiny:7000", "web", f"back, {BACK}.10"] == "timeout"
    assert seen["tiny:7000", "web", "tiny"] == "unresolved"
    assert seen["tiny:7100", "admin", "tiny"] == "open"
    assert seen[f"{REPLICAS[0]}:6000", REPLICAS[1], REPLICAS[0]] == "open"
    assert seen["host:28100", "web", f"front, {FRONT}.1"] == "open"
    # A server on 0.0.0.0 has no IPv6: published on [::], the proxy opens and hangs up.
    assert seen["web:8000", "host", "published, ::1"] == "accepted"


@contextmanager
def another_machine(namespace: str) -> Iterator[str]:
    """Join a network namespace to that of the engine, as a machine on a link of its own.

    Yields:
        The words before a command that is to run there; the engine's machine is 198.18.122.1.
    """
    name, near, far = f"netlab-test-{os.getpid()}", f"nt{os.getpid()}a", f"nt{os.getpid()}b"
    commands = [
        f"netns add {name}",
        f"link add {near} netns {namespace} type veth peer name {far} netns {name}",
        f"-n {namespace} address add 198.18.122.1/24 dev {near}",
        f"-n {namespace} link set {near} up",
        f"-n {name} address add 198.18.122.2/24 dev {far}",
        f"-n {name} link set {far} up",
        f"-n {name} route add {FRONT}.0/24 via 198.18.122.1",
    ]
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        yield f"/run/netns/{name}"
    finally:
        subprocess.run(["ip", "-n", namespace, "link", "delete", near], check=False)
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_what_is_said_of_other_machines_is_what_one_meets(engine: Engine, report: dict[str, Any]) -> None:
    exposed = report["exposed"]
    opened = "0.0.0.0:28080 leads any machine that reaches this one to web:8000: open at "
    assert any(line.startswith(opened) for line in exposed)
    refused = [line for line in exposed if line.startswith("0.0.0.0:28090 ")]
    assert len(refused) == 1 and "to admin:9000: refused at " in refused[0]
    assert any(
        line.startswith("127.0.0.1:28081 is for this machine alone, but a neighbour") for line in exposed
    )
    assert any(line.startswith("0.0.0.0:28100 is a socket of this machine") for line in exposed)
    datagrams = [line for line in exposed if line.endswith(" to web:5353/udp, which was not asked")]
    assert any(line.startswith("0.0.0.0:") for line in datagrams)
    private = Path("/run/netlab-engine/engine.json")
    if os.geteuid() or engine.environment.get("DOCKER_HOST") != "unix:///run/netlab-engine/docker.sock":
        unavailable("compose", "another machine can be joined to the private engine only, by root")
    namespace = Path(json.loads(private.read_text())["netns"]).name
    here = [("198.18.122.1", port) for port in (28080, 28090, 28081, 28100)]
    directly = [(f"{FRONT}.13", 8100), (f"{FRONT}.13", 22)]
    with another_machine(namespace) as there:
        done = subprocess.run(
            ["nsenter", f"--net={there}", sys.executable, "-c", DIALLER],
            input=json.dumps([*here, *directly]),
            text=True,
            capture_output=True,
        )
    assert done.stdout.split() == ["open", "refused", "refused", "open", "open", "timeout"], done.stderr


def test_the_screen_fits_80_columns_and_says_who_reaches_what(
    report: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of the project's file, this time."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["scan", "--compose", str(file)]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    flat = " ".join(shown.replace("\n - ", "\n").split())
    assert "admin:9000 from" in flat
    assert "in admin, listen there or on 0.0.0.0" in flat


def test_strict_says_by_its_exit_code_that_a_dial_came_out_otherwise(
    engine: Engine, report: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A packet filter of the user's own is not seen, and so shows as a difference."""
    tables = Path("/run/netlab-engine/engine.json")
    if os.geteuid() or engine.environment.get("DOCKER_HOST") != "unix:///run/netlab-engine/docker.sock":
        unavailable("compose", "only in the private engine's network may a rule be added, by root")
    inside = ["nsenter", f"--net={json.loads(tables.read_text())['netns']}", "iptables"]
    rule = ["DOCKER-USER", "--destination", f"{FRONT}.12", "--jump", "REJECT"]
    subprocess.run([*inside, "--insert", *rule], check=True)
    try:
        assert main(["scan", "--compose", PROJECT]) == 0
        assert main(["scan", "--compose", PROJECT, "--strict"]) == ExitCode.DISAGREES
    finally:
        subprocess.run([*inside, "--delete", *rule], check=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Not as predicted" in shown
    assert f"admin to web:8000 (front, {FRONT}.12): predicted open, observed" in shown


def test_a_project_that_does_not_run_is_a_line(
    engine: Engine, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "--compose", "nowhere"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.startswith(
        "netlab: no project 'nowhere' runs: start it with 'docker compose up --detach' (running:"
    )
    assert PROJECT in said and said.count("\n") == 1
    other = tmp_path / "compose.yaml"
    other.write_text("services: {}")
    assert main(["scan", "--compose", str(other)]) == ExitCode.USAGE
    assert f"the project of {other} is not running" in capsys.readouterr().err


# --- One dial of it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vantage", "destination", "expected", "remedy"),
    [
        ("host", "127.0.0.1:28080", "open", ""),
        ("host", "127.0.0.1:28081", "open", ""),
        ("host", "[::1]:28080", "accepted (reset)", "in web, listen there or on ::"),
        ("host", "127.0.0.1:28090", "accepted (reset)", "in admin, listen there or on 0.0.0.0"),
        ("admin", "tiny:7000", "open", ""),
        ("tiny", "admin:9000", "refused", "bind 0.0.0.0"),
        ("tiny", "web:8000", "unresolved", "make web known to tiny"),
    ],
)
def test_why_follows_published_ports_and_the_names_that_containers_use(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    vantage: str,
    destination: str,
    expected: str,
    remedy: str,
) -> None:
    code = main(["why", vantage, destination, "--compose", str(file)])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"predicted {expected}" in shown, shown
    assert code == 0, shown
    assert remedy in shown


def test_an_engine_on_another_machine_is_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://nobody@127.0.0.1")
    assert main(["scan", "--compose", PROJECT]) == ExitCode.UNAVAILABLE
    (line,) = capsys.readouterr().err.splitlines()
    assert "need an engine on this machine" in line
