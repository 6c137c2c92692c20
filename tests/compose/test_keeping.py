"""A lab in containers that stays up after a run that failed: entered, and ended."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netlab.errors import ExitCode
from tests.compose.conftest import Engine
from tests.compose.holdings import holdings

# It accepts and hangs up, other than what is expected of an HFTP server.
HANGS_UP = "import socket; s = socket.create_server(('', 19500))\nwhile True: s.accept()[0].close()"
LISTENS = "import socket; socket.create_connection(('127.0.0.1', 19500))"
COMPOSE = {
    "networks": {"default": {"ipam": {"config": [{"subnet": "${NETLAB_LAN:-198.18.1}.0/24"}]}}},
    "services": {
        "web": {
            "image": "hftp-client",
            "command": ["python3", "-c", HANGS_UP],
            "healthcheck": {
                "test": ["CMD", "python3", "-c", LISTENS],
                "interval": "1s",
                "start_period": "9s",
            },
            "environment": {"WHERE": "inside web"},
        },
        "peer": {"image": "hftp-client"},
        # Without a shell, as images of nothing but a program are.
        "bare": {
            "image": "hftp-client",
            "volumes": ["/dev/null:/usr/bin/dash:ro", "/dev/null:/usr/bin/bash:ro"],
        },
    },
}
EXPERIMENT = """
title: A server that hangs up
compose: compose.yaml
service: {port: 19500, check: hftp}
binds: {any: {host: web, address: 0.0.0.0}}
vantages: {peer: {name: "{hostname}"}}
headline: {binds: [any], columns: {from a peer: {vantage: peer, target: name}}}
"""
NETLAB = (sys.executable, "-m", "netlab")
WITHIN_S = 120

pytestmark = pytest.mark.usefixtures("images")


class Kept:
    """A run whose lab stays up, and what it said of that."""

    def __init__(self, engine: Engine, process: subprocess.Popen[str]) -> None:
        self._environment, self.process = engine.environment, process
        self.said = ""
        assert process.stderr is not None
        while "it ends by itself" not in self.said:
            line = process.stderr.readline()
            assert line, self.said
            self.said += line
        (self.lab,) = re.findall(r"netlab shell web --lab (\S+)", self.said)

    def netlab(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*NETLAB, *words], env=self._environment, text=True, capture_output=True, timeout=WITHIN_S
        )

    def shell(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.netlab("shell", "--lab", self.lab, *words)


@pytest.fixture(scope="module")
def lab(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A lab that stays up; when it is told to end, it leaves nothing, and its exit code is the run's."""
    directory = tmp_path_factory.mktemp("kept")
    (directory / "compose.yaml").write_text(json.dumps(COMPOSE))
    (directory / "own.yaml").write_text(EXPERIMENT)
    before = holdings(engine)
    command = [*NETLAB, "run", str(directory / "own.yaml"), "--backend", "compose"]
    with subprocess.Popen(
        [*command, "--keep-on-fail", "--keep-for", "20"],
        env=engine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Kept(engine, process)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WITHIN_S)
            assert process.returncode == ExitCode.DISAGREES
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WITHIN_S)
    assert holdings(engine) - before == set()


def test_it_says_what_runs_and_how_to_enter(lab: Kept) -> None:
    assert "compose), and its services run: any on web\n" in lab.said
    assert "in another terminal: netlab shell web --lab " in lab.said
    assert "its hosts: bare, peer, web\n" in lab.said
    assert f"running, process {lab.process.pid}: " in lab.netlab("ls").stdout


def test_a_command_runs_in_the_container_with_streams_and_exit_code_of_its_own(lab: Kept) -> None:
    done = lab.shell("web", "--", "sh", "-c", "echo $WHERE; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "inside web\n", "err\n")


def test_a_container_without_a_shell_is_entered_beside_it(lab: Kept) -> None:
    """In a container of netlab's own, which has a shell and the other one's network."""
    addresses = "cat /proc/net/fib_trie"
    inside = lab.shell("bare", "--", "sh", "-c", addresses)
    assert inside.returncode == 0, inside.stderr
    assert "198.18." in inside.stdout
    rights = lab.shell("bare", "--", "sh", "-c", "grep CapEff /proc/self/status")
    assert rights.stdout.split() == ["CapEff:", "0" * 16]


def test_a_terminal_is_passed_on(lab: Kept, engine: Engine) -> None:
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(
            NETLAB[0], [*NETLAB, "shell", "--lab", lab.lab, "web"], {**engine.environment, "TERM": "xterm"}
        )
    text = ""
    typed = iter(["tty; echo $WHERE\n", "exit 4\n"])
    while True:
        try:
            text += os.read(descriptor, 4096).decode()
        except OSError:
            break
        if text.endswith("$ "):
            os.write(descriptor, next(typed).encode())
    os.close(descriptor)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert "/dev/pts/0\r\ninside web\r\n" in text


def test_a_host_that_is_not_there_is_told_with_those_that_are(lab: Kept) -> None:
    done = lab.shell("mars")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.endswith("is called 'mars': there is bare, peer, web\n")
