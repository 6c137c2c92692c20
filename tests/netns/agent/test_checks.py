"""The agent's checks against real servers in real namespaces."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from netlab.checks import Check, Http, SendExpect, Tls
from netlab.model import Outcome, Verdict
from netlab.session import AgentSession
from tests.certificates import Authority
from tests.netns.agent.sessions import dial_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab
    from netlab.model import Observation

SERVER = "198.18.1.11"
OURS, THEIRS = Authority("ours"), Authority("theirs")
NAME = "www.example.test"

# What each port says to whoever has said something, over TLS if it has a certificate.
GOOD = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nit works"
SERVERS: dict[int, dict[str, Any]] = {
    20000: {"pem": OURS.sign(NAME, SERVER), "says": GOOD},
    20001: {"pem": OURS.sign(NAME, since_days=-9, until_days=-1), "says": GOOD},
    20002: {"pem": THEIRS.sign(NAME), "says": GOOD},
    20003: {"pem": "", "says": GOOD},
    20004: {"pem": "", "says": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
    20005: {"pem": "", "says": "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/\r\n\r\n"},
    20006: {
        "pem": "",
        "says": "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nit \r\n5;x=y\r\nworks\r\n0\r\n\r\n",
    },
    20007: {"pem": "", "says": "HTTP/1.0 200 OK\r\n\r\nit wor"},
    20008: {"pem": "", "says": "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nit wor"},
    20009: {"pem": "", "says": "HTTP/1.1 200 OK\r\n\r\n" + "a" * 100_000},
    20010: {"pem": "", "says": "+PONG\r\n"},
    20011: {"pem": "", "says": "-DENIED\r\n"},
    20012: {"pem": "", "says": ""},
}
PROGRAM = """
import json, os, socket, ssl, sys, threading, time

def attend(client, pem, says):
    with client:
        try:
            if pem:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(pem)
                client = context.wrap_socket(client, server_side=True)
            client.recv(1000)
            client.sendall(says.encode())
            if pem:
                client.unwrap()
        except OSError:
            pass

def loop(listener, pem, says):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=attend, args=(client, pem, says), daemon=True).start()

for port, server in json.loads(sys.stdin.readline()).items():
    pem = ""
    if server["pem"]:
        pem = f"/dev/shm/{port}.pem"
        with open(pem, "x") as file:
            file.write(server["pem"])
    listener = socket.create_server(("0.0.0.0", int(port)))
    threading.Thread(target=loop, args=(listener, pem, server["says"]), daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def servers(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    program = PROGRAM.replace("/dev/shm", str(tmp_path_factory.mktemp("certificates")))
    with closing(lab.spawn("server", [lab.python("server"), "-c", program])) as channel:
        channel.send(json.dumps(SERVERS).encode() + b"\n")
        assert channel.readline(20) == b"ready\n", channel.diagnostics()
        yield


def dial(session: AgentSession, port: int, check: Check, timeout_s: float = 1) -> Observation:
    return dial_one(session, SERVER, port, check, timeout_s)[0]


TRUSTED = Tls(NAME, OURS.pem)
RIGHT: list[tuple[int, Check, str]] = [
    (20000, TRUSTED, f"a certificate for {NAME}, {SERVER}, "),
    (20000, Tls(ca=OURS.pem), f"a certificate for {NAME}, {SERVER}, "),
    (20000, Tls(NAME, verify=False), f"a certificate for {NAME}, {SERVER}, "),
    (20000, Http(body="works", tls=TRUSTED), "HTTP 200 to GET /, with 'works' in it; TLSv1."),
    (20002, Tls(NAME, verify=False), f"a certificate for {NAME}, "),
    (20003, Http("/health", body="works"), "HTTP 200 to GET /health, with 'works' in it"),
    (20004, Http(status=("200", "4xx")), "HTTP 404 to GET /"),
    (20005, Http(status=("3xx",)), "HTTP 302 to GET /"),
    (20006, Http(body="it works"), "HTTP 200 to GET /, with 'it works' in it"),
    (20007, Http(body="it wor"), "with 'it wor' in it"),
    (20008, Http(), "HTTP 200 to GET /"),
    (20010, SendExpect(b"PING\r\n", b"PONG"), r"it said '+PONG\r\n'"),
]


@pytest.mark.parametrize(("port", "check", "said"), RIGHT)
def test_the_right_server_is_open(
    peer: AgentSession, servers: None, port: int, check: Check, said: str
) -> None:
    observation = dial(peer, port, check)
    assert observation.outcome == Outcome(Verdict.OPEN), observation.evidence
    assert said in observation.evidence[-1]


WRONG: list[tuple[int, Check, str]] = [
    (20000, Tls("other.test", OURS.pem), "; TLSv1.3, a certificate for"),
    (20000, Tls("other.test", OURS.pem), ": not for 'other.test'"),
    (20000, Tls("other.test", verify=False), ": not for 'other.test'"),
    (20000, Tls(NAME, OURS.pem, days=31), ": expires in less than 31 days"),
    (20000, Http(tls=Tls(NAME, THEIRS.pem)), ": not trusted (unable to get local issuer certificate)"),
    (20001, TRUSTED, ": expired"),
    (20001, Tls("other.test", verify=False), ": not for 'other.test'; expired"),
    (
        20002,
        Tls("other.test", OURS.pem, days=31),
        ": not for 'other.test'; expires in less than 31 days; not tr",
    ),
    (20003, TRUSTED, r"; not TLS: it said 'HTTP/1.1 200 OK\r\n"),
    (20004, Http("/health"), "; HTTP 404 to GET /health, expected 200"),
    (20005, Http(), "; HTTP 302 to GET / (to 'https://elsewhere.test/'), expected 200"),
    (20006, Http(body="fails"), "; HTTP 200 to GET / without 'fails' in it: it begins 'it works'"),
    (20007, Http(body="it works"), "; HTTP 200 to GET / without 'it works' in it: it begins 'it wor'"),
    (20009, Http(body="b"), "; more than 65536 bytes came"),
    (20010, Http(), r"; not an HTTP server: it said '+PONG\r\n'"),
    (20011, SendExpect(b"PING\r\n", b"PONG"), r"; it said '-DENIED\r\n', expected 'PONG'"),
]


@pytest.mark.parametrize(("port", "check", "said"), WRONG)
def test_another_server_is_the_wrong_service_and_the_evidence_says_why(
    peer: AgentSession, servers: None, port: int, check: Check, said: str
) -> None:
    observation = dial(peer, port, check)
    assert observation.outcome == Outcome(Verdict.WRONG_SERVICE), observation.evidence
    assert said in observation.evidence[-1]


def test_a_connection_that_ends_before_the_answer_does_was_accepted_only(
    peer: AgentSession, servers: None
) -> None:
    assert dial(peer, 20008, Http(body="it works")).outcome == Outcome(Verdict.ACCEPTED, "closed")
    assert dial(peer, 20012, Http()).outcome == Outcome(Verdict.ACCEPTED, "closed")
    assert dial(peer, 20012, TRUSTED).outcome == Outcome(Verdict.ACCEPTED, "closed")
    assert dial(peer, 20000, Http(), 0.3).outcome != Outcome(Verdict.OPEN)


def test_a_nonce_tells_one_web_server_from_another(lab: Lab, peer: AgentSession) -> None:
    argv = [lab.python("server"), "-m", "http.server", "--bind", SERVER, "--directory", "{data}", "8080"]
    with AgentSession(lab, "server") as server:
        fields = {"argv": argv, "files": {"netlab-nonce": "0f1e"}, "port": 8080, "timeout_s": 10}
        assert server.call("serve", fields, timeout_s=20)["listening"]
        assert dial(peer, 8080, Http("/netlab-nonce", body="0f1e")).outcome == Outcome(Verdict.OPEN)
        other = dial(peer, 8080, Http("/netlab-nonce", body="2d3c"))
        assert other.outcome == Outcome(Verdict.WRONG_SERVICE)
        assert other.evidence[-1].endswith(
            "HTTP 200 to GET /netlab-nonce without '2d3c' in it: it begins '0f1e'"
        )
