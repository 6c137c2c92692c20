"""Whole predictions for a UDP server: outcome, reason and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.model import AnswersFrom, Bind, Outcome, Protocol, Target, Transport, Verdict
from netlab.predict import predict
from tests.unit.netlab.made import OPEN, PORT, REFUSED, facts, interface, listener, route, view

if TYPE_CHECKING:
    from netlab.facts import Listener
    from netlab.model import Prediction
    from netlab.predict import View

ROUTED, DIALLED = (Transport(Protocol.UDP, answers) for answers in AnswersFrom)
NO_HOST = Outcome(Verdict.UNREACHABLE, "EHOSTUNREACH")
ANY = Bind("0.0.0.0", "server", "0.0.0.0")


def lab(*sockets: Listener, back: str | None = None) -> View:
    """Return a server on `lan` and `back`, and a peer on `lan` that sends for `back` to the server."""
    server = facts(
        interface("eth0", "198.18.1.11/24", "2001:db8:1::11/64"),
        interface("eth1", "198.18.2.11/24"),
        datagram_sockets=sockets,
        listeners=(listener("0.0.0.0", 53),),
        routes=(route("198.18.1.20/32", dev=None, kind=back),) if back else (),
    )
    peer = facts(
        interface("eth0", "198.18.1.20/24", "2001:db8:1::20/64"),
        routes=(route("198.18.2.0/24", "198.18.1.11"),),
        names={"server": "2001:db8:1::11 198.18.2.11", "both": "198.18.2.11 198.18.1.11"},
    )
    return view(server=(server, {"eth0": "lan", "eth1": "back"}), peer=(peer, {"eth0": "lan"}))


def asked(
    at: View, target: str, transport: Transport = ROUTED, vantage: str = "peer", port: int = PORT
) -> Prediction:
    return predict(at, ANY, port, vantage, Target("it", target), transport)


def elsewhere(address: str) -> Outcome:
    return Outcome(Verdict.WRONG_SOURCE, address)


@pytest.mark.parametrize(
    ("vantage", "target", "routed", "dialled"),
    [
        ("peer", "198.18.1.11", OPEN, OPEN),
        ("peer", "198.18.2.11", elsewhere("198.18.1.11"), OPEN),
        ("peer", "2001:db8:1::11", REFUSED, REFUSED),
        ("server", "127.0.0.1", OPEN, OPEN),
        ("server", "127.0.0.2", elsewhere("127.0.0.1"), OPEN),
        ("server", "198.18.2.11", OPEN, OPEN),
        # The first address refuses, and the second one answers, but not so that anybody hears it.
        ("peer", "server", elsewhere("198.18.1.11"), OPEN),
        # The first one is not heard, so the second one is asked.
        ("peer", "both", OPEN, OPEN),
        ("peer", "198.18.1.99", NO_HOST, NO_HOST),
    ],
)
def test_a_wildcard_server_is_heard_at_some_addresses_and_at_all_if_it_answers_from_them(
    vantage: str, target: str, routed: Outcome, dialled: Outcome
) -> None:
    at = lab(listener("0.0.0.0"))
    assert asked(at, target, ROUTED, vantage).outcome == routed
    assert asked(at, target, DIALLED, vantage).outcome == dialled


def test_an_answer_from_elsewhere_says_what_would_help() -> None:
    prediction = asked(lab(listener("0.0.0.0")), "198.18.2.11")
    assert prediction.reason[-1].text == (
        "the answer comes from 198.18.1.11, not from 198.18.2.11: whoever asked does not take it"
    )
    assert "udp_sendmsg" in prediction.reason[-1].rests_on
    assert prediction.remedy == (
        "bind 198.18.2.11 itself, or make the service answer from the address it is asked at (IP_PKTINFO), "
        "or dial 198.18.1.11"
    )


def test_a_socket_on_the_very_address_answers_from_it() -> None:
    assert asked(lab(listener("198.18.2.11")), "198.18.2.11").outcome == OPEN


def test_a_link_local_neighbour_that_does_not_answer_is_told_of_by_udp_and_not_by_tcp() -> None:
    alone = facts(interface("eth0", "fe80::20/64"), listeners=(listener("0.0.0.0"),))
    at = view(server=(alone, {"eth0": "lan"}), peer=(alone, {"eth0": "lan"}))
    assert asked(at, "fe80::9%eth0").outcome == NO_HOST
    by_tcp = predict(at, ANY, PORT, "peer", Target("it", "fe80::9%eth0"))
    assert by_tcp.outcome == Outcome(Verdict.TIMEOUT)


def test_a_tcp_socket_takes_no_datagram_and_a_udp_socket_no_connection() -> None:
    assert asked(lab(listener("0.0.0.0", 80)), "198.18.1.11", port=53).outcome == REFUSED
    by_tcp = predict(lab(listener("0.0.0.0", 80)), ANY, 80, "peer", Target("it", "198.18.1.11"))
    assert by_tcp.outcome == REFUSED


def test_nobody_is_told_by_icmp_and_the_remedy_is_that_of_tcp() -> None:
    prediction = asked(lab(listener("127.0.0.1")), "198.18.1.11")
    assert prediction.reason[-1].text == "no socket: ICMP port unreachable"
    assert prediction.reason[-1].rests_on == "RFC 1122, 4.1.3.1"
    assert prediction.remedy == "bind 0.0.0.0 or 198.18.1.11"


@pytest.mark.parametrize("sockets", [(), (listener("0.0.0.0"),)])
def test_what_has_no_way_back_is_silence_and_never_open(sockets: tuple[Listener, ...]) -> None:
    prediction = asked(lab(*sockets, back="blackhole"), "198.18.1.11")
    assert prediction.outcome == Outcome(Verdict.NO_ANSWER)
    assert prediction.remedy == "give server a way back to 198.18.1.20"


def test_a_bound_device_outweighs_the_family_as_it_does_not_in_tcp() -> None:
    on_device, plain = listener("::", device="eth0"), listener("0.0.0.0")
    steps = [step.text for step in asked(lab(plain, on_device), "198.18.1.11").reason]
    assert f"[::]:{PORT} (IPv4 too) on eth0 takes it" in steps
