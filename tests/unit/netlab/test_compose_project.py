"""A project from what a real engine says of it: `docker inspect`, `docker network inspect` (26.1)."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from netlab.facts import Publication
from netlab.model import Protocol

project = pytest.importorskip("netlab.backends.compose.project", reason="the docker SDK is not installed")

DATA = Path(__file__).parents[2] / "data/compose"


def read(name: str) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = json.loads((DATA / name).read_text())
    return said


@pytest.fixture
def containers() -> list[dict[str, Any]]:
    return read("inspect-26.1.json")


@pytest.fixture
def networks() -> list[dict[str, Any]]:
    return read("network-inspect-26.1.json")


def described(
    containers: list[dict[str, Any]], networks: list[dict[str, Any]], version: str = "26.1.5"
) -> Any:
    return project.describe("shop", containers, networks, version, experimental=False)


Inspected = list[dict[str, Any]]


def test_hosts_are_called_as_others_dial_them(containers: Inspected, networks: Inspected) -> None:
    shop = described(containers, networks)
    names = ["admin", "alone", "guarded", "shop-many-1", "shop-many-2", "tiny", "web", "host"]
    assert [host.name for host in shop.topology.hosts] == names
    assert list(shop.containers) == names[:-1]


def test_addresses_are_those_on_the_networks(containers: Inspected, networks: Inspected) -> None:
    admin = described(containers, networks).topology.host("admin")
    addresses = {link.network: {str(own) for own in link.addresses} for link in admin.links}
    assert addresses["back"] == {"198.18.121.11/24"}
    assert "198.18.120.11/24" in addresses["front"]
    assert described(containers, networks).topology.host("alone").links == ()


def test_the_machine_has_an_address_on_every_bridge(containers: Inspected, networks: Inspected) -> None:
    machine = described(containers, networks).topology.host("host")
    gateways = {link.network: link.addresses for link in machine.links}
    assert gateways["back"] == (ip_interface("198.18.121.1/24"),)
    assert ip_interface("198.18.120.1/24") in gateways["front"]
    assert all(link.device.startswith("br-") for link in machine.links)


def test_published_ports_are_read_those_of_udp_too(containers: Inspected, networks: Inspected) -> None:
    engine = described(containers, networks).engine
    publications = engine.publications
    assert sorted(publications, key=lambda p: (p.port, str(p.address))) == [
        Publication(ip_address("0.0.0.0"), 28080, "web", 8000),
        Publication(ip_address("::"), 28080, "web", 8000),
        Publication(ip_address("127.0.0.1"), 28081, "guarded", 8100),
        Publication(ip_address("0.0.0.0"), 28090, "admin", 9000),
        Publication(ip_address("::"), 28090, "admin", 9000),
        Publication(ip_address("0.0.0.0"), 32771, "web", 5353, Protocol.UDP),
        Publication(ip_address("::"), 32771, "web", 5353, Protocol.UDP),
    ]


def test_what_is_no_host_is_noted(containers: Inspected, networks: Inspected) -> None:
    shop = described(containers, networks)
    assert sorted(shop.notes) == [
        "beside shares the network of tiny, and its listeners are among those of tiny",
        "exporter shares the network of host, and its listeners are among those of host",
        "shop-still-1 does not run (exited)",
    ]
    assert shop.engine.sharing == ("exporter",)


def test_internal_networks_and_what_is_filtered(containers: Inspected, networks: Inspected) -> None:
    assert described(containers, networks).engine.internal == ("back",)
    assert not described(containers, networks).engine.filters_ipv6
    assert described(containers, networks, "27.0.1").engine.filters_ipv6
    assert project.describe("shop", containers, networks, "26.1.5", experimental=True).engine.filters_ipv6
    # A build without a version is newer than any release.
    assert described(containers, networks, "dev").engine.filters_ipv6


def test_a_network_of_another_project_keeps_its_own_name(containers: Inspected, networks: Inspected) -> None:
    """Else its `front` and ours would be one."""
    for said in networks:
        if said["Name"] == "shop_back":
            said["Labels"] |= {project.PROJECT_LABEL: "other", "com.docker.compose.network": "front"}
    names = [network.name for network in described(containers, networks).topology.networks]
    assert sorted(names) == ["front", "shop_back"]


def test_a_service_that_is_called_host_is_not_taken_for_the_machine(
    containers: Inspected, networks: Inspected
) -> None:
    for said in containers:
        if said["Name"] == "/shop-web-1":
            said["Config"]["Labels"]["com.docker.compose.service"] = "host"
    shop = described(containers, networks)
    assert shop.engine.host == "the-host"
    assert shop.topology.host("host").links != shop.topology.host("the-host").links


def test_networks_that_are_no_bridges_or_keep_containers_apart_are_noted(
    containers: Inspected, networks: Inspected
) -> None:
    for said in networks:
        if said["Name"] == "shop_back":
            said["Driver"] = "macvlan"
        elif said["Name"] == "shop_front":
            said["Options"] = {"com.docker.network.bridge.enable_icc": "false"}
    notes = described(containers, networks).notes
    assert "the network shop_back is no bridge (macvlan): nothing is dialled through it" in notes
    assert "the network shop_front keeps its containers apart (enable_icc=false): not predicted" in notes


def test_a_paused_container_is_a_host_and_a_restarting_one_is_not(
    containers: Inspected, networks: Inspected
) -> None:
    for said in containers:
        said["State"]["Status"] = {"/shop-web-1": "paused", "/shop-tiny-1": "restarting"}.get(
            said["Name"], said["State"]["Status"]
        )
    shop = described(containers, networks)
    assert "web" in shop.containers and "tiny" not in shop.containers
    assert "shop-tiny-1 does not run (restarting)" in shop.notes
    assert "web is paused: the kernel connects to its sockets, and nobody answers" in shop.notes


def test_nothing_at_all_is_a_machine_alone() -> None:
    assert [host.name for host in described([], []).topology.hosts] == ["host"]
