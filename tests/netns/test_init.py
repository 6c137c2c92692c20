"""`netlab init` as a user runs it: on a terminal, without one, and from what listens on this machine."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab.errors import ExitCode
from netlab.expectations import load

ENVIRONMENT = {**os.environ, "COLUMNS": "100", "PYTHONUTF8": "1", "TERM": "dumb"}
# Listens on every address, on the port that is its last argument, and is never told where.
SILENT = """
import socket, sys
with socket.create_server(("", int(sys.argv[-1]))) as server:
    held = []
    while True:
        held.append(server.accept())
"""
NETLAB = (sys.executable, "-m", "netlab")


pytestmark = pytest.mark.usefixtures("namespaces")


def netlab(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NETLAB, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
    )


@contextmanager
def serving(*arguments: str, folder: Path) -> Iterator[int]:
    """Run a program of this machine with a free port of it as its last argument; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [*arguments, str(port)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as program:
        try:
            for _ in range(200):
                assert program.poll() is None, "the program ended"
                with socket.socket() as dialling:
                    if dialling.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            program.kill()


def test_without_a_terminal_nothing_is_asked_and_the_first_check_is_green(tmp_path: Path) -> None:
    made = netlab(tmp_path, "init")
    assert made.returncode == ExitCode.OK, made.stderr
    assert made.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["netlab.schema.json", "netlab.yaml"]
    checked = netlab(tmp_path, "check")
    assert checked.returncode == ExitCode.OK, checked.stdout + checked.stderr
    assert "2 of 2 as expected" in checked.stdout


def test_every_question_can_be_answered_by_an_option(tmp_path: Path) -> None:
    command = "{python} -m http.server --bind {address} {port}"
    options = ["--command", command, "--port", "8123", "--check", "http", "--lab", "bind-address"]
    binds = ["--bind", "::", "--bind", "127.0.0.1"]
    made = netlab(tmp_path, "init", "own.yaml", *options, *binds, "--allow", "nobody")
    assert made.returncode == ExitCode.OK, made.stderr
    said = load(tmp_path / "own.yaml").said
    assert (said.service.command, said.service.port) == (command.split(), 8123)
    assert [*said.binds] == ["::", "127.0.0.1"]
    assert [(rule.expectation.wants, rule.vantages) for rule in load(tmp_path / "own.yaml").rules] == [
        ("deny", ("peer", "remote", "outsider"))
    ]
    checked = netlab(tmp_path, "check", "own.yaml")
    assert checked.returncode == ExitCode.DISAGREES, "nobody should get to ::, and peer does"
    assert "::: peer dials lan-ipv4" in checked.stdout


def test_on_a_terminal_it_asks_and_shows_what_it_proposes(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*NETLAB, "init"], cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=terminal, env=ENVIRONMENT
    ) as asking:
        os.close(terminal)
        seen = ""
        for question, answer in (
            ("What starts your server?", ""),
            ("On which port does it listen? [8000]", "8124"),
            ("How is its answer recognised? (tcp, http, tls, hftp) [tcp]", "http"),
            ("In which lab is it tried?", ""),
            ("On which addresses should it be tried? [0.0.0.0]", "127.0.0.1, ::"),
            ("Who should get through, of peer? (or nobody) [peer]", "nobody"),
        ):
            while question not in seen:
                assert select.select([controller], [], [], 20)[0], seen
                seen += os.read(controller, 4096).decode()
            os.write(controller, f"{answer}\n".encode())
        assert asking.wait(20) == ExitCode.OK
    os.close(controller)
    check = load(tmp_path / "netlab.yaml")
    assert (check.said.service.port, [*check.said.binds]) == (8124, ["127.0.0.1", "::"])
    assert [(rule.expectation.wants, rule.vantages) for rule in check.rules] == [("deny", ("peer",))]


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "netlab.yaml").write_text("mine")
    refused = netlab(tmp_path, "init")
    assert refused.returncode == ExitCode.USAGE
    assert "netlab.yaml is there already: --force writes over it" in refused.stderr
    assert (tmp_path / "netlab.yaml").read_text() == "mine"
    assert netlab(tmp_path, "init", "--force").returncode == ExitCode.OK
    assert load(tmp_path / "netlab.yaml").said.service.port == 8000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from-port", "80", "--from-compose", "compose.yaml"), "take one"),
        (("--from-compose", "compose.yaml"), "compose.yaml: No such file"),
        (("--from-port", "80", "--bind", "::"), "--bind goes without --from-compose and --from-port"),
        (("--lab", "moon"), "no lab is called 'moon': there is"),
        (("--check", "udp"), "'udp' is not one of 'tcp', 'http', 'tls', 'hftp'"),
        (("nowhere/netlab.yaml",), "there is no directory nowhere"),
    ],
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    ended = netlab(tmp_path, "init", *options)
    assert ended.returncode == ExitCode.USAGE
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert [*tmp_path.iterdir()] == []


# --- From a port -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_what_listens_on_a_port_becomes_a_check_that_is_green(tmp_path: Path, address: str) -> None:
    with serving(sys.executable, "-m", "http.server", "--bind", address, folder=tmp_path) as port:
        made = netlab(tmp_path, "init", "--from-port", str(port))
        assert made.returncode == ExitCode.OK, made.stderr
        check = load(tmp_path / "netlab.yaml")
        assert check.said.service.command is not None
        assert check.said.service.command[1:] == ["-m", "http.server", "--bind", "{address}", "{port}"]
        assert check.said.service.port == port
        assert check.said.binds["now"].address == address
        assert {bind.address for bind in check.said.binds.values()} == {"127.0.0.1", "0.0.0.0"}
        checked = netlab(tmp_path, "check")
        assert checked.returncode == ExitCode.OK, checked.stdout + checked.stderr


def test_a_program_that_is_not_told_its_address_is_tried_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "srv.py").write_text(SILENT)
    with serving(sys.executable, "./srv.py", folder=tmp_path / "app") as port:
        made = netlab(tmp_path, "init", "--from-port", str(port))
        assert made.returncode == ExitCode.OK, made.stderr
        assert "The command does not say where to listen" in made.stderr
    check = load(tmp_path / "netlab.yaml")
    assert [*check.said.binds] == ["now"]
    assert check.said.service.command is not None
    assert check.said.service.command[1:] == [str(tmp_path / "app" / "srv.py"), "{port}"]
    assert netlab(tmp_path, "check").returncode == ExitCode.OK


def test_a_secret_on_the_command_line_is_nowhere_in_what_is_written_or_said(tmp_path: Path) -> None:
    with serving(sys.executable, "-c", SILENT, "--token", "s3cr3t-w0rd", folder=tmp_path) as port:
        made = netlab(tmp_path, "init", "--from-port", str(port))
    assert made.returncode == ExitCode.OK, made.stderr
    assert "looked like secrets" in made.stderr
    assert "s3cr3t" not in made.stderr + "".join(path.read_text() for path in tmp_path.iterdir())


def test_a_program_that_has_written_over_its_command_line_is_told_of(tmp_path: Path) -> None:
    sleeper = str(Path(sys.executable).resolve())
    renamed = (
        f"import os, sys; os.execv({sleeper!r}, ['shop: master process', '-c', {SILENT!r}, sys.argv[-1]])"
    )
    with serving(sys.executable, "-c", renamed, folder=tmp_path) as port:
        refused = netlab(tmp_path, "init", "--from-port", str(port))
        assert refused.returncode == ExitCode.USAGE
        assert "calls itself 'shop: master process" in refused.stderr
        assert "--command" in refused.stderr
        command = f"{sleeper} -m http.server --bind 127.0.0.1 {port}"
        told = netlab(tmp_path, "init", "--from-port", str(port), "--command", command)
    assert told.returncode == ExitCode.OK, told.stderr
    assert load(tmp_path / "netlab.yaml").said.service.command == [
        *(sleeper, "-m", "http.server", "--bind", "127.0.0.1", "{port}")
    ]


def test_a_port_on_which_nothing_listens_is_told_with_those_that_are(tmp_path: Path) -> None:
    server = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1")
    with serving(*server, folder=tmp_path) as port, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        silent = bound.getsockname()[1]
        refused = netlab(tmp_path, "init", "--from-port", str(silent))
    assert refused.returncode == ExitCode.USAGE
    assert f"nothing listens on TCP port {silent}" in refused.stderr
    assert str(port) in refused.stderr


def test_a_port_of_udp_is_told_as_one_with_what_to_write(tmp_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        refused = netlab(tmp_path, "init", "--from-port", str(port))
    assert refused.returncode == ExitCode.USAGE
    assert (
        f"nothing listens on TCP port {port} of this machine, but by UDP: write protocol: udp"
        in refused.stderr
    )
    assert len(refused.stderr.splitlines()) == 1


def test_the_schema_beside_the_file_is_one(tmp_path: Path) -> None:
    assert netlab(tmp_path, "init").returncode == ExitCode.OK
    schema = json.loads((tmp_path / "netlab.schema.json").read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "service" in schema["properties"]
