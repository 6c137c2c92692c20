"""The machines that these tests reach over SSH: a part of the standard lab, with a controller in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from netlab.experiments import load
from netlab.model import Topology
from tests.ssh.fleet import Fleet, fleet, with_controller

# Enough for every kind of way: neighbours, two networks, a router, a machine behind it.
_HOSTS = ("router", "peer", "remote", "server-any", "server-loopback")


def machines() -> Topology:
    """Return a part of the standard experiment's lab, and a controller that can reach all of it."""
    lab = load("bind-address").lab
    assert isinstance(lab, Topology)
    hosts = tuple(host for host in lab.hosts if host.name in _HOSTS)
    whole = with_controller(Topology(lab.networks, hosts), lab.networks[0], 200)
    controller = replace(whole.host("controller"), routes=whole.host("server-any").routes)
    return Topology(whole.networks, (*hosts, controller))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The machines, up. What a test does to one of them it undoes."""
    with fleet(machines(), tmp_path_factory.mktemp("fleet")) as up:
        yield up


@pytest.fixture
def own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The machines, for a test that breaks them."""
    with fleet(machines(), tmp_path_factory.mktemp("fleet")) as up:
        yield up
