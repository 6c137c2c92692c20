"""The agent starts services, and takes them along when it ends."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from netlab.facts import Listener
from netlab.session import AgentSession

if TYPE_CHECKING:
    from netlab.backends import Lab
from tests.netns.agent.sessions import PORT, facts_of, start_hftp


def test_a_service_is_ready_when_serve_answers(lab: Lab, server: AgentSession) -> None:
    answer = start_hftp(server, lab, "198.18.1.11")
    assert answer["listening"]
    assert answer["exit_code"] is None
    listeners = [listener for listener in facts_of(server).listeners if listener.port == PORT]
    assert listeners == [Listener(ip_address("198.18.1.11"), PORT)]


def test_a_service_that_cannot_bind_says_why(lab: Lab, server: AgentSession) -> None:
    answer = start_hftp(server, lab, "198.18.9.9")
    assert not answer["listening"]
    assert answer["exit_code"] not in (None, 0)
    assert "Cannot assign requested address" in answer["output"]


def test_the_next_service_takes_the_place_of_the_one_before(lab: Lab, server: AgentSession) -> None:
    assert start_hftp(server, lab, "127.0.0.1")["listening"]
    assert start_hftp(server, lab, "198.18.1.11")["listening"]
    addresses = [listener.address for listener in facts_of(server).listeners if listener.port == PORT]
    assert addresses == [ip_address("198.18.1.11")]


def test_a_session_that_ends_takes_the_service_along(lab: Lab) -> None:
    with AgentSession(lab, "server") as session:
        assert start_hftp(session, lab, "0.0.0.0")["listening"]
    with AgentSession(lab, "server") as session:
        assert [listener for listener in facts_of(session).listeners if listener.port == PORT] == []
