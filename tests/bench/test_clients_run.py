"""`netlab clients` with real servers, for seconds: it measures, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netlab.cli import main
from netlab.clients.figures import Variant
from netlab.clients.loads import Load
from netlab.clients.measure import measure
from netlab.clients.processes import look, tree
from netlab.clients.server import RunningServer, ServerError, installed_variants
from netlab.errors import ExitCode

LOAD = Load("a few", 5, (("idle", 2), ("vanishing", 1)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", 8 << 20)
    return tmp_path


@pytest.mark.parametrize("variant", installed_variants(), ids=lambda variant: variant.name)
def test_a_load_on_each_strategy_has_figures(variant: Variant, directory: Path) -> None:
    cell = measure(variant, LOAD, 0.5, directory)
    assert cell.failure == ""
    assert cell.result is not None
    assert cell.cost is not None
    assert cell.asked == 7
    assert cell.result.answers > 10 or cell.unanswered
    assert cell.cost.rss_bytes >= cell.cost.pss_bytes > 1 << 20
    assert cell.cost.threads >= cell.cost.processes >= 1
    assert cell.cost.cpu_s > 0
    assert not [wrong for kind in cell.result.kinds for wrong in kind.wrong]


def test_a_server_that_does_not_start_says_why(directory: Path) -> None:
    with pytest.raises(ServerError, match="nonsense"):
        RunningServer(Variant("nonsense", ("--nonsense",)), directory)
    cell = measure(Variant("nonsense", ("--nonsense",)), LOAD, 0.2, directory)
    assert (cell.result, cell.unanswered, cell.serves_all) == (None, 0, False)
    assert "nonsense" in cell.failure


def test_a_server_has_ended_when_its_block_has(directory: Path) -> None:
    with RunningServer(installed_variants()[0], directory) as server:
        assert look(server.pid).processes >= 1
    assert not Path(f"/proc/{server.pid}").exists()


def test_descendants_are_counted() -> None:
    process = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & wait"], process_group=0)
    try:
        deadline = time.monotonic() + 10
        while len(tree(process.pid)) < 3:
            assert time.monotonic() < deadline
        seen = look(process.pid, with_pss=True)
        assert (seen.processes, seen.threads) == (3, 3)
        assert 0 < seen.pss_bytes < seen.rss_bytes
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_command_writes_json_and_charts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    strategy = installed_variants()[-1].name
    arguments = ["--quick", "--seconds", "0.2", "--strategy", strategy]
    code = main(["clients", *arguments, "--json", str(tmp_path / "it.json"), "--charts", str(tmp_path)])
    assert code == ExitCode.OK
    kept = json.loads((tmp_path / "it.json").read_text())
    assert {cell["variant"]["name"] for cell in kept["cells"]} == {strategy}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clients.png", "clients.svg", "it.json"]


def test_an_unknown_strategy_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clients", "--strategy", "magic"]) == ExitCode.USAGE
    assert "the server knows" in capsys.readouterr().err


def test_a_killed_run_leaves_no_server(directory: Path) -> None:
    """The kernel ends the server when whoever started it ends, however it ends."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from netlab.clients.server import RunningServer, installed_variants\n"
        "server = RunningServer(installed_variants()[0], Path(sys.argv[1]))\n"
        "print(server.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    server = Path(f"/proc/{process.stdout.readline().strip()}")
    assert server.exists()
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while server.exists() and "Z" not in (server / "stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
