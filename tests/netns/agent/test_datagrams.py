"""The agent asks by datagrams: real servers that answer well, badly, late, from elsewhere, or not at all."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING

import pytest

from netlab.checks import AnyAnswer, Check, Dns, Http, SendExpect
from netlab.errors import AgentError
from netlab.facts import Listener, read_facts
from netlab.judging import judge
from netlab.model import Outcome, Protocol, Verdict
from netlab.probes import Probe, probe_request
from netlab.session import AgentSession
from netlab.starting import read_service_start
from tests.netns.agent.sessions import dial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab
    from netlab.model import Observation

SERVER, OTHER = "198.18.1.11", "198.18.1.12"
# What each port does with a question: `here` answers from the port, `there` from another one, `far` from
# another address; `wait` lets a second pass, `skip` passes the first question over.
PORTS = {
    21000: "here pong",
    21001: "there pong",
    21002: "skip here pong",
    21003: "here no",
    21004: "here no here pong",
    21005: "wait",
    21007: "there pong here pong",
    21008: "there no wait here pong",
    21009: "there no",
    21010: "far pong",
    21011: "here " + "x" * 60000 + "pong",
}
NOBODY = 21006
PROGRAM = """
import socket, sys, threading, time

def loop(port, steps):
    here, there, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
    here.bind(("198.18.1.11", port))
    there.bind(("198.18.1.11", port + 1000))
    far.bind(("198.18.1.12", port))
    told = []
    while True:
        question, asker = here.recvfrom(65536)
        words = iter(steps)
        for word in words:
            if word == "wait":
                time.sleep(1)
            elif word == "skip" and asker not in told:
                told.append(asker)
                break
            elif word != "skip":
                {"here": here, "there": there, "far": far}[word].sendto(next(words).encode(), asker)

for line in sys.argv[1:]:
    port, *steps = line.split()
    threading.Thread(target=loop, args=(int(port), steps), daemon=True).start()
time.sleep(60)
"""
PING = SendExpect(b"ping", b"pong")


def served(session: AgentSession, argv: list[str], port: int, protocol: str, timeout_s: float = 10) -> bool:
    fields = {"argv": argv, "files": {}, "port": port, "protocol": protocol, "timeout_s": timeout_s}
    answer = session.call("serve", fields, timeout_s=20)
    return read_service_start("server", answer).listening


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[AgentSession]:
    """Start the servers; the last one that they open is waited for."""
    lines = [f"{port} {steps}" for port, steps in PORTS.items()]
    with AgentSession(lab, "server") as session:
        assert served(session, ["python3", "-c", PROGRAM, *lines], max(PORTS), "udp")
        yield session


@pytest.fixture(scope="module")
def seen(peer: AgentSession, server: AgentSession) -> dict[int, Observation]:
    """Ask every port, all at once."""
    probes = [Probe(str(port), SERVER, port, PING, Protocol.UDP) for port in (*PORTS, NOBODY)]
    results = dial(peer, *probes)
    return {int(port): judge(result, Protocol.UDP) for port, result in results.items()}


@pytest.mark.parametrize(
    ("port", "outcome", "said"),
    [
        (21000, Outcome(Verdict.OPEN), "it said 'pong'"),
        (21001, Outcome(Verdict.WRONG_SOURCE, "port"), "from 198.18.1.11:22001; it said 'pong'"),
        (21002, Outcome(Verdict.OPEN), "it said 'pong'"),
        (21003, Outcome(Verdict.WRONG_SERVICE), "it said 'no', expected 'pong'"),
        (21004, Outcome(Verdict.OPEN), "it said 'pong'"),
        (21005, Outcome(Verdict.NO_ANSWER), "ask 198.18.1.11:21005: no answer after"),
        (NOBODY, Outcome(Verdict.REFUSED), "ICMP type 3 code 3 (port unreachable) from 198.18.1.11"),
        (21007, Outcome(Verdict.OPEN), "it said 'pong'"),
        (21008, Outcome(Verdict.OPEN), "it said 'pong'"),
        (21009, Outcome(Verdict.WRONG_SOURCE, "port"), "it said 'no', expected 'pong'"),
        (21010, Outcome(Verdict.WRONG_SOURCE, OTHER), f"from {OTHER}:21010; it said 'pong'"),
        (21011, Outcome(Verdict.OPEN), "it said 'xxx"),
    ],
)
def test_what_comes_of_a_question(
    seen: dict[int, Observation], port: int, outcome: Outcome, said: str
) -> None:
    assert seen[port].outcome == outcome, seen[port]
    assert said in seen[port].evidence[-1]


def test_where_nothing_comes_the_question_is_asked_again(seen: dict[int, Observation]) -> None:
    assert 0.5 <= seen[21002].seconds < seen[21005].seconds


def test_each_address_of_a_name_is_asked_in_turn(peer: AgentSession, server: AgentSession) -> None:
    """`localhost` is ::1 and then 127.0.0.1 there: both are tried, and told of."""
    probe = Probe("it", "localhost", NOBODY, PING, Protocol.UDP)
    result = dial(peer, probe, timeout_s=1)["it"]
    assert [str(attempt.address) for attempt in result.attempts] == ["::1", "127.0.0.1"]
    assert judge(result, Protocol.UDP).outcome == Outcome(Verdict.REFUSED)


def test_the_sockets_that_wait_for_datagrams_are_facts_where_they_are_asked_for(server: AgentSession) -> None:
    found = read_facts("server", server.call("facts", {"names": [], "datagrams": True}, timeout_s=20))
    assert Listener(ip_interface(SERVER).ip, 21000) in found.datagram_sockets
    assert found.sockets(Protocol.UDP) == found.datagram_sockets
    unasked = read_facts("server", server.call("facts", {"names": []}, timeout_s=20))
    assert unasked.datagram_sockets == ()


OPENS = """
import socket, time
s = socket.socket(type=socket.SOCK_{})
s.bind(("127.0.0.1", 21500))
{}
time.sleep(60)
"""


def test_a_service_listens_once_it_has_a_socket_of_its_protocol(lab: Lab) -> None:
    by_tcp = ["python3", "-c", OPENS.format("STREAM", "s.listen()")]
    by_udp = ["python3", "-c", OPENS.format("DGRAM", "0")]
    with AgentSession(lab, "server") as session:
        assert served(session, by_udp, 21500, "udp")
        assert not served(session, by_udp, 21500, "tcp", timeout_s=1)
        assert served(session, by_tcp, 21500, "tcp")
        assert not served(session, by_tcp, 21500, "udp", timeout_s=1)


@pytest.mark.parametrize(
    ("check", "protocol", "allowed"),
    [
        (Http(), "udp", "check.kind|kind: expected one of send-expect, dns, any-answer"),
        (AnyAnswer(b"?"), "tcp", "kind: expected one of hftp, tcp, banner, send-expect, http, tls, dns"),
        (Dns("a.test"), "sctp", "protocol: expected tcp or udp"),
    ],
)
def test_what_can_t_be_asked_is_refused(
    peer: AgentSession, check: Check, protocol: str, allowed: str
) -> None:
    request = probe_request([Probe("it", SERVER, 21000, check)], 1)
    request["probes"][0]["protocol"] = protocol  # type: ignore[index]
    with pytest.raises(AgentError, match=allowed):
        peer.call("probe", request, timeout_s=10)
