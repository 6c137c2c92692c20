"""compose.yaml: what it says, and what it does in the hands of somebody who has only Compose."""

from __future__ import annotations

import ipaddress
import json
import os
from typing import Any

import pytest

from netlab.experiments import load
from netlab.model import Topology
from tests.compose.conftest import Engine, Lab, lab_up, places

# For each server, by the address it is bound to.
BINDS = {
    "server-localhost": "localhost",
    "server-loopback": "127.0.0.1",
    "server-any": "0.0.0.0",
    "server-any6": "::",
    "server-lan": "198.18.1.18",
    "server-back": "198.18.2.20",
}


@pytest.fixture(scope="module")
def document(engine: Engine) -> dict[str, Any]:
    """The file as Compose understands it."""
    names = ("NETLAB_", "HFTP_", "COMPOSE_", "BASE")
    plain = {name: value for name, value in engine.environment.items() if not name.startswith(names)}
    understood: dict[str, Any] = json.loads(Engine(plain)("compose", "config", "--format", "json"))
    return understood


def _planned() -> Topology:
    lab = load("bind-address").lab
    assert isinstance(lab, Topology)
    return lab


def test_there_is_a_server_for_each_bind(document: dict[str, Any]) -> None:
    bound = {
        name: service["environment"]["HFTP_ADDRESS"]
        for name, service in document["services"].items()
        if "environment" in service
    }
    assert bound == BINDS


def test_hosts_have_the_addresses_that_they_have_in_the_experiment(document: dict[str, Any]) -> None:
    """So that a cell of one backend can be compared with the same cell of another."""
    hosts = {host.name: host for host in _planned().hosts}
    for name, service in document["services"].items():
        planned = {
            link.network: {str(address.ip) for address in link.addresses} for link in hosts[name].links
        }
        there = {
            network: {settings["ipv4_address"], settings["ipv6_address"]}
            for network, settings in service["networks"].items()
        }
        assert there == planned, name


def test_networks_are_those_of_the_experiment(document: dict[str, Any]) -> None:
    planned = {network.name: {network.ipv4, network.ipv6} for network in _planned().networks}
    there = {
        name: {ipaddress.ip_network(pool["subnet"]) for pool in network["ipam"]["config"]}
        for name, network in document["networks"].items()
    }
    assert there == planned
    assert {name for name, network in document["networks"].items() if network.get("internal")} == {
        "back",
        "elsewhere",
    }


def test_each_server_is_published_twice_on_ports_of_its_own(document: dict[str, Any]) -> None:
    ports = []
    for name in BINDS:
        on_loopback, on_all = document["services"][name]["ports"]
        assert on_loopback["host_ip"] == "127.0.0.1"
        assert "host_ip" not in on_all
        assert {on_loopback["target"], on_all["target"]} == {19500}
        ports += [on_loopback["published"], on_all["published"]]
    assert len(set(ports)) == 2 * len(BINDS)


def test_every_service_is_denied_what_it_does_not_need(document: dict[str, Any]) -> None:
    for name, service in document["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] and service["mem_limit"], name
        assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & service.keys(), name


def test_peer_reaches_the_server_that_listens_on_any_address(lab: Lab) -> None:
    done = lab.run("peer", "hftp", "ls", "server-any")
    assert (done.returncode, done.stdout) == (0, "hello.txt\n")


def test_peer_is_refused_by_the_server_that_listens_on_loopback(lab: Lab) -> None:
    done = lab.run("peer", "hftp", "ls", "server-loopback")
    assert "ECONNREFUSED" in done.stderr


def test_remote_reaches_servers_by_their_published_ports_alone(lab: Lab) -> None:
    assert lab.run("remote", "hftp", "ls", "198.18.202.1:18614").stdout == "hello.txt\n"
    assert lab.run("remote", "hftp", "ls", "--timeout", "1", "198.18.200.14").returncode != 0
    assert lab.run("remote", "hftp", "ls", "server-any").returncode != 0


def test_outsider_reaches_nothing(lab: Lab) -> None:
    for place in ("198.18.200.14", "198.18.203.1:18614", "server-any"):
        assert lab.run("outsider", "hftp", "ls", "--timeout", "1", place).returncode != 0


def test_two_labs_up_at_once_do_not_meet_and_nothing_is_left(lab: Lab, engine: Engine) -> None:
    others = places(210, ports=187)
    with lab_up(engine, f"netlab-test-other-{os.getpid()}", others, "server-any", "peer") as other:
        assert other.run("peer", "hftp", "ls", "server-any").stdout == "hello.txt\n"
        assert lab.run("peer", "hftp", "ls", "server-any").stdout == "hello.txt\n"
        assert lab.run("peer", "hftp", "ls", "--timeout", "1", "198.18.210.14").returncode != 0
