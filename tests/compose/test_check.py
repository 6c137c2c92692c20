"""`netlab check` of Compose projects: one that is brought up for it, and one that runs already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.errors import ExitCode
from tests.compose.conftest import Engine
from tests.compose.holdings import holdings

# Images that are here; a server that starts a moment after its container, and no health check that knows.
COMPOSE = """\
services:
  proxy:
    image: hftp-client
    entrypoint: [sleep, infinity]
    init: true
    networks: [front, backend]
  web:
    image: hftp-server
    entrypoint: [sh, -c, "sleep 1; exec python3 -m http.server 8080"]
    init: true
    healthcheck: {test: [CMD, "true"], interval: 1s}
    networks: [front]
    ports: ["127.0.0.1:18080:8080"]
  db:
    image: hftp-server
    entrypoint: [python3, -m, http.server, "5432"]
    init: true
    healthcheck: {test: [CMD, "true"], interval: 1s}
    networks: [backend]
networks:
  front: {ipam: {config: [{subnet: 198.18.124.0/24}]}}
  backend: {internal: true, ipam: {config: [{subnet: 198.18.125.0/24}]}}
"""
CHECK = """\
lab: {compose: compose.yaml}
service: {port: 8080, check: http}
binds:
  web:
  db: {port: 5432}
vantages: [proxy, web, db, host]
patience_s: 2
expect:
  - deny
  - allow: {bind: web, from: [proxy, host]}
  - allow: {bind: db, from: "network:backend"}
  - allow: {bind: db, from: host}
"""


@pytest.fixture
def folder(tmp_path: Path, images: tuple[str, str]) -> Path:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    return tmp_path


def check(engine: Engine, folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "netlab.yaml").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "netlab", "check", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**engine.environment, "COLUMNS": "100", "PYTHONUTF8": "1"},
        timeout=120,
    )


def test_a_project_is_brought_up_checked_and_taken_down(engine: Engine, folder: Path) -> None:
    before = holdings(engine)
    ended = check(engine, folder, CHECK)
    assert ended.returncode == ExitCode.OK, ended.stdout + ended.stderr
    assert " as expected" in ended.stdout
    assert "others" not in ended.stdout
    assert holdings(engine) - before == set()


def test_a_running_project_is_checked_and_left_as_it_is(engine: Engine, folder: Path) -> None:
    project = f"netlab-test-check-{os.getpid()}"
    compose = (
        "compose",
        "--progress",
        "quiet",
        "--project-name",
        project,
        "-f",
        str(folder / "compose.yaml"),
    )
    try:
        engine(*compose, "up", "--detach", "--wait")
        before = holdings(engine)
        running = CHECK.replace("{compose: compose.yaml}", f"{{project: {project}}}")
        open_to_all = running.split("expect:")[0] + "expect: [allow: {bind: db}]\n"
        ended = check(engine, folder, open_to_all)
        assert ended.returncode == ExitCode.DISAGREES, ended.stdout + ended.stderr
        assert "db: web dials name (db): expected allow (open), observed unresolved" in ended.stdout
        assert "db: web dials backend-ipv4 (198.18.125." in ended.stdout
        assert holdings(engine) - before == set()
        assert engine(*compose, "ps", "--services").split() == ["db", "proxy", "web"]
    finally:
        engine(*compose, "down", "--timeout", "1")


def test_what_the_project_does_not_have_is_said_in_a_line(engine: Engine, folder: Path) -> None:
    ended = check(engine, folder, CHECK.replace("  db: {port: 5432}", "  dbx: {port: 5432}"))
    assert ended.returncode == ExitCode.USAGE, ended.stdout + ended.stderr
    assert "no service is called 'dbx': there is db, proxy, web" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_lab_is_made_of_containers_for_a_service_that_is_an_image(engine: Engine, folder: Path) -> None:
    before = holdings(engine)
    text = """\
service:
  image: hftp-server
  command: [sh, -c, 'cat "{data}/words"; exec hftp serve -a "{address}" -p {port} -d {data}']
  files: {words: "a $dollar and {address}"}
  port: 19500
  check: hftp
binds: {any: 0.0.0.0, local: 127.0.0.1, lan: "{lan.ipv4}"}
expect:
  - deny
  - allow: {from: server, bind: [any, local], to: [localhost, 127.0.0.1]}
  - allow: {bind: [any, lan], to: [name, hostname, lan-ipv4]}
"""
    ended = check(engine, folder, text)
    assert ended.returncode == ExitCode.OK, ended.stdout + ended.stderr
    assert "33 cells, 33 of 33 as expected" in ended.stdout
    assert holdings(engine) - before == set()


def test_a_udp_service_in_a_container_is_dialled_and_predicted_as_anywhere(
    engine: Engine, folder: Path
) -> None:
    text = """\
service:
  protocol: udp
  image: hftp-server
  command: [python3, "{data}/echo.py", "{address}", "{port}"]
  files:
    echo.py: |
      import socket, sys
      server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      server.bind((sys.argv[1], int(sys.argv[2])))
      while True:
          _, asker = server.recvfrom(2048)
          server.sendto(open("{data}/netlab-nonce", "rb").read(), asker)
  port: 5300
  check: {send-expect: {send: "who is there?", expect: "{nonce}"}}
binds: {any: 0.0.0.0, local: 127.0.0.1}
expect:
  - refused: "*"
  - allow: {from: server, to: [localhost, 127.0.0.1]}
  - allow: {bind: any, to: [name, hostname, lan-ipv4]}
  - refused: {to: lan-ipv6}
"""
    ended = check(engine, folder, text)
    assert ended.returncode == ExitCode.OK, ended.stdout + ended.stderr
    assert "as expected" in ended.stdout


# A UDP server that is told where to listen; `peer` asks at the addresses of the engine's machine.
ANSWERS = """\
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
while True:
    server.sendto(b"pong", server.recvfrom(2048)[1])
"""
UDP_COMPOSE = """\
x-server: &server
  image: hftp-server
  init: true
  healthcheck: {test: [CMD, "true"], interval: 1s}
  volumes: ["./answers.py:/answers.py:ro"]
services:
  dns:
    <<: *server
    entrypoint: [python3, /answers.py, 0.0.0.0]
    ports: ["18053:53/udp", "127.0.0.1:18054:54/tcp"]
    networks: [front, back]
  local:
    <<: *server
    entrypoint: [python3, /answers.py, 127.0.0.1]
    ports: ["18055:53/udp"]
    networks: [front]
  peer: {image: hftp-client, entrypoint: [sleep, infinity], init: true, networks: [front]}
networks:
  front: {ipam: {config: [{subnet: 198.18.124.0/24}]}}
  back: {ipam: {config: [{subnet: 198.18.125.0/24}]}}
"""
UDP_CHECK = """\
lab: {compose: udp.yaml}
service: {protocol: udp, port: 53, check: {send-expect: {send: ping, expect: pong}}}
binds: {dns: , local: }
patience_s: 1
"""
UDP_RULES = """\
vantages: [host, peer]
expect:
  - allow: {bind: dns}
  - no-answer: {bind: dns, from: peer, to: back-ipv4}  # networks are kept apart
  - refused: {bind: local}
  - no-answer: {bind: local, to: published-*}  # the proxy keeps ICMP errors to itself
"""
UDP_GATEWAYS = """\
vantages:
  peer:
    front: {address: "{engine.front.ipv4}", published: any}
    back: {address: "{engine.back.ipv4}", published: any}
  host:
    front: {address: "{engine.front.ipv4}", published: any}
    two: {address: 127.0.0.2, published: any}
expect:
  - allow: {bind: dns}
  - wrong-source (198.18.124.1): {bind: dns, from: peer, to: back}  # of the proxy, which is on a wildcard
  - wrong-source (127.0.0.1): {bind: dns, from: host, to: two}
  - no-answer: {bind: local}
  - refused: {bind: local, from: host, to: front}  # by translation
"""


@pytest.mark.parametrize(
    ("asked", "cells"), [(UDP_RULES, 12), (UDP_GATEWAYS, 8)], ids=["everywhere", "at gateways"]
)
def test_a_published_udp_port_is_asked_and_predicted_as_any(
    engine: Engine, folder: Path, asked: str, cells: int
) -> None:
    (folder / "udp.yaml").write_text(UDP_COMPOSE)
    (folder / "answers.py").write_text(ANSWERS)
    ended = check(engine, folder, UDP_CHECK + asked, "--strict")
    assert ended.returncode == ExitCode.OK, ended.stdout + ended.stderr
    assert f"{cells} cells, {cells} of {cells} as expected" in ended.stdout


def test_a_lab_of_containers_has_no_routers(engine: Engine, folder: Path) -> None:
    text = "service: {image: hftp-server, port: 19500}\nlab: bind-address\n"
    ended = check(engine, folder, text)
    assert ended.returncode == ExitCode.USAGE, ended.stdout + ended.stderr
    assert "router is a router, and containers don't forward: take another lab" in ended.stderr
