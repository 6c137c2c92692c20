"""Which listening socket takes a connection, on sockets made by hand."""

from __future__ import annotations

import pytest

from netlab.facts import Listener
from netlab.predict.listeners import candidates, find_listener
from tests.unit.netlab.made import PORT, ip, listener

ANY4 = listener("0.0.0.0")
ANY4_ETH1 = listener("0.0.0.0", device="eth1")
DUAL = listener("::")
DUAL_ETH1 = listener("::", device="eth1")
ONLY6 = listener("::", v6only=True)
LOOP4, LOOP6 = listener("127.0.0.1"), listener("::1", v6only=True)
LAN4, LAN6 = listener("198.18.1.11"), listener("2001:db8:1::11", v6only=True)
LAN4_ETH1 = listener("198.18.1.11", device="eth1")
MAPPED, MAPPED_ANY = listener("::ffff:198.18.1.11"), listener("::ffff:0.0.0.0")


@pytest.mark.parametrize(
    ("sockets", "destination", "device", "expected"),
    [
        ((), "198.18.1.11", "eth0", None),
        ((ANY4,), "198.18.1.11", "eth0", ANY4),
        ((ANY4,), "127.0.0.2", "lo", ANY4),
        ((ANY4,), "2001:db8:1::11", "eth0", None),
        ((LOOP4,), "127.0.0.1", "lo", LOOP4),
        ((LOOP4,), "127.0.0.2", "lo", None),
        ((LOOP4,), "198.18.1.11", "eth0", None),
        ((LOOP4,), "::1", "lo", None),
        ((LAN4,), "198.18.1.11", "eth1", LAN4),  # by whatever interface
        ((DUAL,), "198.18.1.11", "eth0", DUAL),
        ((DUAL,), "2001:db8:1::11", "eth0", DUAL),
        ((ONLY6,), "198.18.1.11", "eth0", None),
        ((ONLY6,), "2001:db8:1::11", "eth0", ONLY6),
        ((MAPPED,), "198.18.1.11", "eth0", MAPPED),
        ((MAPPED_ANY,), "198.18.1.11", "eth0", MAPPED_ANY),
        ((MAPPED_ANY,), "2001:db8:1::11", "eth0", None),
        # The very address before the wildcard, whatever the score.
        ((ANY4_ETH1, LAN4), "198.18.1.11", "eth1", LAN4),
        ((DUAL, LAN6), "2001:db8:1::11", "eth0", LAN6),
        ((DUAL, LAN6), "2001:db8:2::11", "eth1", DUAL),
        ((DUAL_ETH1, MAPPED), "198.18.1.11", "eth1", MAPPED),
        # Among equals: the interface, and being IPv4, count one each.
        ((ANY4, ANY4_ETH1), "198.18.1.11", "eth1", ANY4_ETH1),
        ((ANY4_ETH1, ANY4), "198.18.1.11", "eth0", ANY4),
        ((DUAL, ANY4), "198.18.1.11", "eth0", ANY4),
        ((ANY4, ONLY6), "2001:db8:1::11", "eth0", ONLY6),
        ((LAN4, LAN4_ETH1), "198.18.1.11", "eth1", LAN4_ETH1),
        ((MAPPED, LAN4), "198.18.1.11", "eth0", LAN4),
        # A socket that is bound to an interface hears nothing else.
        ((ANY4_ETH1,), "198.18.1.11", "eth0", None),
        ((ANY4_ETH1,), "198.18.2.11", "eth1", ANY4_ETH1),
    ],
)
def test_a_connection_goes_to(
    sockets: tuple[Listener, ...], destination: str, device: str, expected: Listener | None
) -> None:
    assert find_listener(sockets, ip(destination), PORT, device) == expected
    assert find_listener(sockets[::-1], ip(destination), PORT, device) == expected


def test_another_port_is_another_socket() -> None:
    assert find_listener((ANY4,), ip("198.18.1.11"), PORT + 1, "eth0") is None


def test_the_score_decides_only_among_those_that_hear_it() -> None:
    able = candidates((ANY4, DUAL, ONLY6, LOOP4, ANY4_ETH1), ip("198.18.1.11"), PORT, "eth0")
    assert able == [ANY4, DUAL]
