"""The standard experiment on a real kernel: every cell, as it is drawn, and what keeps a run from success."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.backends.netns import NetnsLab
from netlab.errors import AgentError, BackendUnavailableError, ExitCode
from netlab.experiments import load
from netlab.experiments.plan import Selection
from netlab.model import Outcome, Topology, Verdict
from netlab.run import run
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.backends import Channel
    from netlab.experiments import Draft
    from netlab.matrix import Matrix
    from netlab.model import Cell

# O open, x refused, u unreachable (ENETUNREACH), ? unresolved (EAI_NONAME), - not-bound (EADDRNOTAVAIL).
# The columns' letters: `netlab run` spells them out.
TABLE = """
             server              peer        remote      outsider
             a b c d e f g h i   j g h i b   j g h i b   j g h i b
localhost    O x x O x x x x x   x x x x x   x x x u x   ? u u u x
127.0.0.1    O O x x O x x x x   x x x x x   x x x u x   ? u u u x
127.0.0.2    x x O x x x x x x   x x x x x   x x x u x   ? u u u x
0.0.0.0      O O O x O O O x O   O O x O x   O O x u x   ? u u u x
::1          O x x O x x x x x   x x x x x   x x x u x   ? u u u x
::           O O O O O O O O O   O O O O x   O O O u x   ? u u u x
::v6only     O x x O x x x O x   O x O x x   O x O u x   ? u u u x
lan-ipv4     x x x x x x O x x   O O x x x   O O x u x   ? u u u x
lan-ipv6     x x x x x x x O x   O x O x x   O x O u x   ? u u u x
back-ipv4    x x x x x x x x O   x x x O x   x x x u x   ? u u u x
back-device  x x x x x x x x O   x x x x x   x x x u x   ? u u u x
hostname     x x x x x O x x x   x x x x x   x x x u x   ? u u u x
not-ours     - - - - - - - - -   - - - - -   - - - - -   - - - - -
"""
LETTERS = {
    **{"a": "localhost", "b": "127.0.0.1", "c": "127.0.0.2", "d": "::1", "e": "0.0.0.0"},
    **{"f": "hostname", "g": "lan-ipv4", "h": "lan-ipv6", "i": "back-ipv4", "j": "name"},
}
OUTCOMES = {
    "O": Outcome(Verdict.OPEN),
    "x": Outcome(Verdict.REFUSED),
    "u": Outcome(Verdict.UNREACHABLE, "ENETUNREACH"),
    "?": Outcome(Verdict.UNRESOLVED, "EAI_NONAME"),
    "-": Outcome(Verdict.NOT_BOUND, "EADDRNOTAVAIL"),
}
READ = "reading facts"


def table() -> dict[tuple[str, str, str], Outcome]:
    vantages, letters, *rows = TABLE.strip("\n").splitlines()
    names = [
        name
        for name, block in zip(vantages.split(), letters.strip().split("   "), strict=True)
        for _ in block.split()
    ]
    columns = list(zip(names, letters.split(), strict=True))
    return {
        (bind, vantage, LETTERS[letter]): OUTCOMES[symbol]
        for bind, *symbols in map(str.split, rows)
        for (vantage, letter), symbol in zip(columns, symbols, strict=True)
    }


def silent(phase: str, done: int, total: int) -> None:
    """Take no notice of progress."""


def measured(draft: Draft, progress: Callable[[str, int, int], None] = silent) -> Matrix:
    try:
        return run(draft, "netns", NetnsLab(draft.lab), progress)
    except BackendUnavailableError as error:
        unavailable("netns", str(error))


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return measured(load("bind-address"))


def cell(matrix: Matrix, bind: str, vantage: str, target: str) -> Cell:
    for cell in matrix.cells:
        if (cell.bind.name, cell.vantage, cell.target.name) == (bind, vantage, target):
            return cell
    raise KeyError((bind, vantage, target))


# --- As it is drawn ----------------------------------------------------------------------------------------


def test_every_cell_is_observed_as_it_is_drawn(matrix: Matrix) -> None:
    observed = {(c.bind.name, c.vantage, c.target.name): c.observation.outcome for c in matrix.cells}
    assert observed == table()


def test_every_cell_is_predicted_as_it_is_drawn(matrix: Matrix) -> None:
    predicted = {(c.bind.name, c.vantage, c.target.name): c.prediction.outcome for c in matrix.cells}
    assert predicted == table()


def test_all_312_cells_are_measured_and_as_predicted(matrix: Matrix) -> None:
    assert len(matrix.cells) == 13 * 24 == 312
    assert all(cell.measured and cell.agrees for cell in matrix.cells)
    assert matrix.exit_code is ExitCode.OK


def test_every_step_names_where_it_happens_and_what_it_rests_on(matrix: Matrix) -> None:
    hosts = {host.name for host in matrix.experiment.topology.hosts}
    for each in matrix.cells:
        assert each.prediction.reason
        for step in each.prediction.reason:
            assert step.host in hosts
            assert step.text
            assert step.rests_on


def test_what_is_not_open_has_a_remedy_and_what_is_open_has_none(matrix: Matrix) -> None:
    for each in matrix.cells:
        assert bool(each.prediction.remedy) == (each.prediction.outcome != OUTCOMES["O"]), each


def test_following_the_remedy_opens_the_cell(matrix: Matrix) -> None:
    """`bind 0.0.0.0 or ADDRESS`: the rows of those binds are open in that column."""
    refused = [c for c in matrix.cells if c.prediction.remedy.startswith("bind 0.0.0.0 or ")]
    assert len(refused) > 50
    for each in refused:
        assert cell(matrix, "0.0.0.0", each.vantage, each.target.name).observation.outcome == OUTCOMES["O"]


def test_the_facts_are_those_of_the_hosts(matrix: Matrix) -> None:
    facts = matrix.facts["lan-ipv4"]["server-lan"]
    assert facts.hostname == "server-lan"
    assert next(own.ip for i in facts.interfaces for own in i.addresses if i.name == "eth0") == ip_address(
        "198.18.1.18"
    )
    assert {str(listener.address) for listener in facts.listeners} == {"198.18.1.18"}


# --- Reasons, step by step ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bind", "vantage", "target", "steps"),
    [
        (
            "0.0.0.0",
            "remote",
            "lan-ipv4",
            [
                ("bind", "server-any", "listening on 0.0.0.0:19500"),
                ("route", "remote", "198.18.1.0/24 via 198.18.3.1 dev eth0, source 198.18.3.102"),
                ("forward", "router", "passes it on: 198.18.1.0/24 dev eth0"),
                ("delivery", "server-any", "198.18.1.14 is local, on eth0"),
                ("listener", "server-any", "0.0.0.0:19500 takes it"),
                ("answer", "server-any", "the service answers"),
            ],
        ),
        (
            "127.0.0.1",
            "peer",
            "lan-ipv4",
            [
                ("bind", "server-loopback", "listening on 127.0.0.1:19500"),
                ("route", "peer", "198.18.1.0/24 dev eth0"),
                ("delivery", "server-loopback", "198.18.1.12 is local, on eth0"),
                ("listener", "server-loopback", "no socket for 198.18.1.12:19500"),
                ("answer", "server-loopback", "RST"),
            ],
        ),
        (
            "back-device",
            "peer",
            "back-ipv4",
            [
                ("bind", "server-device", "listening on 0.0.0.0:19500 on eth1"),
                ("route", "peer", "198.18.2.21/32 via 198.18.1.21 dev eth0"),
                ("delivery", "server-device", "is local, on eth1, and taken though it came in by eth0"),
                ("listener", "server-device", "no socket for 198.18.2.21:19500 by eth0"),
                ("answer", "server-device", "RST"),
            ],
        ),
        (
            "::",
            "remote",
            "back-ipv4",
            [
                ("bind", "server-any6", "listening on [::]:19500 (IPv4 too)"),
                ("route", "remote", "no route to 198.18.2.16"),
            ],
        ),
        (
            "::",
            "outsider",
            "name",
            [
                ("bind", "server-any6", "listening on [::]:19500 (IPv4 too)"),
                ("resolve", "outsider", "server-any6 has no address (EAI_NONAME)"),
            ],
        ),
        (
            "0.0.0.0",
            "server",
            "0.0.0.0",
            [
                ("bind", "server-any", "listening on 0.0.0.0:19500"),
                ("resolve", "server-any", "0.0.0.0 as a destination is 127.0.0.1"),
                ("delivery", "server-any", "127.0.0.1 is this host itself, on lo"),
                ("listener", "server-any", "0.0.0.0:19500 takes it"),
                ("answer", "server-any", "the service answers"),
            ],
        ),
        (
            "lan-ipv4",
            "peer",
            "name",
            [
                ("bind", "server-lan", "listening on 198.18.1.18:19500"),
                ("resolve", "peer", "server-lan is 2001:db8:1::18, then 198.18.1.18"),
                ("route", "peer", "2001:db8:1::/64 dev eth0"),
                ("delivery", "server-lan", "2001:db8:1::18 is local, on eth0"),
                ("listener", "server-lan", "no socket for [2001:db8:1::18]:19500"),
                ("answer", "server-lan", "RST"),
                ("route", "peer", "198.18.1.0/24 dev eth0"),
                ("delivery", "server-lan", "198.18.1.18 is local, on eth0"),
                ("listener", "server-lan", "198.18.1.18:19500 takes it"),
                ("answer", "server-lan", "the service answers"),
            ],
        ),
        (
            "not-ours",
            "peer",
            "name",
            [("bind", "server-elsewhere", "198.18.1.250 is no address of this host")],
        ),
    ],
)
def test_the_reason_goes_the_way_of_the_packet(
    matrix: Matrix, bind: str, vantage: str, target: str, steps: list[tuple[str, str, str]]
) -> None:
    reason = cell(matrix, bind, vantage, target).prediction.reason
    assert [(step.kind, step.host) for step in reason] == [(kind, host) for kind, host, _ in steps]
    for step, (_, _, text) in zip(reason, steps, strict=True):
        assert text in step.text


def test_the_evidence_says_what_happened(matrix: Matrix) -> None:
    assert "ECONNREFUSED" in cell(matrix, "127.0.0.1", "peer", "lan-ipv4").observation.evidence[0]
    assert "ENETUNREACH" in cell(matrix, "127.0.0.1", "outsider", "lan-ipv4").observation.evidence[0]
    assert "nonce" in cell(matrix, "0.0.0.0", "peer", "lan-ipv4").observation.evidence[-1]
    assert "EAI_NONAME" in cell(matrix, "0.0.0.0", "outsider", "name").observation.evidence[0]
    assert "exit code" in cell(matrix, "not-ours", "peer", "name").observation.evidence[0]


# --- What keeps a run from success -------------------------------------------------------------------------


class WatchedLab(NetnsLab):
    """A lab that remembers the first program on each host: its agent."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self.agents: dict[str, Channel] = {}

    def spawn(self, host: str, argv: Sequence[str]) -> Channel:  # type: ignore[override]
        channel = super().spawn(host, argv)
        return self.agents.setdefault(host, channel) if host not in self.agents else channel


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

    try:
        return run(wanted, "netns", lab, progress)
    except BackendUnavailableError as error:
        unavailable("netns", str(error))


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
    surprised = [(c.bind.name, c.vantage, c.target.name) for c in matrix.disagreements]
    assert surprised == [("localhost", "peer", "name"), ("localhost", "peer", "lan-ipv4")]
    wrong = cell(matrix, "localhost", "peer", "lan-ipv4")
    assert wrong.prediction.outcome == OUTCOMES["x"]
    assert wrong.observation.outcome == Outcome(Verdict.UNREACHABLE, "EINVAL")
    assert matrix.exit_code is ExitCode.DISAGREES


def close_agent(lab: WatchedLab) -> None:
    lab.agents["remote"].close()


def test_an_agent_that_dies_leaves_its_cells_unmeasured_and_the_others_as_they_are() -> None:
    matrix = run_with(close_agent, "0.0.0.0")
    assert {c.vantage for c in matrix.not_measured} == {"remote"}
    assert {c.observation.not_measured.split(":")[0] for c in matrix.not_measured} == {"agent on remote"}
    assert len(matrix.cells) - len(matrix.not_measured) == 19
    assert not matrix.disagreements
    assert matrix.exit_code is ExitCode.NOT_MEASURED


def close_server(lab: WatchedLab) -> None:
    lab.agents["server-any"].close()


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
    dialled = cell(matrix, "0.0.0.0", "peer", "lan-ipv4")
    assert dialled.prediction.outcome == OUTCOMES["O"]
    assert dialled.observation.outcome is not None
    assert dialled.observation.outcome.verdict is Verdict.ACCEPTED
    assert matrix.exit_code is ExitCode.DISAGREES


def test_a_service_that_listens_elsewhere_than_told_is_seen_by_its_socket(tmp_path: Path) -> None:
    elsewhere = HANGS_UP.replace("sys.argv[1]", '"127.0.0.2"')
    matrix = measured(with_command(tmp_path, elsewhere).only(Selection(("0.0.0.0",), ("peer",))))
    dialled = cell(matrix, "0.0.0.0", "peer", "lan-ipv4")
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
