"""`--bundle`: what is in it, that other programs can read it, and that no secret is."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import dpkt
import pytest

from netlab.errors import ExitCode
from netlab.model import Topology
from tests.namespaces import bring_up
from tests.netns.test_cli import ENVIRONMENT, ONE_CELL, experiment
from tests.requirements import unavailable

# Each is planted in a place of its own, and may be nowhere in the bundle.
SECRETS = {
    "output": "Output-Se3ret-1",
    "command line": "Command-Se3ret-2",
    "environment": "Environment-Se3ret-3",
    "key": "MIIEpAIBAAKCAQEAs3cretkey4",
    "header": "SGVhZGVyLVNlM3JldC01",
    "payload": "payload-goes-by-6-unmarked",
}
# Writes all that a careless server may write, and answers with what is nobody else's business.
CARELESS = f"""
import socket, sys, time
environment = "{SECRETS["environment"]}"
print("started with", sys.argv[1:], flush=True)
print("DATABASE_PASSWORD={SECRETS["output"]}", flush=True)
print("connecting as", environment, flush=True)
print("-----BEGIN PRIVATE KEY-----\\n{SECRETS["key"]}\\n-----END PRIVATE KEY-----", flush=True)
sock = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
while True:
    connection, peer = sock.accept()
    print("GET / from", peer[0], "Authorization: Basic {SECRETS["header"]}", flush=True)
    connection.sendall(b"Authorization: Basic {SECRETS["header"]}\\r\\n" + b"{SECRETS["payload"]} " * 50)
    connection.close()
"""


@pytest.fixture(scope="module", autouse=True)
def available() -> None:
    with bring_up(Topology((), ())):
        pass


def bundled(tmp_path: Path, *words: str, code: int = ExitCode.OK, **variables: str) -> dict[str, bytes]:
    """Run netlab, and return what is in its bundle."""
    file = tmp_path / "run.zip"
    done = subprocess.run(
        [sys.executable, "-m", "netlab", "run", *words, "--bundle", str(file)],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **variables},
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert f"{file}: " in done.stderr
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def packets(content: bytes) -> list[Any]:
    """Return the packets of a capture, as dpkt reads them."""
    reader = dpkt.pcapng.Reader(io.BytesIO(content))
    assert reader.datalink() == 276  # LINKTYPE_LINUX_SLL2
    return [dpkt.sll2.SLL2(frame) for _, frame in reader]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bundle of a run that is well."""
    return bundled(tmp_path_factory.mktemp("bundle"), "--bind", "0.0.0.0", "--bind", "not-ours")


def test_everything_that_belongs_in_it_is_there(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["manifest.json"])
    assert manifest["missing"] == []
    assert {file["path"] for file in manifest["files"]} | {"manifest.json"} == set(files)
    versions = json.loads(files["versions.json"])
    hosts = set(versions["hosts"])
    assert len(hosts) == 17
    assert versions["here"]["util-linux"].startswith("unshare from util-linux")
    assert {f"round-1/facts/{host}.json" for host in hosts} <= set(files)
    assert {f"pcaps/{host}.pcapng" for host in hosts} <= set(files)
    assert len(json.loads(files["run.json"])["cells"]) == 48
    assert files["report.html"].startswith(b"<!DOCTYPE html>")
    assert "0.0.0.0" in files["screen.txt"].decode()
    assert files["round-1/logs/server-any.txt"] == b"listening on 0.0.0.0:19500\n"
    assert (
        b"cannot" in files["round-1/logs/server-elsewhere.txt"].lower()
        or b"Cannot assign" in (files["round-1/logs/server-elsewhere.txt"])
    )


def test_a_host_has_the_packets_of_its_dials_and_of_no_other(files: dict[str, bytes]) -> None:
    seen = [
        (socket.inet_ntoa(cooked.data.src), socket.inet_ntoa(cooked.data.dst), cooked.data.data)
        for cooked in packets(files["pcaps/peer.pcapng"])
        if cooked.ethtype == dpkt.ethernet.ETH_TYPE_IP and cooked.data.p == dpkt.ip.IP_PROTO_TCP
    ]
    syns = [(source, to) for source, to, tcp in seen if tcp.flags == dpkt.tcp.TH_SYN]
    # Of its own dials: to the server's two addresses, and by its name; and to its own 127.0.0.1.
    assert syns.count(("198.18.1.101", "198.18.1.14")) == 2
    assert ("198.18.1.101", "198.18.2.14") in syns
    assert ("127.0.0.1", "127.0.0.1") in syns
    answers = [tcp.flags for source, to, tcp in seen if (source, to) == ("198.18.1.14", "198.18.1.101")]
    assert dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK in answers
    assert all(19500 in (tcp.sport, tcp.dport) for _, _, tcp in seen)
    outside = packets(files["pcaps/outsider.pcapng"])
    assert not [c for c in outside if c.ethtype == dpkt.ethernet.ETH_TYPE_IP and c.intindex != 1]


def test_no_packet_has_anything_that_an_application_said(files: dict[str, bytes]) -> None:
    captures = [content for name, content in files.items() if name.startswith("pcaps/")]
    said = [tcp for content in captures for tcp in _tcp(content) if tcp.flags & dpkt.tcp.TH_PUSH]
    assert said, "there were packets with something in them"
    assert all(tcp.data == b"" for tcp in said)
    assert not any(word in content for content in captures for word in (b"list", b"netlab-nonce", b"0 OK"))


def _tcp(content: bytes) -> list[Any]:
    found = []
    for cooked in packets(content):
        inner = cooked.data
        if isinstance(inner, dpkt.ip.IP) and isinstance(inner.data, dpkt.tcp.TCP):
            found.append(inner.data)
    return found


def test_tcpdump_reads_it(files: dict[str, bytes], tmp_path: Path) -> None:
    if shutil.which("tcpdump") is None:
        unavailable("services", "there is no tcpdump")
    capture = tmp_path / "peer.pcapng"
    capture.write_bytes(files["pcaps/peer.pcapng"])
    done = subprocess.run(["tcpdump", "-nr", str(capture)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(packets(files["pcaps/peer.pcapng"]))
    assert "198.18.1.14.19500: Flags [S]" in done.stdout


def test_no_secret_is_in_it_wherever_it_was_planted(tmp_path: Path) -> None:
    file = Path(experiment(tmp_path, CARELESS))
    text = file.read_text().replace('"{port}"]', f'"{{port}}", "--password", "{SECRETS["command line"]}"]')
    assert SECRETS["command line"] in text
    file.write_text(text)
    files = bundled(
        tmp_path, str(file), *ONE_CELL, code=ExitCode.DISAGREES, DEPLOY_TOKEN=SECRETS["environment"]
    )
    log = files["round-1/logs/server-any.txt"].decode()
    assert "listening\nGET / from 198.18.1.101 Authorization: [removed]\n" in log, "written after the start"
    assert "DATABASE_PASSWORD=[removed]" in log
    command = json.loads(files["experiment.json"])["binds"][0]["command"]
    assert command[-2:] == ["--password", "[removed]"]
    evidence = json.dumps(json.loads(files["run.json"])["cells"])
    assert "not an HFTP server: it said" in evidence
    for name, content in files.items():
        for place, secret in SECRETS.items():
            assert place == "payload" or secret.encode() not in content, (place, name)
        if name.startswith("pcaps/"):
            assert SECRETS["payload"].encode() not in content, name


def test_a_file_that_can_not_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netlab", "run", "--bundle", str(tmp_path / "no" / "x.zip")],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == f"netlab: {tmp_path}/no/x.zip: there is no directory {tmp_path}/no\n"
    assert os.listdir(tmp_path) == []  # noqa: PTH208
