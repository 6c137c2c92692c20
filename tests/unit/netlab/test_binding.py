"""Whether a service can listen where it is told to, and how sockets are written."""

from __future__ import annotations

import pytest

from netlab.model import Bind
from netlab.predict.binding import cannot_bind, describe, describe_all
from tests.unit.netlab.made import PORT, facts, interface, listener

HOST = facts(
    interface("eth0", "198.18.1.11/24", "2001:db8:1::11/64", "fe80::1/64"),
    interface("eth1", "198.18.2.11/24", "fe80::2/64"),
    names={"localhost": "::1 127.0.0.1", "me": "127.0.1.1", "them": "198.18.1.20", "nobody": ""},
)


def errno(address: str, device: str | None = None, sysctls: dict[str, str] | None = None) -> str | None:
    host = facts(*HOST.interfaces, sysctls=sysctls, names={"them": "198.18.1.20"}) if sysctls else HOST
    failure = cannot_bind(host, Bind("it", "host", address, device=device), PORT)
    return failure.outcome.detail if failure else None


@pytest.mark.parametrize(
    ("address", "device", "expected"),
    [
        ("0.0.0.0", None, None),
        ("::", None, None),
        ("::ffff:0.0.0.0", None, None),
        ("127.0.0.2", None, None),
        ("198.18.1.11", None, None),
        ("198.18.1.11", "eth1", None),  # IPv4 does not ask whose address it is
        ("198.18.1.250", None, "EADDRNOTAVAIL"),
        ("198.18.1.255", None, None),  # a broadcast address is bound, and never called
        ("255.255.255.255", None, None),
        ("224.0.0.9", None, None),
        ("ff02::9", None, "EINVAL"),
        ("::ffff:198.18.1.11", None, None),
        ("::ffff:198.18.1.250", None, "EADDRNOTAVAIL"),
        ("2001:db8:1::11", "eth1", None),
        ("2001:db8:1::12", None, "EADDRNOTAVAIL"),
        ("::1", "eth0", "EADDRNOTAVAIL"),
        ("::1", "lo", None),
        ("fe80::1", None, "EINVAL"),
        ("fe80::1%eth0", None, None),
        ("fe80::1%eth1", None, "EADDRNOTAVAIL"),
        ("fe80::1", "eth0", None),
        ("0.0.0.0", "eth9", "ENODEV"),
        ("localhost", None, None),
        ("me", None, None),
        ("them", None, "EADDRNOTAVAIL"),
        ("nobody", None, "EAI_NONAME"),
        ("never-asked", None, "EAI_NONAME"),
    ],
)
def test_bind_is_predicted(address: str, device: str | None, expected: str | None) -> None:
    assert errno(address, device) == expected


def test_a_host_may_let_programs_bind_what_it_does_not_have() -> None:
    assert errno("198.18.1.250", sysctls={"net.ipv4.ip_nonlocal_bind": "1"}) is None
    assert errno("2001:db8::9", sysctls={"net.ipv4.ip_nonlocal_bind": "1"}) == "EADDRNOTAVAIL"


def test_the_reason_says_what_the_host_has_instead() -> None:
    failure = cannot_bind(HOST, Bind("it", "host", "198.18.1.250"), PORT)
    assert failure is not None
    (step,) = failure.reason
    assert step.text == (
        "198.18.1.250 is no address of this host, which has 127.0.0.1, 198.18.1.11, 198.18.2.11"
    )
    assert step.rests_on == "addresses of host; bind(2), EADDRNOTAVAIL"
    assert failure.remedy == "bind 0.0.0.0, the wildcard, or 198.18.1.11 or 198.18.2.11"


def test_sockets_are_written_as_people_write_them() -> None:
    assert describe(listener("127.0.0.1")) == "127.0.0.1:19500"
    assert describe(listener("::")) == "[::]:19500 (IPv4 too)"
    assert describe(listener("::", v6only=True)) == "[::]:19500 (IPv6 only)"
    assert describe(listener("::1", v6only=True)) == "[::1]:19500"
    assert describe(listener("0.0.0.0", device="eth1")) == "0.0.0.0:19500 on eth1"


def test_only_the_sockets_of_the_port_are_listed() -> None:
    host = facts(listeners=(listener("0.0.0.0"), listener("::1", 22), listener("127.0.0.2")))
    assert describe_all(host, PORT) == "0.0.0.0:19500, 127.0.0.2:19500"
    assert describe_all(host, 80) == "nothing"
