"""The lab in which the agent is asked: a server, a peer, a router; and a host to be changed."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from netlab.model import Host, NameEntry, Network, Route, Topology
from netlab.session import AgentSession
from tests.namespaces import bring_up
from tests.netns.measuring import link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab


LOOPBACK_NAMES = (
    NameEntry(ip_address("127.0.0.1"), ("localhost",)),
    NameEntry(ip_address("::1"), ("localhost", "ip6-localhost")),
)
SERVER_NAMES = (
    NameEntry(ip_address("127.0.1.1"), ("server",)),
    NameEntry(ip_address("198.18.1.99"), ("both",)),
    NameEntry(ip_address("198.18.1.11"), ("both",)),
)


def route(destination: str, via: str) -> Route:
    return Route(ip_network(destination), ip_address(via))


TOPOLOGY = Topology(
    networks=(
        Network("lan", IPv4Network("198.18.1.0/24"), IPv6Network("2001:db8:1::/64")),
        Network("far", IPv4Network("198.18.3.0/24"), IPv6Network("2001:db8:3::/64")),
    ),
    hosts=(
        Host(
            "server",
            (link("eth0", "lan", "198.18.1.11/24", "198.18.1.12/24", "2001:db8:1::11/64"),),
            names=LOOPBACK_NAMES + SERVER_NAMES,
        ),
        Host(
            "peer",
            (link("eth0", "lan", "198.18.1.20/24", "2001:db8:1::20/64"),),
            (
                route("198.18.3.0/24", "198.18.1.1"),
                route("198.18.66.0/24", "198.18.1.1"),
                route("2001:db8:66::/64", "2001:db8:1::1"),
                # The server forwards nothing: what is sent there for others is dropped without a word.
                route("198.18.77.0/24", "198.18.1.11"),
            ),
            names=LOOPBACK_NAMES + SERVER_NAMES[1:],
        ),
        Host(
            "router",
            (
                link("eth0", "lan", "198.18.1.1/24", "2001:db8:1::1/64"),
                link("eth1", "far", "198.18.3.1/24", "2001:db8:3::1/64"),
            ),
            forwards=True,
        ),
        Host("scratch", (link("eth0", "lan", "198.18.1.30/24", "2001:db8:1::30/64"),)),
    ),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with bring_up(TOPOLOGY) as lab:
        yield lab


@pytest.fixture
def scratch_lab() -> Iterator[Lab]:
    """A lab of its own, for tests that change a host."""
    hosts = tuple(host for host in TOPOLOGY.hosts if host.name == "scratch")
    with bring_up(Topology(TOPOLOGY.networks, hosts)) as lab:
        yield lab


@pytest.fixture
def server(lab: Lab) -> Iterator[AgentSession]:
    """Ask the server's agent; what it starts ends with the test."""
    with AgentSession(lab, "server") as session:
        yield session


@pytest.fixture(scope="module")
def peer(lab: Lab) -> Iterator[AgentSession]:
    with AgentSession(lab, "peer") as session:
        yield session
