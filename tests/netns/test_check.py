"""`netlab check`, run as a user runs it: real servers, real labs, every way to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netlab.errors import ExitCode

SERVICE = 'service: {command: [python3, -m, http.server, --bind, "{address}", "{port}"], port: 8000}\n'
LAN = "lab: lan\n"


pytestmark = pytest.mark.usefixtures("namespaces")


def check(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "netlab.yaml").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "netlab", "check", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1"},
        timeout=60,
    )


def test_three_lines_are_green_where_all_is_as_it_should_be(tmp_path: Path) -> None:
    ended = check(tmp_path, SERVICE + 'binds: {any: "::", local: 127.0.0.1}\nexpect: [deny: outsider]\n')
    assert (ended.returncode, ended.stderr) == (ExitCode.OK, ""), ended.stdout
    assert "46 cells, 10 of 10 as expected, 36 of 36 others as predicted" in ended.stdout


def test_a_server_that_nobody_reaches_is_red_and_the_reason_is_on_the_screen(tmp_path: Path) -> None:
    ended = check(tmp_path, SERVICE + LAN + "binds: [127.0.0.1]\nexpect: [allow: peer]\n")
    assert ended.returncode == ExitCode.DISAGREES, ended.stdout
    assert "127.0.0.1: peer dials lan-ipv4 (198.18.1.11): expected allow (open), observed refused" in (
        ended.stdout.splitlines()
    )
    assert "  expected by netlab.yaml:4" in ended.stdout.splitlines()
    assert "  to open it: bind 0.0.0.0 or 198.18.1.11" in ended.stdout.splitlines()


def test_a_server_that_too_many_reach_is_red_and_the_reason_is_on_the_screen(tmp_path: Path) -> None:
    ended = check(tmp_path, SERVICE + "binds: [0.0.0.0]\nexpect: [deny: remote]\n", "--from", "remote")
    assert ended.returncode == ExitCode.DISAGREES, ended.stdout
    assert "remote dials lan-ipv4 (198.18.1.11): expected deny (not reached), observed open" in ended.stdout
    assert "  to close it: bind 127.0.0.1" in ended.stdout


def test_what_is_now_is_recorded_and_then_met_by_everything(tmp_path: Path) -> None:
    before = "# ours\n" + SERVICE + LAN + "binds: [0.0.0.0, 127.0.0.1]\nexpect: [allow]\n"
    assert check(tmp_path, before).returncode == ExitCode.DISAGREES
    recorded = check(tmp_path, before, "--record")
    assert (recorded.returncode, recorded.stderr) == (ExitCode.OK, "netlab.yaml: expects what is now\n")
    text = (tmp_path / "netlab.yaml").read_text()
    assert text.startswith(before.removesuffix("expect: [allow]\n"))
    again = check(tmp_path, text)
    assert again.returncode == ExitCode.OK, again.stdout
    assert "18 cells, 18 of 18 as expected" in again.stdout


def test_a_run_is_compared_with_an_earlier_one(tmp_path: Path) -> None:
    wide = SERVICE + LAN + "binds: {web: 0.0.0.0}\n"
    assert check(tmp_path, wide, "--json", "run.json").returncode == ExitCode.OK
    same = check(tmp_path, wide, "--baseline", "run.json")
    assert (same.returncode, same.stderr) == (ExitCode.OK, "")
    bound = wide.replace("0.0.0.0", "127.0.0.1")
    narrow = check(tmp_path, bound, "--baseline", "run.json", "--json", "now.json")
    assert narrow.returncode == ExitCode.DISAGREES
    assert json.loads((tmp_path / "now.json").read_text())["exit_code"] == ExitCode.DISAGREES
    assert "changed since run.json: web: peer dials lan-ipv4: was open, is refused" in (
        narrow.stderr.splitlines()
    )


def test_json_says_what_was_expected_of_every_cell_and_by_which_rule(tmp_path: Path) -> None:
    ended = check(
        tmp_path, SERVICE + LAN + "vantages: [peer]\nexpect:\n  - deny: {to: '*ipv6'}\n", "--json", "-"
    )
    cells = {cell["target"]: cell for cell in json.loads(ended.stdout)["cells"]}
    assert [(cells[name]["expected"], cells[name]["rule"], cells[name]["state"]) for name in cells] == [
        (None, None, "met"),
        (None, None, "met"),
        ("deny", "netlab.yaml:5", "met"),
    ]


def test_a_server_that_does_not_start_is_not_measured_and_never_green(tmp_path: Path) -> None:
    text = SERVICE.replace("http.server", "no_such_module") + LAN + "expect: [deny]\n"
    ended = check(tmp_path, text)
    assert ended.returncode == ExitCode.NOT_MEASURED, ended.stdout
    assert "No module named no_such_module" in ended.stdout
    recorded = check(tmp_path, text, "--record")
    assert recorded.returncode == ExitCode.NOT_MEASURED
    assert "netlab.yaml is left as it is" in recorded.stderr
    assert (tmp_path / "netlab.yaml").read_text() == text


@pytest.mark.parametrize(
    ("end", "said"), [("sys.exit('out of luck')", "1: out of luck"), ("print('done')", "0: done")]
)
def test_a_server_that_listens_and_then_ends_is_not_denied_to_anybody(
    tmp_path: Path, end: str, said: str
) -> None:
    (tmp_path / "serve.py").write_text(
        "import socket, sys\n"
        "accepted = socket.create_server(('127.0.0.1', int(sys.argv[1]))).accept()\n"
        f"{end}\n"
    )
    text = "service: {command: [python3, serve.py, '{port}'], port: 8000}\n" + LAN
    text += "vantages: {peer: {web: '{lan.ipv4}'}, server: {web: 127.0.0.1}}\nexpect: [deny: peer]\n"
    ended = check(tmp_path, text, "--json", "-")
    of_peer, of_server = (cell["observation"] for cell in json.loads(ended.stdout)["cells"])
    assert of_peer["not_measured"] == f"the service ended with exit code {said}"
    assert of_server["verdict"] == "accepted"
    assert ended.returncode == ExitCode.DISAGREES


def test_a_server_that_goes_into_the_background_is_there(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(
        "import os, signal, socket, sys\n"
        "listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "if os.fork() == 0:\n"
        "    signal.pause()\n"
    )
    text = "service: {command: [python3, serve.py, '{port}'], port: 8000}\n" + LAN
    text += "vantages: {peer: {web: '{lan.ipv4}'}}\nexpect: [refused]\n"
    ended = check(tmp_path, text)
    assert ended.returncode == ExitCode.OK, ended.stdout


def test_a_server_that_can_not_bind_is_not_denied_to_anybody(tmp_path: Path) -> None:
    text = SERVICE + LAN + "binds: [198.18.1.250]\nvantages: [peer]\n"
    ended = check(tmp_path, text + "expect: [deny]\n")
    assert ended.returncode == ExitCode.DISAGREES, ended.stdout
    assert "observed not-bound (EADDRNOTAVAIL)" in ended.stdout
    assert check(tmp_path, text + "expect: [not-bound]\n").returncode == ExitCode.OK


def test_a_server_of_ones_own_is_started_where_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(
        "import runpy, sys\nsys.argv[1:] = ['8000']\nrunpy.run_module('http.server', run_name='__main__')\n"
    )
    text = "service: {command: [python3, serve.py], port: 8000, check: http}\n" + LAN
    ended = check(tmp_path, text + "vantages: [peer]\nexpect: [allow: {to: lan-ipv4}]\n")
    assert ended.returncode == ExitCode.OK, ended.stdout


def test_a_service_brings_files_that_know_where_they_are_and_where_to_listen(tmp_path: Path) -> None:
    text = r"""
service:
  command: [python3, "{data}/serve.py", '--at=\{data}/\{port}']
  files:
    serve.py: |
      import http.server, sys
      assert "{data}/serve.py" == __file__ and "{endpoint}" == "[::]:8000"
      assert sys.argv[1] == "--at={" + "data}/{" + "port}"
      data, port = 1, 2
      assert f"\{data} \{port} {{" == "1 2 {"
      server = http.server.ThreadingHTTPServer
      server.address_family = 10
      server(("{address}", {port}), http.server.SimpleHTTPRequestHandler).serve_forever()
  port: 8000
lab: lan
binds: ["::"]
expect: [allow]
"""
    ended = check(tmp_path, text)
    assert ended.returncode == ExitCode.OK, ended.stdout


def test_a_file_that_is_wrong_is_one_line_and_nothing_is_brought_up(tmp_path: Path) -> None:
    ended = check(tmp_path, SERVICE + "expect: [alow]\n")
    assert (ended.returncode, ended.stdout) == (ExitCode.USAGE, "")
    assert ended.stderr.startswith("netlab: netlab.yaml:2: expect.0: no expectation is called 'alow'")
    assert ended.stderr.count("\n") == 1


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    for arguments, said in [
        (("--record", "--bind", "any"), "--record writes the whole of what is expected"),
        (("--backend", "compose"), "the lab is one for the backend netns, not for compose"),
        (("--baseline", "no.json"), "no.json: No such file or directory"),
        (("--bind", "x"), "no bind is called 'x': there is any"),
        (("--from", "x"), "no vantage is called 'x': there is server, peer"),
        (("no.yaml",), "no.yaml: No such file or directory"),
    ]:
        ended = check(tmp_path, SERVICE + LAN, *arguments)
        assert (ended.returncode, ended.stdout) == (ExitCode.USAGE, "")
        assert said in ended.stderr


def test_all_that_there_is_to_say_is_in_files_for_those_who_were_not_there(tmp_path: Path) -> None:
    text = SERVICE.replace('"{address}"', "127.0.0.1") + LAN + "expect: [allow: {from: peer, to: lan-ipv4}]\n"
    files = ("--json", "a.json", "--html", "a.html", "--junit", "a.xml", "--bundle", "a.zip")
    ended = check(tmp_path, text, *files)
    assert ended.returncode == ExitCode.DISAGREES, ended.stderr
    heading = "any: peer dials lan-ipv4 (198.18.1.11): expected allow (open), observed refused"
    assert heading in ended.stdout.splitlines()
    (failure,) = ElementTree.parse(tmp_path / "a.xml").findall(".//failure")
    assert failure.get("message") == heading
    assert f"<pre>{heading}\n" in (tmp_path / "a.html").read_text()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        its = {name: archive.read(name).decode() for name in archive.namelist() if "pcap" not in name}
    assert heading in its["screen.txt"]
    assert f"<pre>{heading}\n" in its["report.html"]
    assert "  to open it: bind 0.0.0.0 or 198.18.1.11\n" in its["report.html"]
    (bundled,) = [cell for cell in json.loads(its["run.json"])["cells"] if cell["state"] == "unmet"]
    assert bundled["message"] == failure.text
    assert json.loads(its["manifest.json"])["exit_code"] == ExitCode.DISAGREES


def test_a_lab_that_is_kept_after_a_failure_is_kept_for_as_long_as_was_said(tmp_path: Path) -> None:
    red = SERVICE.replace('"{address}"', "127.0.0.1") + LAN + "expect: [allow: {from: peer, to: lan-ipv4}]\n"
    kept = ("--keep-on-fail", "--keep-for", "0.001")
    ended = check(tmp_path, red, *kept)
    assert ended.returncode == ExitCode.DISAGREES, ended.stderr
    assert "netlab shell server-any --lab " in ended.stderr
    assert "the lab is taken down" in ended.stderr
    assert "expected allow (open), observed refused" in ended.stdout
    green = check(tmp_path, SERVICE + LAN, *kept)
    assert (green.returncode, green.stderr) == (ExitCode.OK, "")
