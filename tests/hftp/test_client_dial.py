"""Connecting: every address of a name has its chance, and what fails is told where it failed."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from typing import TYPE_CHECKING

import pytest

import hftp
from hftp.dial import alternate, dial_first
from tests.hftp.serving import open_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hftp.dial import Address

# RFC 5737: addresses for documentation. Nobody answers there, whatever the way.
NOBODY = "192.0.2.1"


def ipv4(host: str, port: int = 1) -> Address:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))


def ipv6(host: str, port: int = 1) -> Address:
    return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, port, 0, 0))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextlib.contextmanager
def full() -> Iterator[Address]:
    """An address that answers nothing: its queue is full, so packets are dropped."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield ipv4(*listener.getsockname())


def test_families_alternate_beginning_with_the_preferred_one() -> None:
    addresses = [ipv6("2001:db8::1"), ipv6("2001:db8::2"), ipv6("2001:db8::3"), ipv4("198.18.0.1")]
    assert alternate(addresses) == [addresses[0], addresses[3], addresses[1], addresses[2]]
    assert alternate(addresses[::-1]) == [addresses[3], addresses[2], addresses[1], addresses[0]]
    assert alternate(addresses[:1]) == addresses[:1]


def test_an_address_that_refuses_costs_no_time(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    addresses = [ipv6("::1", port), ipv4("127.0.0.3", port), ipv4("127.0.0.1", port)]
    began = time.monotonic()
    with dial_first("name", port, 10.0, addresses) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    assert time.monotonic() - began < 0.25


def test_an_address_that_is_silent_costs_a_quarter_of_a_second(listener: socket.socket) -> None:
    with full() as silent:
        began = time.monotonic()
        with dial_first("name", 1, 10.0, [silent, ipv4(*listener.getsockname())]) as sock:
            assert sock.getpeername() == listener.getsockname()
    assert 0.2 < time.monotonic() - began < 3


def test_of_many_silent_addresses_the_last_has_a_chance(listener: socket.socket) -> None:
    with (
        full() as silent,
        dial_first("name", 1, 1.0, [silent] * 9 + [ipv4(*listener.getsockname())]) as sock,
    ):
        assert sock.getpeername() == listener.getsockname()


def test_what_each_address_said_is_told() -> None:
    with full() as silent, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(hftp.ConnectError) as caught:
            dial_first("name", 1, 0.5, [silent, ipv4(*bound.getsockname())])
    codes = [code for _, code in caught.value.attempts]
    assert codes == [errno.ECONNREFUSED, errno.ETIMEDOUT]
    assert "ECONNREFUSED" in str(caught.value)
    assert "ETIMEDOUT" in str(caught.value)


def test_nothing_is_left_of_the_attempts(listener: socket.socket) -> None:
    with full() as silent:
        before = open_descriptors()
        dial_first("name", 1, 5.0, [silent, ipv4(*listener.getsockname())]).close()
        with pytest.raises(hftp.AnswerTimeoutError):
            dial_first("name", 1, 0.1, [silent])
        assert open_descriptors() == before


def test_no_way_there_is_told_as_such() -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((NOBODY, 1))
    except OSError:
        with pytest.raises(hftp.ConnectError, match="no way from here"):
            hftp.Client(NOBODY, timeout_s=0.2)
    else:
        pytest.skip("this machine has a route to everywhere")
