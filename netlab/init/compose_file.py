"""A first `netlab.yaml` from a Compose file: who shares a network may, and this machine by published ports.

The file alone is read, and of it only services, ports and networks: no environment, no secrets. What Compose
would add to it (other files, profiles, variables of the environment) is said in a note.

Source: the Compose specification, services (`ports`, `expose`, `networks`, `network_mode`), interpolation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from netlab.errors import FileError
from netlab.init.start import NAME, Row, Rule, Start
from netlab.yamlfile import YamlFile, parse

# The engine's own machine, as a host of the lab.
_MACHINE = "host"

# `${NAME:-value}`, `${NAME-value}`: a variable and what it is where it is not set.
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?-([^}$]*)\}")
# `[[address:]outside:]inside[/protocol]`; a range (8000-8005) is more than one port.
_SHORT_PORT = re.compile(r"(?:(?P<before>.*):)?(?P<inside>\d+)(?:/(?P<protocol>[a-z]+))?")


class ComposeFileError(FileError):
    """A file is not what Compose takes."""


@dataclass(frozen=True, slots=True)
class _Port:
    """A TCP port of a service.

    Attributes:
        inside: its number in the container.
        published: the addresses that it is published at; "" for any.
    """

    inside: int
    published: tuple[str, ...]


@dataclass(frozen=True)
class _Service:
    name: str
    networks: tuple[str, ...]
    ports: tuple[_Port, ...]


def from_compose(name: str, text: str, path: str) -> Start:
    """Return a check of all the ports that a Compose file's services have.

    Args:
        name: what the user calls the file.
        text: its contents.
        path: the file, as `netlab.yaml` should name it.

    Raises:
        FileError: it is no Compose file, or there is nothing in it to check.
    """
    file = parse(name, text, ComposeFileError)
    tree = file.tree if isinstance(file.tree, dict) else {}
    said = tree.get("services")
    if not isinstance(said, dict) or not said:
        raise file.error((), "expected a Compose file, with services")
    notes = [*_not_followed(tree)]
    services = tuple(_services(file, said, notes))
    dialled = [service for service in services if service.ports]
    if not dialled:
        raise file.error(("services",), "no service has ports or expose: which port should be dialled?")
    silent = [service.name for service in services if not service.ports]
    if silent:
        notes.append(
            f"The file names no port of {_listed(silent)}: nothing of it is checked; "
            "a bind with a port adds it."
        )
    rows = [_row(service, port) for service in dialled for port in service.ports]
    return Start(
        origin=f"--from-compose {name}",
        lab={"compose": path},
        port=dialled[0].ports[0].inside,
        binds=tuple(rows),
        vantages=(*(service.name for service in services), _MACHINE),
        rules=tuple(_rules(services)),
        notes=tuple(notes),
    )


def _not_followed(tree: Mapping[str, Any]) -> Iterator[str]:
    if "include" in tree:
        yield "The Compose file includes others, which were not read: add what they bring."


def _services(file: YamlFile, said: Mapping[Any, Any], notes: list[str]) -> Iterator[_Service]:
    for name, section in said.items():
        section = {} if section is None else section
        if not isinstance(name, str) or not isinstance(section, dict):
            raise file.error(("services", str(name)), "expected a service: a mapping such as {image: nginx}")
        if why := _left_out(section):
            notes.append(f"{name} is left out: {why}.")
            continue
        if "extends" in section:
            notes.append(
                f"{name} extends another service, which was not followed: add its ports and networks."
            )
        networks = tuple(_networks(file, name, section))
        yield _Service(name, networks, tuple(_ports(file, name, section, notes)))


def _left_out(section: Mapping[str, Any]) -> str:
    """Return why a service is no host of the lab, or not one that has a name in it; empty if it is."""
    if mode := section.get("network_mode"):
        return f"network_mode is {mode}, so it has no network of its own"
    if section.get("profiles"):
        return "it has profiles, so it is not brought up"
    deploy = section.get("deploy")
    replicas = section.get("scale", deploy.get("replicas", 1) if isinstance(deploy, dict) else 1)
    return f"there are {replicas} of it, each with a name of its own" if replicas not in (1, "1") else ""


def _networks(file: YamlFile, name: str, section: Mapping[str, Any]) -> Iterable[str]:
    networks = section.get("networks")
    if networks is None:
        return ["default"]
    if not isinstance(networks, (list, dict)) or not all(isinstance(network, str) for network in networks):
        raise file.error(("services", name, "networks"), "expected a list of networks, or a mapping")
    top = file.tree.get("networks")
    return [_engine_name(network, top if isinstance(top, dict) else {}) for network in networks]


def _engine_name(network: str, top: Mapping[str, Any]) -> str:
    """Return what a network is called in the lab: one from outside of the project has only its real name."""
    section = top.get(network)
    if isinstance(section, dict) and section.get("external"):
        return str(section.get("name", network))
    return network


def _ports(file: YamlFile, name: str, section: Mapping[str, Any], notes: list[str]) -> Iterable[_Port]:
    """Return a service's TCP ports; one that is published, and also exposed, once."""
    found: dict[int, list[str]] = {}
    for key in ("ports", "expose"):
        said = section.get(key) or []
        if not isinstance(said, list):
            raise file.error(("services", name, key), "expected a list of ports")
        for port in said:
            inside = _inside(port)
            if inside is None:
                shown = dict(port) if isinstance(port, dict) else port
                notes.append(f"{name}: {key}: {shown} is left out: not one TCP port.")
            else:
                published = found.setdefault(inside, [])
                published += [_address(port)] if key == "ports" else []
    return [_Port(inside, tuple(dict.fromkeys(published))) for inside, published in found.items()]


def _inside(port: Any) -> int | None:
    """Return the TCP port in the container that an entry of `ports` or `expose` means; None for others."""
    if isinstance(port, dict):  # the long form
        if port.get("protocol", "tcp") != "tcp":
            return None
        port = port.get("target")
    found = _short_port(port)
    if found is None or (found["protocol"] or "tcp") != "tcp" or not 0 < int(found["inside"]) < 65536:
        return None
    return int(found["inside"])


def _short_port(port: Any) -> re.Match[str] | None:
    return _SHORT_PORT.fullmatch(_VARIABLE.sub(r"\1", str(port)))


def _address(port: Any) -> str:
    """Return the address of the engine's machine that an entry of `ports` is published at; "" for any."""
    if isinstance(port, dict):
        said = _VARIABLE.sub(r"\1", str(port.get("host_ip") or ""))
    else:
        found = _short_port(port)
        said = (found["before"] or "" if found else "").rpartition(":")[0].strip("[]")
    try:
        address = ip_address(said)
    except ValueError:  # none, or a variable whose value nobody knows here
        return ""
    return "" if address.is_unspecified else str(address)


def _row(service: _Service, port: _Port) -> Row:
    name = _bind_name(service, port)
    at = " and ".join(address or "any address" for address in port.published)
    where = f"published at {at}" if at else "not published"
    return Row(name, {"host": service.name, "port": port.inside}, f"On {_listed(service.networks)}; {where}.")


def _bind_name(service: _Service, port: _Port) -> str:
    return service.name if len(service.ports) == 1 else f"{service.name}-{port.inside}"


def _rules(services: Sequence[_Service]) -> Iterator[Rule]:
    """Yield what the file means: first that nobody gets anywhere, then who does."""
    yield Rule("deny", {}, "Nobody, but for the exceptions below: networks are kept apart.")
    for service in services:
        names = tuple(_bind_name(service, port) for port in service.ports)
        for network in service.networks if names else ():
            # By its name and its addresses there: a service on two networks is reached by one of them; and
            # the machine, which is on every network, is not thereby let in by published ports.
            of = {"bind": names, "from": (f"network:{network}",), "to": (NAME, f"network:{network}")}
            yield Rule("allow", of, f"Whoever shares {network} with {service.name}, as {_MACHINE} does.")
    yield from _published(services)


def _published(services: Iterable[_Service]) -> Iterator[Rule]:
    """Yield who gets in from outside: a rule for each address at which something is published."""
    binds: dict[str, list[str]] = {}
    for service in services:
        for port in service.ports:
            for address in port.published:
                binds.setdefault(address, []).append(_bind_name(service, port))
    for address, names in binds.items():
        at = f"published-{address}:*" if address else "published-*"
        why = f"Published at {address or 'any address'} of this machine ({_MACHINE})."
        yield Rule("allow", {"bind": tuple(names), "from": (_MACHINE,), "to": (at,)}, why)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
