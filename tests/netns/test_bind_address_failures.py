"""The standard experiment where something goes wrong in between, or the service does: no run succeeds so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.backends.netns import NetnsLab
from netlab.errors import AgentError, ExitCode
from netlab.experiments import load
from netlab.experiments.plan import Selection
from netlab.model import Outcome, Topology, Verdict
from netlab.run import run
from tests.namespaces import namespaces_needed
from tests.netns.bind_address import OUTCOMES, cell_of, measured, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.backends import Channel
    from netlab.experiments import Draft
    from netlab.matrix import Matrix

READ = "reading facts"


class WatchedLab(NetnsLab):
    """A lab that remembers the first program on each host: its agent."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self.first: dict[str, Channel] = {}

    def spawn(self, host: str, argv: Sequence[str]) -> Channel:  # type: ignore[override]
        channel = super().spawn(host, argv)
        return self.first.setdefault(host, channel) if host not in self.first else channel


def run_with(
    between: Callable[[WatchedLab], None], *binds: str, phase: str = READ, draft: Draft | None = None
) -> Matrix:
    """Run the experiment; when a phase is over, do something to the lab."""

    wanted = (draft or load("bind-address")).only(Selection(binds))
    assert isinstance(wanted.lab, Topology)
    lab = WatchedLab(wanted.lab)

    def progress(name: str, done: int, total: int) -> None:
        if name == phase and done == total:
            between(lab)

    with namespaces_needed():
        return run(wanted, "netns", lab, progress)


ADD_BLACKHOLE = """
import socket, struct
body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 254, 3, 0, 6, 0)  # rtmsg: type 6 is a blackhole
body += struct.pack("=HH", 8, 1) + socket.inet_aton("198.18.1.11")  # RTA_DST
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
    sock.sendto(struct.pack("=IHHII", 16 + len(body), 24, 0x605, 1, 0) + body, (0, 0))  # RTM_NEWROUTE
    assert not struct.unpack_from("=i", sock.recv(4096), 16)[0]
"""


def add_blackhole(lab: WatchedLab) -> None:
    channel = NetnsLab.spawn(lab, "peer", [lab.python("peer"), "-c", ADD_BLACKHOLE])
    assert channel.wait(10) == 0, channel.diagnostics()


def test_what_changes_after_the_facts_were_read_is_a_disagreement() -> None:
    matrix = run_with(add_blackhole, "0.0.0.0", "localhost")
    surprised = [name_of(cell) for cell in matrix.disagreements]
    assert surprised == [("localhost", "peer", "name"), ("localhost", "peer", "lan-ipv4")]
    wrong = cell_of(matrix, "localhost", "peer", "lan-ipv4")
    assert wrong.prediction.outcome == OUTCOMES["x"]
    assert wrong.observation.outcome == Outcome(Verdict.UNREACHABLE, "EINVAL")
    assert matrix.exit_code is ExitCode.DISAGREES


def close_agent(lab: WatchedLab) -> None:
    lab.first["remote"].close()


def test_an_agent_that_dies_leaves_its_cells_unmeasured_and_the_others_as_they_are() -> None:
    matrix = run_with(close_agent, "0.0.0.0")
    assert {c.vantage for c in matrix.not_measured} == {"remote"}
    assert {c.observation.not_measured.split(":")[0] for c in matrix.not_measured} == {"agent on remote"}
    assert len(matrix.cells) - len(matrix.not_measured) == 19
    assert not matrix.disagreements
    assert matrix.exit_code is ExitCode.NOT_MEASURED


def close_server(lab: WatchedLab) -> None:
    lab.first["server-any"].close()


def test_without_the_facts_of_a_host_there_is_no_matrix_but_an_error_that_names_it() -> None:
    with pytest.raises(AgentError, match="agent on server-any") as caught:
        run_with(close_server, "0.0.0.0", phase="starting servers")
    assert caught.value.exit_code is ExitCode.NOT_MEASURED


def with_command(folder: Path, program: str) -> Draft:
    """Return the standard experiment with another service: a Python program."""
    from importlib import resources

    text = resources.files("netlab.experiments").joinpath("bind-address.yaml").read_text()
    before, _, rest = text.partition("  command:")
    after = rest[rest.index("  options:") :]
    indented = "".join(f"        {line}\n" for line in program.splitlines())
    command = (
        '  command:\n    - "{python}"\n    - -c\n    - |\n' + indented + '    - "{address}"\n    - "{port}"\n'
    )
    file = folder / "other.yaml"
    file.write_text(before + command + after)
    return load(str(file))


HANGS_UP = """\
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as sock:
    while True:
        sock.accept()[0].close()"""


def test_a_service_that_hangs_up_is_told_from_one_that_answers(tmp_path: Path) -> None:
    matrix = measured(with_command(tmp_path, HANGS_UP).only(Selection(("0.0.0.0",), ("peer",))))
    dialled = cell_of(matrix, "0.0.0.0", "peer", "lan-ipv4")
    assert dialled.prediction.outcome == OUTCOMES["O"]
    assert dialled.observation.outcome is not None
    assert dialled.observation.outcome.verdict is Verdict.ACCEPTED
    assert matrix.exit_code is ExitCode.DISAGREES


def test_a_service_that_listens_elsewhere_than_told_is_seen_by_its_socket(tmp_path: Path) -> None:
    elsewhere = HANGS_UP.replace("sys.argv[1]", '"127.0.0.2"')
    matrix = measured(with_command(tmp_path, elsewhere).only(Selection(("0.0.0.0",), ("peer",))))
    dialled = cell_of(matrix, "0.0.0.0", "peer", "lan-ipv4")
    assert "127.0.0.2:19500" in dialled.prediction.reason[0].text
    assert (dialled.prediction.outcome, dialled.observation.outcome) == (OUTCOMES["x"], OUTCOMES["x"])


def test_a_service_that_dies_for_its_own_reasons_leaves_its_cells_unmeasured(tmp_path: Path) -> None:
    dies = "import sys\nprint('no licence')\nsys.exit(7)"
    matrix = measured(with_command(tmp_path, dies).only(Selection(("0.0.0.0", "::1"), ("peer",))))
    assert {c.observation.not_measured for c in matrix.cells} == {
        "the service ended with exit code 7: no licence"
    }
    assert matrix.exit_code is ExitCode.NOT_MEASURED


def test_a_service_that_never_listens_leaves_its_cells_unmeasured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netlab.run.SERVICE_TIMEOUT_S", 1.0)
    waits = "import time\nprint('warming up', flush=True)\ntime.sleep(60)"
    matrix = measured(with_command(tmp_path, waits).only(Selection(("0.0.0.0",), ("peer",))))
    assert {c.observation.not_measured for c in matrix.cells} == {
        "the service did not listen on port 19500 within 1 s; it said: warming up"
    }
    assert matrix.exit_code is ExitCode.NOT_MEASURED
