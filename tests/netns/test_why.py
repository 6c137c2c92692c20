"""`why` asked by UDP of a lab that runs already: what is asked, what may be said, and what comes of it."""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from netlab.checks import SendExpect
from netlab.cli import main
from netlab.errors import ExitCode
from netlab.model import AnswersFrom, Host, Network, Outcome, Protocol, Route, Topology, Transport, Verdict
from netlab.report.suspicion import suspicion
from netlab.why import Destination, why
from tests.namespaces import bring_up
from tests.netns.measuring import BY_UDP, BY_UDP_FROM_DIALLED, PORT, PORTS, link, refused, socket_of, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab
    from netlab.model import Cell

OTHER = Route(ip_network("198.18.2.0/24"), ip_address("198.18.1.11"))
TOPOLOGY = Topology(
    (Network("lan"), Network("back")),
    (
        Host("server", (link("eth0", "lan", "198.18.1.11/24"), link("eth1", "back", "198.18.2.11/24"))),
        Host("peer", (link("eth0", "lan", "198.18.1.20/24"),), (OTHER,)),
    ),
)
CLOSED, SILENT = PORT + 5, PORT + 6
# Takes every question, and answers none.
TAKES = """
import socket, time
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("", {}))
print("ready", flush=True)
time.sleep(60)
"""


class AttachedLab:
    """A lab that is up: to enter it changes nothing."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lab, name)

    def __enter__(self) -> AttachedLab:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it up."""


@pytest.fixture(scope="module")
def lab() -> Iterator[AttachedLab]:
    """Run a server that answers from the routed address, one that does from the dialled, and a silent one."""
    sockets = [socket_of(by) for by in (BY_UDP, BY_UDP_FROM_DIALLED)]
    with bring_up(TOPOLOGY) as lab, ExitStack() as running:
        assert not refused(start(lab, "server", {"sockets": sockets}, running))
        silent = lab.spawn("server", [lab.python("server"), "-I", "-S", "-c", TAKES.format(SILENT)])
        running.callback(silent.close)
        assert silent.readline(20)
        yield AttachedLab(lab)


def asked(
    lab: AttachedLab, address: str, port: int, answers: AnswersFrom = AnswersFrom.ROUTED, **check: Any
) -> Cell:
    to = Destination(address, port, Transport(Protocol.UDP, answers), **check)
    return why(lab, "peer", to, lambda *_: None)


def test_any_answer_will_do_where_no_check_is_said(lab: AttachedLab) -> None:
    cell = asked(lab, "server", PORT)
    assert cell.observation.outcome == Outcome(Verdict.OPEN) == cell.prediction.outcome
    assert "it said 'socket 0" in cell.observation.evidence[-1]


def test_a_check_recognises_the_right_one(lab: AttachedLab) -> None:
    assert asked(lab, "server", PORT, check=SendExpect(b"?", b"socket 0")).agrees
    other = asked(lab, "server", PORT, check=SendExpect(b"?", b"socket 9"))
    assert other.observation.outcome == Outcome(Verdict.WRONG_SERVICE)


def test_a_closed_port_is_refused_as_predicted(lab: AttachedLab) -> None:
    cell = asked(lab, "server", CLOSED)
    assert cell.observation.outcome == Outcome(Verdict.REFUSED) == cell.prediction.outcome


def test_at_another_address_the_answer_comes_from_elsewhere(lab: AttachedLab) -> None:
    cell = asked(lab, "198.18.2.11", PORT)
    expected = Outcome(Verdict.WRONG_SOURCE, "198.18.1.11")
    assert (cell.prediction.outcome, cell.observation.outcome) == (expected, expected)


def test_which_address_a_service_answers_from_is_said_or_found_out(lab: AttachedLab) -> None:
    port = PORTS[BY_UDP_FROM_DIALLED]
    assert asked(lab, "198.18.2.11", port, AnswersFrom.DIALLED).agrees
    unsaid = asked(lab, "198.18.2.11", port)
    assert (unsaid.agrees, unsaid.observation.outcome) == (False, Outcome(Verdict.OPEN))
    assert "say answers-from: dialled" in suspicion(unsaid)
    wrong = asked(lab, "198.18.2.11", PORT, AnswersFrom.DIALLED)
    assert "answers by another socket than it is asked by" in suspicion(wrong)


def test_a_service_that_does_not_answer_is_never_open(lab: AttachedLab) -> None:
    cell = asked(lab, "server", SILENT)
    assert cell.observation.outcome == Outcome(Verdict.NO_ANSWER)
    assert "the service on server does not answer what it is sent" in suspicion(cell)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["peer", "server:53/sctp"], "server:53/sctp: want TO:PORT, such as lab01:19500, lab01:53/udp"),
        (["peer", "server:0/udp"], "server:0/udp: want TO:PORT"),
        (["peer", "server:53/udp", "--check", "http"], "--check: http is about connections; over UDP"),
        (["peer", "server:53/udp", "--check", "{dns"], "--check: not YAML"),
        (["peer", "server:53/udp", "--check", "dns"], "--check: dns has more to say"),
        (["peer", "server:53", "--answers-from", "dialled"], "answers-from goes with protocol: udp"),
    ],
)
def test_what_can_t_be_followed_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["why", *arguments, "-i", "/nonexistent/lab.yaml"]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
