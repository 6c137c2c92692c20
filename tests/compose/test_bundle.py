"""`--bundle` of a run in containers: their logs, their packets, and none of their secrets."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import dpkt
import pytest

from netlab.errors import ExitCode
from tests.compose.conftest import Engine
from tests.compose.holdings import holdings
from tests.compose.test_keeping import COMPOSE, EXPERIMENT

SECRET = "Environment-Se3ret-of-web"


@pytest.fixture(scope="module")
def files(
    engine: Engine, images: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The bundle of a run whose server says on standard output what it should keep to itself."""
    directory = tmp_path_factory.mktemp("bundle")
    careless = json.loads(json.dumps(COMPOSE))
    web = careless["services"]["web"]
    web["environment"]["APP_SECRET"] = SECRET
    web["command"][2] = "import os; print('connecting as', os.environ['APP_SECRET'])\n" + web["command"][2]
    (directory / "compose.yaml").write_text(json.dumps(careless))
    (directory / "own.yaml").write_text(EXPERIMENT)
    before = holdings(engine)
    file = directory / "run.zip"
    words = ("run", str(directory / "own.yaml"), "--backend", "compose", "--bundle", str(file))
    done = subprocess.run(
        [sys.executable, "-m", "netlab", *words],
        env=engine.environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == ExitCode.DISAGREES, done.stderr
    assert holdings(engine) - before == set()
    assert [path.name for path in Path(directory).iterdir() if path.suffix == ".zip"] == ["run.zip"]
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_nothing_is_missing(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["manifest.json"])
    assert manifest["missing"] == []
    assert {f"pcaps/{host}.pcapng" for host in ("web", "peer", "bare", "host")} <= set(files)
    here = json.loads(files["versions.json"])["here"]
    assert here["container engine"][0].isdigit()
    assert here["Compose"].startswith("2.")


def test_a_container_without_rights_of_its_own_has_its_packets_captured_beside_it(
    files: dict[str, bytes],
) -> None:
    flags = set()
    for _, frame in dpkt.pcapng.Reader(io.BytesIO(files["pcaps/web.pcapng"])):
        packet = dpkt.sll2.SLL2(frame).data
        if isinstance(packet, dpkt.ip.IP) and isinstance(packet.data, dpkt.tcp.TCP):
            assert 19500 in (packet.data.sport, packet.data.dport)
            flags.add(packet.data.flags)
    assert {dpkt.tcp.TH_SYN, dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK} <= flags


def test_a_log_is_there_and_no_secret_of_a_containers_environment_anywhere(files: dict[str, bytes]) -> None:
    assert files["logs/web.txt"].decode() == "connecting as [removed]\n"
    assert not [name for name, content in files.items() if SECRET.encode() in content]
    assert not [name for name, content in files.items() if b"APP_SECRET" in content]
