"""A running Compose project, read through the engine's API: its hosts, its networks, what it publishes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any

from netlab.facts import Engine as EngineFacts
from netlab.facts import Publication
from netlab.model import Host, IPInterface, IPNetwork, Link, Network, Topology

if TYPE_CHECKING:
    from docker.models.containers import Container

    from netlab.backends.compose.engine import Engine

# The engine's own machine, as a host of the lab: it has an address on every bridge.
ENGINE_HOST = "host"

PROJECT_LABEL = "com.docker.compose.project"
_SERVICE_LABEL = "com.docker.compose.service"
_NUMBER_LABEL = "com.docker.compose.container-number"
_NETWORK_LABEL = "com.docker.compose.network"


@dataclass(frozen=True)
class Project:
    """What the engine says of a project.

    Attributes:
        containers: by the host that each is: its service's name, with a number where there are several.
        topology: the containers, and the engine's own machine, which is called `host`.
        engine: what the engine adds to the network.
    """

    containers: Mapping[str, Container]
    topology: Topology
    engine: EngineFacts


def read_project(engine: Engine, name: str) -> Project:
    """Read a project's running containers and the networks that they are on.

    Args:
        engine: which has it.
        name: the project's.

    Returns:
        The project; without containers where nothing of it runs.
    """
    containers = _by_host(engine.client.containers.list(filters={"label": f"{PROJECT_LABEL}={name}"}))
    attached = {
        host: container.attrs["NetworkSettings"]["Networks"] for host, container in containers.items()
    }
    ids = sorted({str(said["NetworkID"]) for networks in attached.values() for said in networks.values()})
    inspected = {identity: engine.client.networks.get(identity).attrs for identity in ids}
    # A container may share the host's network: that is a network of another driver, without addresses.
    bridges = {identity: said for identity, said in inspected.items() if said["Driver"] == "bridge"}
    names = {identity: _network_name(said) for identity, said in bridges.items()}
    hosts = [Host(host, tuple(_links(networks.values(), names))) for host, networks in attached.items()]
    gateways = Host(ENGINE_HOST, tuple(_gateways(bridges, names)), forwards=True)
    topology = Topology(tuple(_networks(bridges, names)), (*hosts, gateways))
    return Project(containers, topology, _engine_facts(engine, containers, bridges, names))


def _by_host(containers: Iterable[Container]) -> dict[str, Container]:
    grouped: dict[str, list[Container]] = {}
    for container in containers:
        grouped.setdefault(container.labels.get(_SERVICE_LABEL, str(container.name)), []).append(container)
    hosts = {}
    for service, replicas in sorted(grouped.items()):
        for container in replicas:
            number = container.labels.get(_NUMBER_LABEL, "1")
            hosts[service if len(replicas) == 1 else f"{service}-{number}"] = container
    return hosts


def _network_name(said: Mapping[str, Any]) -> str:
    """Return what the Compose file calls a network; one from outside of it has only the engine's name."""
    return str((said.get("Labels") or {}).get(_NETWORK_LABEL) or said["Name"])


def _networks(bridges: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Network]:
    for identity, said in bridges.items():
        prefixes = list(_subnets(said))
        ipv4 = next((prefix for prefix in prefixes if prefix.version == 4), None)
        ipv6 = next((prefix for prefix in prefixes if prefix.version == 6), None)
        yield Network(names[identity], ipv4, ipv6)


def _subnets(said: Mapping[str, Any]) -> Iterator[IPNetwork]:
    for config in said["IPAM"]["Config"] or ():
        yield ip_network(config["Subnet"])


def _links(networks: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[Link]:
    """Yield a container's links. The engine does not say what its interfaces are called: the facts will."""
    for said in networks:
        if said["NetworkID"] in names:
            yield Link("", names[said["NetworkID"]], tuple(_addresses(said)))


def _addresses(said: Mapping[str, Any]) -> Iterator[IPInterface]:
    if said["IPAddress"]:
        yield ip_interface(f"{said['IPAddress']}/{said['IPPrefixLen']}")
    if said["GlobalIPv6Address"]:
        yield ip_interface(f"{said['GlobalIPv6Address']}/{said['GlobalIPv6PrefixLen']}")


def _gateways(bridges: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Link]:
    """Yield the engine's own links: an address on every bridge, the first one unless told otherwise."""
    for identity, said in bridges.items():
        own = []
        for config in said["IPAM"]["Config"] or ():
            subnet = ip_network(config["Subnet"])
            gateway = str(config.get("Gateway") or subnet[1]).split("/")[0]
            own.append(ip_interface(f"{gateway}/{subnet.prefixlen}"))
        yield Link(_bridge(said), names[identity], tuple(own))


def _bridge(said: Mapping[str, Any]) -> str:
    """Return the bridge's name: that of the option, else made of the network's id (moby, bridge driver)."""
    chosen = (said.get("Options") or {}).get("com.docker.network.bridge.name")
    return str(chosen or f"br-{said['Id'][:12]}")


def _engine_facts(
    engine: Engine, containers: Mapping[str, Container], bridges: Mapping[str, Any], names: Mapping[str, str]
) -> EngineFacts:
    info = engine.client.info()
    return EngineFacts(
        host=ENGINE_HOST,
        version=engine.version,
        filters_ipv6=_major(engine.version) >= 27 or bool(info.get("ExperimentalBuild")),
        internal=tuple(names[identity] for identity, said in bridges.items() if said.get("Internal")),
        publications=tuple(_publications(containers)),
    )


def _major(version: str) -> int:
    head = version.split(".")[0]
    return int(head) if head.isdigit() else 0


def _publications(containers: Mapping[str, Container]) -> Iterator[Publication]:
    for host, container in containers.items():
        for inside, outside in (container.attrs["NetworkSettings"].get("Ports") or {}).items():
            port, _, protocol = inside.partition("/")
            if protocol != "tcp":
                continue
            for binding in outside or ():
                yield Publication(
                    ip_address(binding["HostIp"] or "0.0.0.0"), int(binding["HostPort"]), host, int(port)
                )
