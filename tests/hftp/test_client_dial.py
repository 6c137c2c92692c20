"""Connecting: every address of a name has its chance, and what fails is told where it failed."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

import hftp
from hftp.dial import alternate, dial_first
from hftp.exits import Exit
from tests.hftp.serving import PYTHON, environment, open_descriptors
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hftp.dial import Address


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
    addresses = [*[ipv6("::1", port), ipv4("127.0.0.3", port)] * 100, ipv4("127.0.0.1", port)]
    began = time.monotonic()
    with dial_first("name", port, 600.0, addresses) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    assert time.monotonic() - began < 10  # 50 s, if each had the quarter of a second of one that is silent


def test_an_address_that_is_silent_costs_a_quarter_of_a_second(listener: socket.socket) -> None:
    with full() as silent:
        began = time.monotonic()
        with dial_first("name", 1, 10.0, [silent, ipv4(*listener.getsockname())]) as sock:
            assert sock.getpeername() == listener.getsockname()
    assert 0.2 < time.monotonic() - began < 9


def test_addresses_that_fail_at_once_cost_no_time_beside_a_silent_one(listener: socket.socket) -> None:
    """connect() itself fails for a link-local address without its interface. At 0.25 s each, it took 50 s."""
    with full() as silent:
        addresses = [silent, *[ipv6("fe80::1")] * 200, ipv4(*listener.getsockname())]
        began = time.monotonic()
        with dial_first("name", 1, 600.0, addresses) as sock:
            assert sock.getpeername() == listener.getsockname()
    assert time.monotonic() - began < 10


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


# In a network of its own, where it is known what leads where.

_NETWORK = """
ip link set lo up &&
ip link add eth0 type veth peer name far && ip link set eth0 up && ip link set far up &&
ip address add 198.18.1.1/24 dev eth0 && ip address add 2001:db8:1::1/64 dev eth0 nodad &&
ip neighbour add 198.18.1.9 lladdr 02:00:00:00:00:09 dev eth0 &&
ip neighbour add 2001:db8:1::9 lladdr 02:00:00:00:00:09 dev eth0 &&
mount --bind hosts /etc/hosts &&
exec "$@"
"""
# A packet to an address that ends in 9 leaves by eth0, and nobody takes it or says so.
_HOSTS = """
127.0.0.1 localhost
2001:db8:1::9 half-reachable
198.18.1.1 half-reachable
2001:db8:2::9 nowhere
198.18.2.9 nowhere
198.18.1.9 silent
"""


def in_own_network(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the client beside a server on 198.18.1.1."""
    (path / "hosts").write_text(_HOSTS)
    (path / "f").touch()
    unshare = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", _NETWORK, "sh"]
    if (tried := subprocess.run([*unshare, "true"], cwd=path, capture_output=True, text=True)).returncode:
        unavailable("netns", tried.stderr.strip())
    serve_and_run = (
        '"$0" -m hftp serve -a 198.18.1.1 >/dev/null & trap "kill $! && wait" EXIT;'
        'until "$0" -m hftp health 198.18.1.1 2>/dev/null; do :; done; "$0" -m hftp "$@"'
    )
    return subprocess.run(
        [*unshare, "timeout", "30", "sh", "-c", serve_and_run, PYTHON, *arguments],
        cwd=path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("command", "output"), [("ls", "f\nhosts\n"), ("health", "")])
def test_a_name_whose_first_address_is_silent_is_reached_by_its_second(
    tmp_path: Path, command: str, output: str
) -> None:
    """By each its share of the time: the command has 30 s (above), and the first alone would take 60."""
    ended = in_own_network(tmp_path, command, "half-reachable", "--timeout", "60")
    assert (ended.returncode, ended.stdout, ended.stderr) == (Exit.OK, output, "")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nowhere", Exit.UNREACHABLE, "ENETUNREACH.*ENETUNREACH.*no way from here"),
        ("silent", Exit.TIMEOUT, "198.18.1.9.*a firewall may drop it"),
        ("198.18.1.1:1", Exit.UNREACHABLE, "ECONNREFUSED.*on that machine, look"),
        ("localhost", Exit.UNREACHABLE, "ECONNREFUSED"),
    ],
)
def test_a_failure_is_told_where_it_happened(tmp_path: Path, name: str, code: Exit, said: str) -> None:
    ended = in_own_network(tmp_path, "ls", name, "--timeout", "0.5")
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.count("\n") == 1
    assert re.search(said, ended.stderr)
