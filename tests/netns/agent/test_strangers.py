"""The agent dials what accepts and is not the service, each in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.checks import Banner, Check, Tcp
from netlab.judging import judge
from netlab.model import Outcome, Verdict
from netlab.probes import Probe
from netlab.session import AgentSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab
from tests.netns.agent.sessions import HFTP, dial, dial_one, running

# Each port's server does one thing to whoever connects.
STRANGER_PORTS = {
    "reset": 19700,
    "read_and_reset": 19701,
    "close": 19702,
    "read_and_close": 19703,
    "close_halfway": 19704,
    "silent": 19705,
    "greet": 19706,
    "prompt": 19707,
    "http": 19708,
    "number": 19709,
    "flood": 19710,
    "endless_line": 19711,
    "endless_code": 19712,
}
STRANGERS = (
    f"PORTS = {STRANGER_PORTS}"
    + """
import socket, struct, threading, time

def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

def read_and_reset(client):
    client.recv(100)
    reset(client)

def close(client):
    client.close()

def read_and_close(client):
    client.recv(100)
    client.close()

def close_halfway(client):
    client.recv(100)
    client.sendall(b"0 OK\\r\\nnetlab-nonce\\r\\n")
    client.close()

def silent(client):
    time.sleep(30)

def greet(client):
    client.sendall(b"SSH-2.0-Stranger_1.0\\r\\n")
    time.sleep(30)

def prompt(client):
    client.sendall(b"login: ")
    time.sleep(30)

def http(client):
    client.recv(1000)
    client.sendall(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
    client.close()

def number(client):
    client.sendall(b"220 mail.example ESMTP\\r\\n")
    time.sleep(30)

def flood(client):
    client.sendall(b"0 OK\\r\\n" + b"a-file\\r\\n" * 20000)
    time.sleep(30)

def endless_line(client):
    client.sendall(b"0 " + b"a" * 200000)
    time.sleep(30)

def endless_code(client):
    client.sendall(b"9" * 10000 + b"\\r\\n")
    time.sleep(30)

def serve(port, treat):
    listener = socket.create_server(("0.0.0.0", port), backlog=300)
    def loop():
        kept = []
        while True:
            client, _ = listener.accept()
            kept.append(client)
            threading.Thread(target=attend, args=(treat, client), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()

def attend(treat, client):
    try:
        treat(client)
    except OSError:
        pass

for name, port in PORTS.items():
    serve(port, globals()[name])
print("ready", flush=True)
time.sleep(60)
"""
)


@pytest.fixture(scope="module")
def strangers(lab: Lab) -> Iterator[None]:
    with running(lab, "server", STRANGERS):
        yield


@pytest.mark.parametrize(
    ("stranger", "outcome"),
    [
        ("reset", Outcome(Verdict.ACCEPTED, "reset")),
        ("read_and_reset", Outcome(Verdict.ACCEPTED, "reset")),
        ("read_and_close", Outcome(Verdict.ACCEPTED, "closed")),
        ("close_halfway", Outcome(Verdict.ACCEPTED, "closed")),
        ("silent", Outcome(Verdict.ACCEPTED, "silent")),
        ("greet", Outcome(Verdict.WRONG_SERVICE)),
        ("prompt", Outcome(Verdict.WRONG_SERVICE)),
        ("http", Outcome(Verdict.WRONG_SERVICE)),
        ("number", Outcome(Verdict.WRONG_SERVICE)),
        ("flood", Outcome(Verdict.WRONG_SERVICE)),
        ("endless_line", Outcome(Verdict.WRONG_SERVICE)),
        ("endless_code", Outcome(Verdict.WRONG_SERVICE)),
    ],
)
def test_what_accepts_and_is_not_the_service(
    peer: AgentSession, strangers: None, stranger: str, outcome: Outcome
) -> None:
    observation, _ = dial_one(peer, "198.18.1.11", STRANGER_PORTS[stranger], timeout_s=1)
    assert observation.outcome == outcome, observation.evidence


def test_closed_at_once_is_closed_or_reset(peer: AgentSession, strangers: None) -> None:
    # What we send after the other end's close is answered with a reset: which one is seen first is a race.
    observation, _ = dial_one(peer, "198.18.1.11", STRANGER_PORTS["close"])
    assert observation.outcome in (Outcome(Verdict.ACCEPTED, "closed"), Outcome(Verdict.ACCEPTED, "reset"))


def test_a_reset_at_once_is_never_taken_for_a_refusal(peer: AgentSession, strangers: None) -> None:
    port = STRANGER_PORTS["reset"]
    results = dial(peer, *(Probe(str(number), "198.18.1.11", port, HFTP) for number in range(200)))
    outcomes = {judge(result).outcome for result in results.values()}
    assert outcomes == {Outcome(Verdict.ACCEPTED, "reset")}


@pytest.mark.parametrize(
    ("stranger", "check", "verdict"),
    [
        ("greet", Banner("SSH-2.0"), Verdict.OPEN),
        ("greet", Banner("ESMTP"), Verdict.WRONG_SERVICE),
        ("number", Banner("ESMTP"), Verdict.OPEN),
        ("silent", Banner("SSH"), Verdict.ACCEPTED),
        ("close", Banner("SSH"), Verdict.ACCEPTED),
        ("silent", Tcp(), Verdict.OPEN),
    ],
)
def test_other_checks(
    peer: AgentSession, strangers: None, stranger: str, check: Check, verdict: Verdict
) -> None:
    observation, _ = dial_one(peer, "198.18.1.11", STRANGER_PORTS[stranger], check, timeout_s=0.5)
    assert observation.outcome is not None
    assert observation.outcome.verdict is verdict, observation.evidence
