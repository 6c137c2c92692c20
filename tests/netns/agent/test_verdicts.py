"""The agent dials: each verdict from a real situation."""

from __future__ import annotations

from contextlib import closing
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from netlab.checks import Tcp
from netlab.judging import judge
from netlab.model import Outcome, Verdict
from netlab.probes import Icmp, Probe
from netlab.session import AgentSession

if TYPE_CHECKING:
    from netlab.backends import Lab
from tests.netns.agent.sessions import HFTP, PORT, dial, dial_one, facts_of, start_hftp
from tests.requirements import unavailable


def test_open_when_the_server_knows_the_nonce(lab: Lab, server: AgentSession, peer: AgentSession) -> None:
    assert start_hftp(server, lab, "0.0.0.0")["listening"]
    observation, result = dial_one(peer, "198.18.1.11")
    assert observation.outcome == Outcome(Verdict.OPEN)
    (attempt,) = result.attempts
    assert attempt.local is not None
    assert attempt.local[0] == ip_address("198.18.1.20")
    assert attempt.peer == (ip_address("198.18.1.11"), PORT)
    assert "the answer has this run's nonce" in observation.evidence[-1]


def test_wrong_service_when_its_nonce_is_another(lab: Lab, server: AgentSession, peer: AgentSession) -> None:
    assert start_hftp(server, lab, "198.18.1.11", nonce="another")["listening"]
    observation, _ = dial_one(peer, "198.18.1.11")
    assert observation.outcome == Outcome(Verdict.WRONG_SERVICE)


def test_refused_where_nobody_listens(server: AgentSession, peer: AgentSession) -> None:
    observation, result = dial_one(peer, "198.18.1.11", 19599)
    assert observation.outcome == Outcome(Verdict.REFUSED)
    assert result.attempts[0].icmp is None
    assert observation.evidence[0].startswith("connect 198.18.1.11:19599: ECONNREFUSED after ")


def test_unreachable_without_a_route(peer: AgentSession) -> None:
    observation, result = dial_one(peer, "198.18.200.1")
    assert observation.outcome == Outcome(Verdict.UNREACHABLE, "ENETUNREACH")
    assert result.attempts[0].local is None


@pytest.mark.parametrize(
    ("target", "icmp"),
    [
        ("198.18.66.1", Icmp(4, 3, 0, ip_address("198.18.1.1"))),
        ("2001:db8:66::1", Icmp(6, 1, 0, ip_address("2001:db8:1::1"))),
    ],
)
def test_unreachable_tells_which_router_said_so(peer: AgentSession, target: str, icmp: Icmp) -> None:
    observation, result = dial_one(peer, target)
    assert observation.outcome == Outcome(Verdict.UNREACHABLE, "ENETUNREACH")
    assert result.attempts[0].icmp == icmp
    assert observation.evidence[-1].endswith(f"from {icmp.sender}")


def test_unreachable_when_no_neighbour_answers(peer: AgentSession) -> None:
    # Three solicitations, a second apart: here by the host itself, there by the router.
    results = dial(
        peer, Probe("here", "198.18.1.99", PORT, HFTP), Probe("there", "198.18.3.99", PORT, HFTP), timeout_s=8
    )
    for result in results.values():
        assert judge(result).outcome == Outcome(Verdict.UNREACHABLE, "EHOSTUNREACH")
    assert results["there"].attempts[0].icmp == Icmp(4, 3, 1, ip_address("198.18.1.1"))
    assert "this host itself" in judge(results["here"]).evidence[-1]


def test_timeout_when_packets_vanish(server: AgentSession, peer: AgentSession) -> None:
    observation, result = dial_one(peer, "198.18.77.1", timeout_s=0.5)
    assert observation.outcome == Outcome(Verdict.TIMEOUT)
    (attempt,) = result.attempts
    assert attempt.timed_out
    assert attempt.seconds >= 0.5


def test_unresolved_without_such_a_name(peer: AgentSession) -> None:
    observation, result = dial_one(peer, "no-such-name")
    assert observation.outcome is not None
    assert observation.outcome.verdict is Verdict.UNRESOLVED
    assert observation.outcome.detail.startswith("EAI_")
    assert result.attempts == ()


def test_every_address_of_a_name_is_tried_until_one_answers(
    lab: Lab, server: AgentSession, peer: AgentSession
) -> None:
    assert start_hftp(server, lab, "127.0.0.1")["listening"]
    observation, result = dial_one(server, "localhost")
    assert set(result.resolved) == {ip_address("127.0.0.1"), ip_address("::1")}
    assert observation.outcome == Outcome(Verdict.OPEN)
    refused = [attempt for attempt in result.attempts if attempt.errno == "ECONNREFUSED"]
    assert len(refused) == list(result.resolved).index(ip_address("127.0.0.1"))


def test_a_link_local_address_is_dialled_with_its_scope(lab: Lab, server: AgentSession) -> None:
    def link_local(session: AgentSession) -> str | None:
        eth0 = next(interface for interface in facts_of(session).interfaces if interface.name == "eth0")
        return next((str(address.ip) for address in eth0.addresses if address.is_link_local), None)

    address = link_local(server)
    if address is None:
        unavailable("netns", "the lab's interfaces have no link-local address")
    assert start_hftp(server, lab, "::")["listening"]
    with AgentSession(lab, "peer") as peer:
        observation, result = dial_one(peer, f"{address}%eth0")
        assert observation.outcome == Outcome(Verdict.OPEN)
        assert result.attempts[0].address == ip_address(f"{address}%eth0")
        without_scope, _ = dial_one(peer, address)
        assert without_scope.outcome == Outcome(Verdict.UNREACHABLE, "EINVAL")


def test_a_connection_with_itself_is_no_answer(scratch_lab: Lab) -> None:
    # With one local port to choose from, and that one dialled, TCP's two ends are the same socket.
    with AgentSession(scratch_lab, "scratch") as session:
        channel = scratch_lab.spawn(
            "scratch", ["sh", "-c", "echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range; echo ready"]
        )
        with closing(channel):
            assert channel.readline(10) == b"ready\n"
        probes = [Probe(str(number), "127.0.0.1", 40000, Tcp()) for number in range(8)]
        outcomes = {judge(dial(session, probe)[probe.id]).outcome for probe in probes}
    assert outcomes == {Outcome(Verdict.REFUSED)}


def test_two_hundred_probes_in_one_call(lab: Lab, server: AgentSession, peer: AgentSession) -> None:
    assert start_hftp(server, lab, "0.0.0.0")["listening"]
    probes = [Probe(f"open {number}", "198.18.1.11", PORT, HFTP) for number in range(150)]
    probes += [Probe(f"refused {number}", "198.18.1.11", 19599, HFTP) for number in range(50)]
    results = dial(peer, *probes, timeout_s=5)
    assert list(results) == [probe.id for probe in probes]
    for name, result in results.items():
        assert str(judge(result).outcome) == name.split()[0], judge(result).evidence
