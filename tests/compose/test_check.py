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


def test_a_lab_of_containers_has_no_routers(engine: Engine, folder: Path) -> None:
    text = "service: {image: hftp-server, port: 19500}\nlab: bind-address\n"
    ended = check(engine, folder, text)
    assert ended.returncode == ExitCode.USAGE, ended.stdout + ended.stderr
    assert "router is a router, and containers don't forward: take another lab" in ended.stderr
