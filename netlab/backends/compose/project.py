"""A Compose project, read through the engine's API: its hosts, its networks, what it publishes.

`describe` is pure: from what the engine says (`docker inspect`, `docker network inspect`) to values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound

from netlab.backends.compose.engine import asking
from netlab.facts import Engine as EngineFacts
from netlab.facts import Publication, major_of
from netlab.model import Host, IPAddress, IPInterface, IPNetwork, Link, Network, Protocol, Topology
from netlab.printable import printable

if TYPE_CHECKING:
    from netlab.backends.compose.engine import Engine

# What the engine's own machine is called, as a host of the lab, unless a service is called so.
ENGINE_HOST = "host"
_OTHERWISE = "the-host"

PROJECT_LABEL = "com.docker.compose.project"
_SERVICE_LABEL = "com.docker.compose.service"
_NETWORK_LABEL = "com.docker.compose.network"

# Docker Engine API, ContainerInspect, State.Status: those whose network can be joined.
_RUNNING = ("running", "paused")

Inspected = Mapping[str, Any]


@dataclass(frozen=True)
class Project:
    """What the engine says of a project.

    Attributes:
        containers: the ids by host: its service's name, or where the service has several, its own.
        topology: the containers, and the engine's own machine.
        engine: what the engine adds to the network.
        notes: what of the project is no host, and what of its networks is not seen.
    """

    containers: Mapping[str, str]
    topology: Topology
    engine: EngineFacts
    notes: tuple[str, ...]


def read_project(engine: Engine, name: str) -> Project:
    """Read a project's containers and the networks that they are on.

    Args:
        engine: which has it.
        name: the project's.

    Returns:
        The project; without containers where nothing of it runs.

    Raises:
        LabError: the engine does not answer any more.
    """
    with asking(engine):
        api: Any = engine.client.api
        listed = api.containers(all=True, filters={"label": f"{PROJECT_LABEL}={name}"})
        containers = []
        for said in listed:
            with suppress(NotFound):  # it was removed meanwhile
                containers.append(api.inspect_container(said["Id"]))
        ids = {its["NetworkID"] for c in containers for its in c["NetworkSettings"]["Networks"].values()}
        networks = [api.inspect_network(identity) for identity in sorted(ids - {""})]
        experimental = bool(api.info().get("ExperimentalBuild"))
        running = api.containers()
    project = describe(name, containers, networks, engine.version, experimental=experimental)
    elsewhere = tuple(_published_elsewhere(name, running))
    return replace(project, engine=replace(project.engine, published_elsewhere=elsewhere))


def describe(
    name: str,
    containers: Sequence[Inspected],
    networks: Sequence[Inspected],
    version: str,
    *,
    experimental: bool,
) -> Project:
    """Turn what the engine says of a project into values.

    Args:
        name: the project's.
        containers: as `docker inspect` has them, also those that do not run.
        networks: as `docker network inspect` has them: those that the containers are on.
        version: the engine's, such as `26.1.5`.
        experimental: whether the engine's experimental features are on.
    """
    named = _named(c for c in containers if c["State"]["Status"] in _RUNNING)
    own = {host: c for host, c in named.items() if _shared_with(c) is None}
    # The network of another driver is no bridge: the engine's machine has no address on it.
    bridges = {said["Id"]: said for said in networks if said["Driver"] == "bridge"}
    names = {identity: _network_name(said, name) for identity, said in bridges.items()}
    hosts = [
        Host(host, tuple(_links(c["NetworkSettings"]["Networks"].values(), names))) for host, c in own.items()
    ]
    machine = ENGINE_HOST if ENGINE_HOST not in named else _OTHERWISE
    gateways = Host(machine, tuple(_gateways(bridges, names)), forwards=True)
    engine = EngineFacts(
        host=machine,
        version=version,
        filters_ipv6=major_of(version) >= 27 or experimental,
        internal=tuple(names[identity] for identity, said in bridges.items() if said.get("Internal")),
        publications=tuple(_publications(own)),
        sharing=tuple(host for host, c in named.items() if _shared_with(c) == "host"),
    )
    topology = Topology(tuple(_networks(bridges, names)), (*hosts, gateways))
    ids = {host: str(c["Id"]) for host, c in own.items()}
    return Project(ids, topology, engine, tuple(_notes(containers, networks, named, machine)))


# --- Containers ------------------------------------------------------------------------------------------


def _named(containers: Iterable[Inspected]) -> dict[str, Inspected]:
    """Name each container as others can dial it: by its service; if that has several, by its own name."""
    by_service: dict[str, list[Inspected]] = {}
    for container in containers:
        by_service.setdefault(_service(container), []).append(container)
    named = {}
    for service, replicas in sorted(by_service.items()):
        for container in sorted(replicas, key=_own_name):
            named[service if len(replicas) == 1 else _own_name(container)] = container
    return named


def _service(container: Inspected) -> str:
    return printable(str((container["Config"]["Labels"] or {}).get(_SERVICE_LABEL) or _own_name(container)))


def _own_name(container: Inspected) -> str:
    return printable(str(container["Name"]).lstrip("/"))


def _shared_with(container: Inspected) -> str | None:
    """Return whose network a container shares: `host`, another container's id, or None: its own."""
    mode = str(container["HostConfig"]["NetworkMode"])
    if mode == "host":
        return mode
    return mode.removeprefix("container:") if mode.startswith("container:") else None


def _publications(containers: Mapping[str, Inspected]) -> Iterator[Publication]:
    for host, container in containers.items():
        for inside, outside in (container["NetworkSettings"].get("Ports") or {}).items():
            port, _, protocol = inside.partition("/")
            if protocol not in [*Protocol]:  # SCTP
                continue
            for binding in outside or ():
                address = ip_address(binding["HostIp"] or "0.0.0.0")
                yield Publication(address, int(binding["HostPort"]), host, int(port), Protocol(protocol))


def _published_elsewhere(project: str, listed: Iterable[Inspected]) -> Iterator[tuple[IPAddress, int]]:
    """Yield what the containers of other projects, and of none, publish: `docker ps` has it."""
    for said in listed:
        if (said["Labels"] or {}).get(PROJECT_LABEL) != project:
            for port in said["Ports"] or ():
                if port["Type"] == "tcp" and port.get("PublicPort"):
                    yield ip_address(port.get("IP") or "0.0.0.0"), int(port["PublicPort"])


def _notes(
    containers: Iterable[Inspected],
    networks: Iterable[Inspected],
    named: Mapping[str, Inspected],
    machine: str,
) -> Iterator[str]:
    """Yield what a reader would miss, and what may come out otherwise than predicted."""
    by_id = {str(container["Id"]): host for host, container in named.items()}
    for container in containers:
        if (status := container["State"]["Status"]) not in _RUNNING:
            yield f"{_own_name(container)} does not run ({status})"
    for host, container in named.items():
        if (whose := _shared_with(container)) is not None:
            elsewhere = f"a container outside of the project, {whose[:12]}"
            owner = machine if whose == "host" else by_id.get(whose, elsewhere)
            yield f"{host} shares the network of {owner}, and its listeners are among those of {owner}"
        if container["State"]["Status"] == "paused":
            yield f"{host} is paused: the kernel connects to its sockets, and nobody answers"
    for said in networks:
        if said["Driver"] not in ("bridge", "host", "null"):
            yield f"the network {said['Name']} is no bridge ({said['Driver']}): nothing is dialled through it"
        elif (said.get("Options") or {}).get("com.docker.network.bridge.enable_icc") == "false":
            yield f"the network {said['Name']} keeps its containers apart (enable_icc=false): not predicted"


# --- Networks --------------------------------------------------------------------------------------------


def _network_name(said: Inspected, project: str) -> str:
    """Return what the Compose file calls a network; one from outside of it has only the engine's name."""
    labels = said.get("Labels") or {}
    own = labels.get(PROJECT_LABEL) == project
    return printable(str((labels.get(_NETWORK_LABEL) if own else None) or said["Name"]))


def _networks(bridges: Mapping[str, Inspected], names: Mapping[str, str]) -> Iterator[Network]:
    for identity, said in bridges.items():
        prefixes = list(_subnets(said))
        ipv4 = next((prefix for prefix in prefixes if prefix.version == 4), None)
        ipv6 = next((prefix for prefix in prefixes if prefix.version == 6), None)
        yield Network(names[identity], ipv4, ipv6)


def _subnets(said: Inspected) -> Iterator[IPNetwork]:
    for config in said["IPAM"]["Config"] or ():
        yield ip_network(config["Subnet"])


def _links(networks: Iterable[Inspected], names: Mapping[str, str]) -> Iterator[Link]:
    """Yield a container's links. The engine does not say what its interfaces are called: the facts will."""
    for said in networks:
        if said["NetworkID"] in names:
            yield Link("", names[said["NetworkID"]], tuple(_addresses(said)))


def _addresses(said: Inspected) -> Iterator[IPInterface]:
    if said["IPAddress"]:
        yield ip_interface(f"{said['IPAddress']}/{said['IPPrefixLen']}")
    if said["GlobalIPv6Address"]:
        yield ip_interface(f"{said['GlobalIPv6Address']}/{said['GlobalIPv6PrefixLen']}")


def _gateways(bridges: Mapping[str, Inspected], names: Mapping[str, str]) -> Iterator[Link]:
    """Yield the engine's own links: an address on every bridge, the first one unless told otherwise."""
    for identity, said in bridges.items():
        own = []
        for config in said["IPAM"]["Config"] or ():
            subnet = ip_network(config["Subnet"])
            gateway = str(config.get("Gateway") or subnet[1]).split("/")[0]
            own.append(ip_interface(f"{gateway}/{subnet.prefixlen}"))
        yield Link(_bridge(said), names[identity], tuple(own))


def _bridge(said: Inspected) -> str:
    """Return the bridge's name: that of the option, else made of the network's id (moby, bridge driver)."""
    chosen = (said.get("Options") or {}).get("com.docker.network.bridge.name")
    return str(chosen or f"br-{said['Id'][:12]}")
