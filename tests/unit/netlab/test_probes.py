"""From what an agent answers to a verdict, on values alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from netlab.checks import Hftp
from netlab.errors import AgentError
from netlab.judging import judge
from netlab.model import Outcome, Protocol, Verdict
from netlab.probes import (
    Attempt,
    CheckResult,
    Elsewhere,
    Icmp,
    Probe,
    ProbeResult,
    probe_request,
    read_probe_results,
)
from netlab.starting import service_failure

SERVER = ip_address("198.18.1.11")
PEER = ip_address("198.18.1.20")


def attempt(errno: str | None = None, **others: Any) -> Attempt:
    values = {"address": SERVER, "port": 19500, "timed_out": False, "seconds": 0.0002, **others}
    return Attempt(connected=errno is None, errno=errno, **values)


def result(*attempts: Attempt, **others: Any) -> ProbeResult:
    values = {"resolved": tuple(a.address for a in attempts), "resolve_error": None, "check": None, **others}
    return ProbeResult(id="it", attempts=attempts, seconds=0.5, **values)


CONNECTED = attempt(local=(PEER, 51234), peer=(SERVER, 19500), seconds=0.0001)
ANSWER = {
    "results": [
        {
            "id": "any/lan-ipv4",
            "resolved": ["198.18.1.11"],
            "resolve_error": None,
            "attempts": [
                {
                    "address": "198.18.1.11",
                    "port": 19500,
                    "timed_out": False,
                    "icmp": {"version": 4, "type": 3, "code": 0, "from": "198.18.3.1"},
                    "local": ["198.18.1.20", 40000],
                    "peer": None,
                    "connected": False,
                    "errno": "ENETUNREACH",
                    "seconds": 0.000513,
                }
            ],
            "check": None,
            "seconds": 0.000572,
        }
    ]
}


def test_a_request_says_everything_that_the_agent_needs() -> None:
    probe = Probe("any/lan-ipv4", "198.18.1.11", 19500, Hftp("netlab-nonce", "0f1e"))
    assert probe_request([probe], 3) == {
        "probes": [
            {
                "id": "any/lan-ipv4",
                "address": "198.18.1.11",
                "port": 19500,
                "protocol": "tcp",
                "check": {"kind": "hftp", "file": "netlab-nonce", "expect": "0f1e"},
            }
        ],
        "timeout_s": 3,
    }


def test_an_answer_is_read_into_values() -> None:
    read = read_probe_results("peer", ANSWER)["any/lan-ipv4"]
    assert read.resolved == (SERVER,)
    assert read.attempts[0].icmp == Icmp(4, 3, 0, ip_address("198.18.3.1"))
    assert read.attempts[0].local == (PEER, 40000)


@pytest.mark.parametrize(
    "answer",
    [None, {}, {"results": [{"id": "it"}]}, {"results": [{**ANSWER["results"][0], "seconds": "long"}]}],
)
def test_an_answer_of_another_form_is_an_error_that_names_the_host(answer: object) -> None:
    with pytest.raises(AgentError, match=r"^agent on peer: probe[.:]"):
        read_probe_results("peer", answer)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (CheckResult("right", ""), Outcome(Verdict.OPEN)),
        (CheckResult("wrong", ""), Outcome(Verdict.WRONG_SERVICE)),
        (CheckResult("reset", ""), Outcome(Verdict.ACCEPTED, "reset")),
        (CheckResult("closed", ""), Outcome(Verdict.ACCEPTED, "closed")),
        (CheckResult("silent", ""), Outcome(Verdict.ACCEPTED, "silent")),
    ],
)
def test_once_connected_the_check_decides(found: CheckResult, outcome: Outcome) -> None:
    assert judge(result(CONNECTED, check=found)).outcome == outcome


@pytest.mark.parametrize(
    ("errno", "outcome"),
    [
        ("ECONNREFUSED", Outcome(Verdict.REFUSED)),
        ("ETIMEDOUT", Outcome(Verdict.TIMEOUT)),
        ("EHOSTUNREACH", Outcome(Verdict.UNREACHABLE, "EHOSTUNREACH")),
        ("ENETUNREACH", Outcome(Verdict.UNREACHABLE, "ENETUNREACH")),
        ("EACCES", Outcome(Verdict.UNREACHABLE, "EACCES")),
        ("EPERM", Outcome(Verdict.UNREACHABLE, "EPERM")),
        ("ENETDOWN", Outcome(Verdict.UNREACHABLE, "ENETDOWN")),
        ("EADDRNOTAVAIL", Outcome(Verdict.UNREACHABLE, "EADDRNOTAVAIL")),
        ("EINVAL", Outcome(Verdict.UNREACHABLE, "EINVAL")),
    ],
)
def test_a_failed_connect_is_judged_by_its_errno(errno: str, outcome: Outcome) -> None:
    assert judge(result(attempt(errno))).outcome == outcome


def test_when_none_connects_the_last_attempt_decides() -> None:
    judged = judge(result(attempt("ECONNREFUSED"), attempt("ENETUNREACH")))
    assert judged.outcome == Outcome(Verdict.UNREACHABLE, "ENETUNREACH")


def test_when_one_connects_those_before_it_do_not_count() -> None:
    judged = judge(result(attempt("ECONNREFUSED"), CONNECTED, check=CheckResult("right", "")))
    assert judged.outcome == Outcome(Verdict.OPEN)


def test_a_name_that_does_not_resolve() -> None:
    judged = judge(result(resolve_error="EAI_NONAME"))
    assert judged.outcome == Outcome(Verdict.UNRESOLVED, "EAI_NONAME")
    assert judged.evidence == ("getaddrinfo: EAI_NONAME after 500.0 ms",)


@pytest.mark.parametrize("probed", [result(attempt("EMFILE")), result(), result(CONNECTED)])
def test_what_says_nothing_of_the_network_is_not_measured(probed: ProbeResult) -> None:
    judged = judge(probed)
    assert judged.outcome is None
    assert judged.not_measured


def test_evidence_of_an_answer_names_both_ends() -> None:
    found = CheckResult("right", "the answer has this run's nonce")
    assert judge(result(CONNECTED, check=found)).evidence == (
        "198.18.1.20:51234 -> 198.18.1.11:19500 connected in 0.1 ms; the answer has this run's nonce",
    )


def test_evidence_of_a_failure_names_who_said_so() -> None:
    icmp = Icmp(4, 3, 0, ip_address("198.18.3.1"))
    assert judge(result(attempt("ENETUNREACH", icmp=icmp))).evidence == (
        "connect 198.18.1.11:19500: ENETUNREACH after 0.2 ms",
        "ICMP type 3 code 0 (network unreachable) from 198.18.3.1",
    )


def test_evidence_tells_a_host_that_found_no_neighbour() -> None:
    icmp = Icmp(4, 3, 1, PEER)
    judged = judge(result(attempt("EHOSTUNREACH", icmp=icmp, local=(PEER, 51234), seconds=3.07)))
    assert judged.evidence == (
        "connect 198.18.1.11:19500: EHOSTUNREACH after 3.1 s",
        "ICMP type 3 code 1 (host unreachable) from 198.18.1.20, this host itself: no neighbour answered",
    )


def test_a_host_that_asks_a_port_of_its_own_is_not_said_to_have_looked_for_a_neighbour() -> None:
    icmp = Icmp(4, 3, 3, PEER)
    judged = judge(result(attempt("ECONNREFUSED", icmp=icmp, local=(PEER, 51234))), Protocol.UDP)
    assert judged.evidence == (
        "ask 198.18.1.11:19500: ECONNREFUSED after 0.2 ms",
        "ICMP type 3 code 3 (port unreachable) from 198.18.1.20, this host itself",
    )


def test_evidence_of_several_addresses_in_their_order() -> None:
    v6 = attempt("ECONNREFUSED", address=ip_address("::1"))
    v4 = attempt("ETIMEDOUT", address=ip_address("127.0.0.1"), timed_out=True, seconds=3.0)
    assert judge(result(v6, v4)).evidence == (
        "resolves to ::1, 127.0.0.1",
        "connect [::1]:19500: ECONNREFUSED after 0.2 ms",
        "connect 127.0.0.1:19500: no answer after 3.0 s",
    )


def test_a_question_that_no_datagram_holds_was_not_asked() -> None:
    assert judge(asked(errno="EMSGSIZE", timed_out=False), Protocol.UDP).outcome is None
    said_so = asked(errno="EMSGSIZE", timed_out=False, icmp=Icmp(4, 3, 4, PEER))
    assert judge(said_so, Protocol.UDP).outcome == Outcome(Verdict.UNREACHABLE, "EMSGSIZE")


def test_evidence_of_an_icmp_message_of_an_unknown_kind() -> None:
    judged = judge(result(attempt("EPROTO", icmp=Icmp(6, 4, 9))))
    assert judged.evidence[-1] == "ICMPv6 type 4 code 9"


@pytest.mark.parametrize(
    ("output", "errno"),
    [
        ("OSError: [Errno 99] Cannot assign requested address\n", "EADDRNOTAVAIL"),  # CPython
        ("Error: listen EADDRINUSE: address already in use 127.0.0.1:80\n", "EADDRINUSE"),  # Node.js
        ("listen tcp 198.18.9.9:80: bind: cannot assign requested address\n", "EADDRNOTAVAIL"),  # Go
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)\n", "EACCES"),
        ("java.net.BindException: Address already in use (Bind failed)\n", "EADDRINUSE"),
        ('Os { code: 98, kind: AddrInUse, message: "Address in use" }\n', "EADDRINUSE"),  # Rust on musl
        ("python: can't bind to eth7: No such device\n", "ENODEV"),
        ("warning: Permission denied\nbind: Address already in use\n", "EADDRINUSE"),
        ("[Errno -2] Name or service not known\n", ""),
        ("EADDRINUSEFUL\n", ""),
        ("", ""),
    ],
)
def test_a_failed_service_tells_its_errno_in_the_words_of_its_language(output: str, errno: str) -> None:
    assert service_failure(output) == errno


def test_an_errno_that_is_not_about_listening_is_no_reason_for_not_listening() -> None:
    assert service_failure("server: cannot read my.conf: Permission denied") == ""
    assert service_failure("nginx: bind() to 0.0.0.0:80 failed (13: Permission denied)") == "EACCES"
    raised = "    {}\n    ^^^^^^\nPermissionError: [Errno 13] Permission denied\n"
    assert service_failure(raised.format("self.socket.bind(self.server_address)")) == "EACCES"
    assert service_failure(raised.format("open(port)")) == ""


def test_what_a_host_says_can_give_a_terminal_no_orders() -> None:
    answer = {
        "results": [
            {**ANSWER["results"][0], "check": {"result": "wrong", "text": "\x1b]0;x\x07\x9b2J\ud800"}}
        ]
    }
    check = read_probe_results("peer", answer)["any/lan-ipv4"].check
    assert check is not None
    assert check.text == "\ufffd]0;x\ufffd\ufffd2J\ufffd"


# --- Datagrams ---------------------------------------------------------------------------------------------


def asked(**changed: Any) -> ProbeResult:
    fields = {"errno": "ETIMEDOUT", "timed_out": True, "peer": (SERVER, 19500), "local": (PEER, 51234)}
    return result(replace(attempt(**{**fields, **changed}), connected=False))


def test_silence_is_no_answer_and_never_open() -> None:
    judged = judge(asked(seconds=5.0), Protocol.UDP)
    assert judged.outcome == Outcome(Verdict.NO_ANSWER)
    assert judged.evidence == ("ask 198.18.1.11:19500: no answer after 5.0 s",)


def test_an_icmp_error_is_a_refusal() -> None:
    judged = judge(asked(errno="ECONNREFUSED", timed_out=False), Protocol.UDP)
    assert judged.outcome == Outcome(Verdict.REFUSED)


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        (("198.18.1.12", 19500), "198.18.1.12"),
        (("::ffff:198.18.1.12", 19500), "198.18.1.12"),
        (("fe80::1%eth0", 19500), "fe80::1"),
        (("198.18.1.11", 40000), "port"),
        (("::ffff:198.18.1.11", 40000), "port"),
    ],
)
def test_an_answer_from_elsewhere_is_a_verdict_of_its_own_and_says_from_where(
    source: tuple[str, int], detail: str
) -> None:
    came = Elsewhere((ip_address(source[0]), source[1]), "it said 'pong'")
    judged = judge(asked(errno=None, timed_out=False, elsewhere=came, seconds=0.3), Protocol.UDP)
    assert judged.outcome == Outcome(Verdict.WRONG_SOURCE, detail)
    ends = "198.18.1.20:51234 -> 198.18.1.11:19500"
    assert judged.evidence[0].startswith(f"{ends} was answered after 300.0 ms, from ")
    assert judged.evidence[0].endswith("it said 'pong'")


def test_evidence_of_an_answer_to_a_datagram_speaks_of_no_connection() -> None:
    judged = judge(result(CONNECTED, check=CheckResult("right", "it said 'pong'")), Protocol.UDP)
    assert judged.outcome == Outcome(Verdict.OPEN)
    assert "answered in" in judged.evidence[0]
