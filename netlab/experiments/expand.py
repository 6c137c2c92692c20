"""From what a file asks, and a lab, to binds, vantages and what each dials.

The file names things; here each name is looked up, and one that leads nowhere is an error at its line.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from netlab.experiments.checking import check_of
from netlab.experiments.plan import SERVER, Experiment, Headline, Service, Vantage
from netlab.experiments.schema import (
    BindSection,
    Document,
    ExperimentSection,
    HeadlineSection,
    QuestionSection,
    TargetSection,
    check_known,
)
from netlab.experiments.templates import slip_in_argument, untold
from netlab.experiments.transporting import check_works, transport_of
from netlab.facts import Engine, Publication
from netlab.model import Bind, Link, Target, Topology
from netlab.yamlfile import Path, YamlFile

# What has the form of an IPv4 address; no name has (RFC 1123, 2.1).
_ALL_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+){3}|[0-9]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def expand(
    name: str, document: Document, folder: pathlib.Path, topology: Topology, engine: Engine | None = None
) -> Experiment:
    """Work out an experiment for a lab.

    Args:
        name: the experiment's.
        document: its validated file.
        folder: what files that it names are relative to.
        topology: the lab's.
        engine: what a container engine adds to it, where there is one.

    Raises:
        ExperimentError: a name leads nowhere.
    """
    said, service = document.experiment, _service(document, folder)
    expansion = Expansion(document.file, topology, engine)
    binds = tuple(expansion.bind(bind, section, section.host) for bind, section in said.binds.items())
    return Experiment(
        name=name,
        title=said.title,
        topology=topology,
        service=service,
        binds=binds,
        vantages=tuple(
            expansion.vantage(v, columns, dict.fromkeys(binds, service))
            for v, columns in said.vantages.items()
        ),
        headline=_headline(document.file, said, said.headline),
        patience_s=said.patience_s,
    )


def _service(document: Document, folder: pathlib.Path) -> Service:
    said = document.experiment
    check = check_of(said.service.check, document.file, ("service", "check"), folder)
    transport = transport_of(said.service, document.file, ("service",))
    check_works(check, transport.protocol, document.file, ("service", "check"))
    if not isinstance(said, ExperimentSection):
        return Service(said.service.port, check, transport=transport)
    options = said.service.options
    _check_told(document.file, said)
    return Service(
        port=said.service.port,
        check=check,
        command=tuple(said.service.command),
        v6only=tuple(options.v6only),
        device=tuple(options.device),
        transport=transport,
    )


def _check_told(file: YamlFile, said: ExperimentSection) -> None:
    """Refuse a command that does not tell the service what it seems to."""
    options = dict(said.service.options)
    lists: dict[Path, list[str]] = {("command",): said.service.command}
    lists |= {("options", key): arguments for key, arguments in options.items()}
    for path, arguments in lists.items():
        for index, argument in enumerate(arguments):
            if problem := slip_in_argument(argument):
                raise file.error(("service", *path, index), problem)
    for key, problem in untold(said.service.command, options):
        for name, bind in said.binds.items():
            if getattr(bind, key):
                raise file.error(("binds", name, key), problem)


def _headline(file: YamlFile, asked: QuestionSection, said: HeadlineSection) -> Headline:
    for index, bind in enumerate(said.binds):
        check_known(file, ("headline", "binds", index), "bind", bind, asked.binds)
    for title, column in said.columns.items():
        path: Path = ("headline", "columns", title)
        check_known(file, (*path, "vantage"), "vantage", column.vantage, asked.vantages)
        check_known(file, (*path, "target"), "target", column.target, asked.vantages[column.vantage])
    columns = tuple((title, column.vantage, column.target) for title, column in said.columns.items())
    return Headline(tuple(said.binds), columns)


class Expansion:
    """The names of a file looked up in a lab.

    Args:
        file: to point into.
        topology: the lab's.
        engine: what a container engine adds to it, where there is one.
    """

    def __init__(self, file: YamlFile, topology: Topology, engine: Engine | None = None) -> None:
        self._file, self._engine = file, engine
        self._hosts = {host.name: host for host in topology.hosts}

    def bind(self, name: str, said: BindSection, host: str) -> Bind:
        """Return a bind, with the addresses of its host filled in.

        Args:
            name: what it is called below `binds`.
            said: its section.
            host: the host that runs the service.

        Raises:
            FileError: a name leads nowhere.
        """
        path: Path = ("binds", name)
        check_known(self._file, (*path, "host"), "host", host, self._hosts)
        return Bind(
            name=name,
            host=host,
            address=self._filled((*path, "address"), said.address, host),
            v6only=said.v6only,
            device=self._device((*path, "device"), host, said.device) if said.device else None,
        )

    def vantage(
        self,
        name: str,
        said: Mapping[str, TargetSection],
        services: Mapping[Bind, Service],
    ) -> Vantage:
        """Return a vantage and what it dials of each bind.

        Args:
            name: what it is called below `vantages`.
            said: its section.
            services: what is dialled, by the bind that it has.

        Raises:
            FileError: a name leads nowhere.
        """
        check_known(self._file, ("vantages", name), "vantage", name, {SERVER, *self._hosts})
        targets = {
            bind.name: tuple(
                self._target(("vantages", name, title), title, section, bind.host, service)
                for title, section in said.items()
            )
            for bind, service in services.items()
        }
        return Vantage(name, targets)

    def _device(self, path: Path, host: str, network: str) -> str:
        devices = {link.network: link.device for link in self._hosts[host].links}
        check_known(self._file, path, "network of the servers", network, devices)
        return devices[network]

    def _target(self, path: Path, title: str, said: TargetSection, host: str, service: Service) -> Target:
        port = self._published(path, host, said.published, service) if said.published else None
        return Target(title, self._filled(path, said.address, host), port)

    def _published(self, path: Path, host: str, kind: str, service: Service) -> int:
        for publication in self._engine.publications if self._engine else ():
            if (
                publication.leads_to(host, service.port, service.transport.protocol)
                and _kind(publication) == kind
            ):
                return publication.port
        port = service.transport.protocol.port(service.port)
        raise self._file.error(path, f"port {port} of {host} is not published on the host's {kind} address")

    def _filled(self, path: Path, template: str, host: str) -> str:
        """Return the template with the server's own name and addresses filled in, and those of the engine."""
        known = {"hostname": host, **_named_addresses("", self._hosts[host].links)}
        if self._engine is not None:
            known.update(_named_addresses("engine.", self._hosts[self._engine.host].links))

        def value(found: re.Match[str]) -> str:
            if found[1] not in known:
                allowed = ", ".join(f"{{{key}}}" for key in known)
                raise self._file.error(path, f"nothing is called {found[0]}: there is {allowed}")
            return known[found[1]]

        address = _PLACEHOLDER.sub(value, template)
        if problem := _no_address(address):
            raise self._file.error(path, problem)
        return address


def _no_address(text: str) -> str:
    """Return what is wrong with what has the looks of an address, and is none."""
    host, colon, port = text.rpartition(":")
    if ":" not in text and not _ALL_NUMBERS.fullmatch(text):
        return ""  # a name
    try:
        ip_address(text)
    except ValueError:
        alone = bool(colon) and port.isdecimal() and (":" not in host or host.endswith("]"))
        return f"{text!r} is no address{': the port goes into port' if alone else ''}"
    return ""


def _kind(publication: Publication) -> str:
    return "loopback" if publication.address.is_loopback else "any"


def _named_addresses(prefix: str, links: Iterable[Link]) -> Mapping[str, str]:
    return {
        f"{prefix}{link.network}.ipv{own.version}": str(own.ip) for link in links for own in link.addresses
    }
