"""From what an experiment's file asks, and a lab, to binds, vantages and what each dials.

The file names things; here each name is looked up, and one that leads nowhere is an error at its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from netlab.experiments.plan import SERVER, Experiment, Headline, Service, Vantage
from netlab.experiments.schema import Document, ExperimentSection, TargetSection, check_known
from netlab.facts import Engine, Publication
from netlab.model import Bind, Link, Target, Topology
from netlab.yamlfile import Path

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def expand(name: str, document: Document, topology: Topology, engine: Engine | None = None) -> Experiment:
    """Work out an experiment for a lab.

    Args:
        name: the experiment's.
        document: its validated file.
        topology: the lab's.
        engine: what a container engine adds to it, where there is one.

    Raises:
        ExperimentError: a name leads nowhere.
    """
    return _Expansion(document, topology, engine).experiment(name)


class _Expansion:
    def __init__(self, document: Document, topology: Topology, engine: Engine | None) -> None:
        self.document, self.topology, self.engine = document, topology, engine
        self.said = document.experiment
        self.hosts = {host.name: host for host in topology.hosts}

    def experiment(self, name: str) -> Experiment:
        return Experiment(
            name=name,
            title=self.said.title,
            topology=self.topology,
            service=self._service(),
            binds=tuple(self._bind(bind) for bind in self.said.binds),
            vantages=tuple(self._vantage(vantage) for vantage in self.said.vantages),
            headline=self._headline(),
            patience_s=self.said.patience_s,
        )

    def _service(self) -> Service:
        said = self.said
        if not isinstance(said, ExperimentSection):
            return Service(said.service.port, said.service.check)
        options = said.service.options
        return Service(
            port=said.service.port,
            check=said.service.check,
            command=tuple(said.service.command),
            v6only=tuple(options.v6only),
            device=tuple(options.device),
        )

    def _bind(self, name: str) -> Bind:
        said = self.said.binds[name]
        path: Path = ("binds", name)
        self._known((*path, "host"), "host", said.host, self.hosts)
        return Bind(
            name=name,
            host=said.host,
            address=self._filled((*path, "address"), said.address, said.host),
            v6only=said.v6only,
            device=self._device((*path, "device"), said.host, said.device) if said.device else None,
        )

    def _device(self, path: Path, host: str, network: str) -> str:
        devices = {link.network: link.device for link in self.hosts[host].links}
        self._known(path, "network of the servers", network, devices)
        return devices[network]

    def _vantage(self, name: str) -> Vantage:
        self._known(("vantages", name), "vantage", name, {SERVER, *self.hosts})
        said = self.said.vantages[name]
        targets = {
            bind.host: tuple(self._target(("vantages", name, title), title, bind.host) for title in said)
            for bind in self.said.binds.values()
        }
        return Vantage(name, targets)

    def _target(self, path: Path, title: str, host: str) -> Target:
        said: TargetSection = self.said.vantages[str(path[1])][title]
        port = self._published(path, host, said.published) if said.published else None
        return Target(title, self._filled(path, said.address, host), port)

    def _published(self, path: Path, host: str, kind: str) -> int:
        mine = [p for p in (self.engine.publications if self.engine else ()) if p.host == host]
        for publication in mine:
            if _kind(publication) == kind:
                return publication.port
        raise self.document.error(path, f"no port of {host} is published on the host's {kind} address")

    def _filled(self, path: Path, template: str, host: str) -> str:
        """Return the template with the server's own name and addresses filled in, and those of the engine."""
        known = {"hostname": host, **_named_addresses("", self.hosts[host].links)}
        if self.engine is not None:
            known.update(_named_addresses("engine.", self.hosts[self.engine.host].links))

        def value(found: re.Match[str]) -> str:
            if found[1] not in known:
                allowed = ", ".join(f"{{{key}}}" for key in known)
                raise self.document.error(path, f"nothing is called {found[0]}: there is {allowed}")
            return known[found[1]]

        return _PLACEHOLDER.sub(value, template)

    def _headline(self) -> Headline:
        said = self.said.headline
        for index, bind in enumerate(said.binds):
            self._known(("headline", "binds", index), "bind", bind, self.said.binds)
        for title, column in said.columns.items():
            path: Path = ("headline", "columns", title)
            self._known((*path, "vantage"), "vantage", column.vantage, self.said.vantages)
            self._known((*path, "target"), "target", column.target, self.said.vantages[column.vantage])
        columns = tuple((title, column.vantage, column.target) for title, column in said.columns.items())
        return Headline(tuple(said.binds), columns)

    def _known(self, path: Path, kind: str, name: str, known: Iterable[str]) -> None:
        check_known(self.document, path, kind, name, known)


def _kind(publication: Publication) -> str:
    return "loopback" if publication.address.is_loopback else "any"


def _named_addresses(prefix: str, links: Iterable[Link]) -> Mapping[str, str]:
    return {
        f"{prefix}{link.network}.ipv{own.version}": str(own.ip) for link in links for own in link.addresses
    }
