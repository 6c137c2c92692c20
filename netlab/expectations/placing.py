"""What a `netlab.yaml` asks of a lab whose hosts are known: which host has which bind, and who dials what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from netlab.errors import LabError
from netlab.expectations.columns import usual_vantages
from netlab.expectations.labs import InventoryLab, LabChoice, MadeLab
from netlab.expectations.schema import CheckFileSection
from netlab.experiments.expand import Expansion
from netlab.experiments.plan import SERVER, Service, Vantage
from netlab.experiments.schema import BindSection, check_known
from netlab.facts import Engine
from netlab.model import Bind, Topology
from netlab.yamlfile import YamlFile


@dataclass(frozen=True)
class Placement:
    """A check, placed on the hosts of a lab.

    Attributes:
        file: the file, to point into.
        said: its values.
        lab: where the check takes place.
        hosts: the host of each bind, by the bind's name.
        topology: the lab's hosts and networks.
        engine: what a container engine adds to them.
    """

    file: YamlFile
    said: CheckFileSection
    lab: LabChoice
    hosts: Mapping[str, str]
    topology: Topology
    engine: Engine | None = None

    @cached_property
    def _expansion(self) -> Expansion:
        return Expansion(self.file, self.topology, self.engine)

    @cached_property
    def gone(self) -> frozenset[str]:
        """The machines that could not be used: the check can't succeed, but goes on without them."""
        machines = self.lab.inventory.machines if isinstance(self.lab, InventoryLab) else ()
        return frozenset(m.name for m in machines) - {host.name for host in self.topology.hosts}

    @cached_property
    def binds(self) -> tuple[Bind, ...]:
        """How each service that can be tried is told where to listen, and on which host.

        Raises:
            FileError: one names something that the lab does not have.
            LabError: none can be tried.
        """
        binds = tuple(self.bind(name) for name in self.said.binds if self.hosts[name] not in self.gone)
        if not binds:
            names = ", ".join(sorted(self.gone))
            raise LabError(f"{self.file.name}: none of the machines that serve can be used: {names}")
        return binds

    def bind(self, name: str) -> Bind:
        """Return a bind.

        Raises:
            FileError: it names something that the lab does not have.
        """
        said = self.said.binds[name]
        listens = BindSection(host="host", address=said.address, v6only=said.v6only, device=said.device)
        return replace(self._expansion.bind(name, listens, self.hosts[name]), told=said.as_)

    def vantages(self, services: Mapping[str, Service]) -> tuple[Vantage, ...]:
        """Return who dials what: as the file says, or everybody all that there is.

        Args:
            services: by the bind's name.

        Raises:
            FileError: the file names something that the lab does not have.
        """
        dialling = self._dialling()
        by_bind = {bind: services[bind.name] for bind in self.binds}
        by_name = not isinstance(self.lab, InventoryLab)
        everybody = usual_vantages(self.topology, dialling, by_bind, self.engine, by_name=by_name)
        usual = {vantage.name: vantage for vantage in everybody}
        if self.said.vantages is None:
            return tuple(usual.values())
        vantages = []
        for name, columns in self.said.vantages.items():
            if name in self.gone:
                continue
            check_known(self.file, ("vantages", name), "vantage", name, {SERVER, *dialling})
            if columns is not None:
                vantages.append(self._expansion.vantage(name, columns, by_bind))
            elif name in usual:
                vantages.append(usual[name])
            else:
                raise self.file.error(("vantages", name), "it is the server's own host: call it server")
        return tuple(vantages)

    def _dialling(self) -> list[str]:
        """Return who dials: of a lab that is made, neither routers nor servers, which are all alike."""
        if not isinstance(self.lab, MadeLab):
            return [host.name for host in self.topology.hosts]
        at_engine = self.engine.host if self.engine is not None else ""
        others = [host for host in self.topology.hosts if host.name not in self.hosts.values()]
        return [host.name for host in others if not host.forwards or host.name == at_engine]
