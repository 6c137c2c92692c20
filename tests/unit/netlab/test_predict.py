"""Whole predictions: from what is bound and what is dialled to an outcome, its reason and its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.model import Bind, Outcome, Target, Verdict
from netlab.predict import predict
from tests.unit.netlab.made import OPEN, PORT, REFUSED, facts, interface, listener, route, view

if TYPE_CHECKING:
    from netlab.facts import Listener
    from netlab.model import Prediction

UNREACHABLE = Outcome(Verdict.UNREACHABLE, "EINVAL")


def dialled(
    bind: Bind, *sockets: Listener, vantage: str = "peer", target: str, port: int = PORT
) -> Prediction:
    """Predict a dial to a server on `lan` and `back`, from a peer on `lan`."""
    names = {"server": "2001:db8:1::11 198.18.1.11", "localhost": "::1 127.0.0.1", "gone": ""}
    server = facts(
        interface("eth0", "198.18.1.11/24", "2001:db8:1::11/64", "fe80::11/64"),
        interface("eth1", "198.18.2.11/24"),
        listeners=sockets,
        names={**names, "server": "127.0.1.1"},
    )
    peer = facts(
        interface("eth0", "198.18.1.20/24", "2001:db8:1::20/64", "fe80::20/64"),
        routes=(route("198.18.2.0/24", "198.18.1.11"),),
        names=names,
        listeners=(listener("127.0.0.1", 80),),
    )
    lab = view(server=(server, {"eth0": "lan", "eth1": "back"}), peer=(peer, {"eth0": "lan"}))
    return predict(lab, bind, port, vantage, Target("it", target))


ANY = Bind("0.0.0.0", "server", "0.0.0.0")
LOOPBACK = Bind("127.0.0.1", "server", "127.0.0.1")
DEVICE = Bind("device", "server", "0.0.0.0", device="eth1")


@pytest.mark.parametrize(
    ("bind", "socket", "vantage", "target", "outcome"),
    [
        (ANY, listener("0.0.0.0"), "peer", "198.18.1.11", OPEN),
        (ANY, listener("0.0.0.0"), "peer", "server", OPEN),  # the second address
        (ANY, listener("0.0.0.0"), "peer", "2001:db8:1::11", REFUSED),
        (ANY, listener("0.0.0.0"), "peer", "198.18.2.11", OPEN),
        (ANY, listener("0.0.0.0"), "peer", "127.0.0.1", REFUSED),
        (ANY, listener("0.0.0.0"), "server", "0.0.0.0", OPEN),
        (ANY, listener("0.0.0.0"), "server", "server", OPEN),
        (ANY, listener("0.0.0.0"), "server", "::", REFUSED),
        (ANY, listener("0.0.0.0"), "peer", "::ffff:198.18.1.11", OPEN),
        (ANY, listener("0.0.0.0"), "peer", "gone", Outcome(Verdict.UNRESOLVED, "EAI_NONAME")),
        (ANY, listener("0.0.0.0"), "peer", "never", Outcome(Verdict.UNRESOLVED, "EAI_NONAME")),
        (LOOPBACK, listener("127.0.0.1"), "server", "localhost", OPEN),
        (LOOPBACK, listener("127.0.0.1"), "server", "198.18.1.11", REFUSED),
        (LOOPBACK, listener("127.0.0.1"), "peer", "198.18.1.11", REFUSED),
        (DEVICE, listener("0.0.0.0", device="eth1"), "server", "198.18.2.11", OPEN),
        (DEVICE, listener("0.0.0.0", device="eth1"), "server", "198.18.1.11", REFUSED),
        (DEVICE, listener("0.0.0.0", device="eth1"), "peer", "198.18.2.11", REFUSED),
        (Bind("::", "server", "::"), listener("::"), "peer", "198.18.1.11", OPEN),
        (Bind("::", "server", "::"), listener("::"), "peer", "fe80::11%eth0", OPEN),
        (Bind("::", "server", "::"), listener("::"), "peer", "fe80::11", UNREACHABLE),
        (
            Bind("::", "server", "::", v6only=True),
            listener("::", v6only=True),
            "peer",
            "198.18.1.11",
            REFUSED,
        ),
    ],
)
def test_a_dial_comes_out(bind: Bind, socket: Listener, vantage: str, target: str, outcome: Outcome) -> None:
    assert dialled(bind, socket, vantage=vantage, target=target).outcome == outcome


def test_what_another_host_answers_is_another_service() -> None:
    prediction = dialled(ANY, listener("0.0.0.0", 80), target="127.0.0.1", port=80)
    assert prediction.outcome == Outcome(Verdict.WRONG_SERVICE)
    assert prediction.remedy == "dial an address of server (198.18.1.11, 2001:db8:1::11, 198.18.2.11)"
    assert prediction.reason[-1].text == "not the service on server"


@pytest.mark.parametrize(
    ("bind", "socket", "target", "remedy"),
    [
        (LOOPBACK, listener("127.0.0.1"), "198.18.1.11", "bind 0.0.0.0 or 198.18.1.11"),
        (LOOPBACK, listener("127.0.0.1"), "2001:db8:1::11", "bind :: or 2001:db8:1::11"),
        (
            DEVICE,
            listener("0.0.0.0", device="eth1"),
            "198.18.1.11",
            "bind 0.0.0.0 or 198.18.1.11, and not to the device eth1",
        ),
        (
            LOOPBACK,
            listener("127.0.0.1"),
            "127.0.0.1",
            "127.0.0.1 is peer itself: dial an address of server (198.18.1.11, 2001:db8:1::11, 198.18.2.11)",
        ),
        (
            LOOPBACK,
            listener("127.0.0.1"),
            "198.18.1.250",
            "198.18.1.250 is no address of server: "
            "dial an address of server (198.18.1.11, 2001:db8:1::11, 198.18.2.11)",
        ),
        (
            LOOPBACK,
            listener("0.0.0.0", 8080),
            "198.18.1.11",
            "start the service: nothing listens on port 19500 of server "
            "(there is 0.0.0.0:8080: is that its port?)",
        ),
        (
            Bind("both", "server", "::", v6only=True),
            listener("::", v6only=True),
            "198.18.1.11",
            "bind 0.0.0.0 or 198.18.1.11, or :: without v6only",
        ),
        (ANY, listener("0.0.0.0"), "198.18.1.11", ""),
    ],
)
def test_what_is_not_open_has_a_remedy(bind: Bind, socket: Listener, target: str, remedy: str) -> None:
    assert dialled(bind, socket, target=target).remedy == remedy


def test_a_service_that_cannot_listen_is_not_bound_whatever_is_dialled() -> None:
    elsewhere = Bind("not-ours", "server", "198.18.1.250")
    prediction = dialled(elsewhere, target="gone")
    assert prediction.outcome == Outcome(Verdict.NOT_BOUND, "EADDRNOTAVAIL")
    assert [step.kind for step in prediction.reason] == ["bind"]


def test_the_reason_begins_with_what_listens_and_ends_with_the_answer() -> None:
    prediction = dialled(LOOPBACK, listener("127.0.0.1"), target="server")
    assert [(step.kind, step.host) for step in prediction.reason] == [
        ("bind", "server"),
        ("resolve", "peer"),
        *(("route", "peer"), ("delivery", "server"), ("listener", "server"), ("answer", "server")),
        *(("route", "peer"), ("delivery", "server"), ("listener", "server"), ("answer", "server")),
    ]
    assert prediction.reason[1].text == "server is 2001:db8:1::11, then 198.18.1.11"
    assert prediction.reason[-2].text == (
        "no socket for 198.18.1.11:19500 by eth0 (listening: 127.0.0.1:19500)"
    )


def test_an_answer_that_is_lost_says_where() -> None:
    server = facts(interface("eth0", "198.18.3.11/24"), listeners=(listener("0.0.0.0"),))
    router = facts(interface("eth0", "198.18.1.1/24"), interface("eth1", "198.18.3.1/24"), forwards=True)
    peer = facts(interface("eth0", "198.18.1.20/24"), routes=(route("0.0.0.0/0", "198.18.1.1"),))
    lab = view(
        server=(server, {"eth0": "far"}),
        router=(router, {"eth0": "lan", "eth1": "far"}),
        peer=(peer, {"eth0": "lan"}),
    )
    prediction = predict(lab, ANY, PORT, "peer", Target("it", "198.18.3.11"))
    assert prediction.outcome == Outcome(Verdict.TIMEOUT)
    assert prediction.reason[-1].text == (
        "the answer to 198.18.1.20 is lost on server: no route to 198.18.1.20"
    )
    assert prediction.remedy == "give server a way back to 198.18.1.20"


def test_an_ipv6_connection_that_hears_nothing_tries_the_route_of_its_source() -> None:
    from tests.unit.netlab.made import rule

    peer = facts(
        interface("eth0", "2001:db8:1::20/64"),
        routes=(
            route("2001:db8:3::/64", "2001:db8:1::7"),
            route("2001:db8:3::/64", "2001:db8:1::1", table=100),
        ),
        rules=(
            *(rule(6, 0, 255), rule(6, 10, 100, src="2001:db8:1::20/128"), rule(6, 32766, 254)),
            *(rule(4, 0, 255), rule(4, 32766, 254)),
        ),
    )
    silent = facts(interface("eth0", "2001:db8:1::7/64"), routes=(route("::/0", "2001:db8:1::9"),))
    router = facts(
        interface("eth0", "2001:db8:1::1/64"), interface("eth1", "2001:db8:3::1/64"), forwards=True
    )
    server = facts(
        interface("eth0", "2001:db8:3::11/64"),
        routes=(route("::/0", "2001:db8:3::1"),),
        listeners=(listener("::"),),
    )
    lab = view(
        server=(server, {"eth0": "far"}),
        router=(router, {"eth0": "lan", "eth1": "far"}),
        silent=(silent, {"eth0": "lan"}),
        peer=(peer, {"eth0": "lan"}),
    )
    prediction = predict(lab, Bind("::", "server", "::"), PORT, "peer", Target("it", "2001:db8:3::11"))
    assert prediction.outcome == OPEN
    assert any("looked up again, now from 2001:db8:1::20" in step.text for step in prediction.reason)


def test_the_answer_to_a_link_local_address_leaves_where_the_call_came_in() -> None:
    server = facts(
        interface("eth0", "fe80::1/64"), interface("eth1", "fe80::2/64"), listeners=(listener("::"),)
    )
    peer = facts(interface("eth0", "fe80::20/64"))
    lab = view(server=(server, {"eth0": "other", "eth1": "lan"}), peer=(peer, {"eth0": "lan"}))
    prediction = predict(lab, Bind("::", "server", "::"), PORT, "peer", Target("it", "fe80::2%eth0"))
    assert prediction.outcome == OPEN


def test_to_a_link_local_neighbour_that_is_not_there_nobody_says_so() -> None:
    peer = facts(interface("eth0", "fe80::20/64"))
    lab = view(peer=(peer, {"eth0": "lan"}))
    prediction = predict(lab, Bind("::", "peer", "::"), PORT, "peer", Target("it", "fe80::9%eth0"))
    assert prediction.outcome == Outcome(Verdict.TIMEOUT)


def test_a_socket_bound_to_an_interface_answers_by_no_other() -> None:
    server = facts(
        interface("eth0", "198.18.1.11/24"),
        interface("eth1", "198.18.2.11/24"),
        listeners=(listener("0.0.0.0", device="eth1"),),
    )
    peer = facts(
        interface("eth0", "198.18.1.20/24"),
        interface("eth1", "198.18.2.20/24"),
        routes=(route("198.18.2.11/32", dev="eth1", src="198.18.1.20"),),
        sysctls={"net.ipv4.conf.eth1.arp_ignore": "1"},
    )
    lab = view(server=(server, {"eth0": "lan", "eth1": "back"}), peer=(peer, {"eth0": "lan", "eth1": "back"}))
    # By the routes the answer would leave by eth0; it leaves by eth1, to whom asked by ARP there.
    prediction = predict(lab, DEVICE, PORT, "peer", Target("it", "198.18.2.11"))
    assert prediction.outcome == OPEN
    far = facts(
        interface("eth0", "198.18.1.20/24"),
        routes=(route("198.18.2.11/32", "198.18.1.1"),),
    )
    router = facts(interface("eth0", "198.18.1.1/24"), interface("eth1", "198.18.2.1/24"), forwards=True)
    lab = view(
        server=(server, {"eth0": "lan", "eth1": "back"}),
        peer=(far, {"eth0": "lan"}),
        router=(router, {"eth0": "lan", "eth1": "back"}),
    )
    prediction = predict(lab, DEVICE, PORT, "peer", Target("it", "198.18.2.11"))
    assert prediction.outcome == Outcome(Verdict.TIMEOUT)
    assert prediction.reason[-1].text == (
        "the answer to 198.18.1.20 is lost on server: nobody on eth1 answers for 198.18.1.20"
    )
