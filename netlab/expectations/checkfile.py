"""`netlab.yaml` read: the service, the lab, the binds and the rules, and what they ask of a lab."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from netlab.errors import FileError, LabError, NetlabError
from netlab.expectations.columns import usual_vantages
from netlab.expectations.labs import InventoryLab, LabChoice, MadeLab, choose_lab
from netlab.expectations.pointless import pointless
from netlab.expectations.rules import Expectation, Rule, Surroundings, expectation_of
from netlab.expectations.schema import CheckedBindSection, CheckFileSection
from netlab.expectations.startable import check_startable
from netlab.experiments.checking import check_of
from netlab.experiments.expand import Expansion
from netlab.experiments.plan import (
    EVERYTHING,
    SERVER,
    Dial,
    Experiment,
    Headline,
    ImageServer,
    Selection,
    Service,
    Vantage,
)
from netlab.experiments.schema import BindSection, check_known
from netlab.experiments.topology import describe
from netlab.experiments.transporting import check_works, transport_of
from netlab.facts import Engine
from netlab.model import Bind, Protocol, Topology
from netlab.textfile import read_text
from netlab.yamlfile import YamlFile, parse

# What `netlab check` looks for.
NAME = "netlab.yaml"
_WHOLE = "a check, with keys such as service and expect"


class CheckError(FileError):
    """A `netlab.yaml` is wrong."""


@dataclass(frozen=True)
class CheckFile:
    """A file that says who should reach what.

    Attributes:
        file: what was read, to point into.
        said: its values.
        lab: where the check takes place.
        groups: vantages by group: the file's own; an inventory's come on top.
        selection: the part of the matrix that is wanted.
        folder: what files that it names are relative to.
    """

    file: YamlFile
    said: CheckFileSection
    lab: LabChoice
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    selection: Selection = EVERYTHING
    folder: Path = Path()

    @property
    def name(self) -> str:
        """What the user calls the file."""
        return self.file.name

    @cached_property
    def hosts(self) -> Mapping[str, str]:
        """The host of each bind: one of its own where the lab is made for it, else the one that it names."""
        if isinstance(self.lab, MadeLab):
            return _own_hosts(self.said.binds)
        return {name: bind.host or name for name, bind in self.said.binds.items()}

    @property
    def topology(self) -> Topology | None:
        """The lab's hosts and networks, where they are known before it is up: an engine adds its machine.

        Raises:
            FileError: the lab's file names something that is not there.
        """
        return self.described if self.said.service.image is None else None

    @cached_property
    def described(self) -> Topology | None:
        """The hosts and networks that a file describes.

        Raises:
            FileError: the lab's file names something that is not there.
        """
        if not isinstance(self.lab, MadeLab):
            return None
        servers = {
            host: self.file.error(("binds", bind), f"the lab has a host called {host!r} already")
            for bind, host in self.hosts.items()
        }
        return describe(self.lab.file, self.lab.said, servers)

    def only(self, selection: Selection) -> CheckFile:
        """Return the file with a part of its matrix; the names are looked up once they are known.

        Raises:
            NetlabError: a bind that the file does not have; the message lists those that it has.
        """
        selection.check("bind", selection.binds, self.said.binds)
        return replace(self, selection=selection)

    def on(self, topology: Topology, engine: Engine | None = None) -> Experiment:
        """Return what is to be dialled in a lab.

        Raises:
            FileError: the file names something that the lab does not have, or a rule is pointless.
            NetlabError: the selection names something that is not there.
        """
        whole = self._whole(topology, engine)
        self._check_rules(whole)
        selected = self.selection
        selected.check("vantage", selected.vantages, [vantage.name for vantage in whole.vantages])
        part = whole.only(selected)
        if not any(True for _ in part.dials()):
            raise NetlabError(f"{self.name}: nothing is left to dial")
        return part

    def dials(self) -> tuple[Dial, ...] | None:
        """Return what will be dialled, where that is known before the lab is up."""
        return tuple(self.on(self.topology).dials()) if self.topology is not None else None

    def expectation(self, dial: Dial, topology: Topology) -> Expectation | None:
        """Return what is expected of a dial; None where no rule is about it."""
        return expectation_of(self.rules, dial, Surroundings(topology, self.groups))

    def services(self) -> dict[str, Service]:
        """Return the service of each bind, by the bind's name.

        Raises:
            FileError: nobody could recognise one.
        """
        return {name: self._service(name) for name in self.said.binds}

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """What is expected, the general rules first."""
        return tuple(
            Rule(
                Expectation(wants, self.file.name, self.file.line(("expect", index))),
                binds=_tuple(of.bind),
                vantages=_tuple(of.from_),
                targets=_tuple(of.to),
            )
            for index, rule in enumerate(self.said.expect)
            for wants, of in rule.items()
        )

    def image_servers(self, image: str) -> dict[str, ImageServer]:
        """Return what runs on each server of a lab of containers, by its host.

        Raises:
            FileError: a bind names something that the lab does not have.
        """
        assert self.described is not None, "it is a lab that is made"
        expansion = Expansion(self.file, self.described)
        servers = {}
        for name, section in self.said.binds.items():
            bind, service = self._bind(expansion, name, section), self._service(name)
            argv = tuple(service.argv(bind, "python3", ("hftp",)))
            servers[bind.host] = ImageServer(image, argv, service.contents(bind, "python3", ""))
        return servers

    # --- Worked out for a lab -------------------------------------------------------------------------------

    def _whole(self, topology: Topology, engine: Engine | None) -> Experiment:
        expansion = Expansion(self.file, topology, engine)
        gone = self._gone(topology)
        binds = tuple(
            self._bind(expansion, name, section)
            for name, section in self.said.binds.items()
            if self.hosts[name] not in gone
        )
        if not binds:
            raise LabError(
                f"{self.name}: none of the machines that serve can be used: {', '.join(sorted(gone))}"
            )
        own = self.services()
        if self.said.service.image is not None:  # the engine starts them
            own = {name: replace(service, command=()) for name, service in own.items()}
        return Experiment(
            name=self.name,
            title=self.said.title or "Is it as it should be?",
            topology=topology,
            service=self._usual_service(),
            binds=binds,
            vantages=self._vantages(expansion, topology, engine, binds, own),
            headline=Headline((), ()),
            patience_s=self.said.patience_s,
            own=own,
        )

    def _bind(self, expansion: Expansion, name: str, said: CheckedBindSection) -> Bind:
        host = self.hosts[name]
        listens = BindSection(host="host", address=said.address, v6only=said.v6only, device=said.device)
        return replace(expansion.bind(name, listens, host), told=said.as_)

    def _usual_service(self) -> Service:
        said = self.said.service
        return Service(
            port=said.port,
            check=check_of(said.check, self.file, ("service", "check"), self.folder),
            command=tuple(said.command or ()),
            v6only=tuple(said.options.v6only),
            device=tuple(said.options.device),
            files=said.files,
            transport=transport_of(said, self.file, ("service",)),
        )

    def _service(self, name: str) -> Service:
        """Return the service of a bind: the file's, but for what the bind says of its own."""
        bind, service, here = self.said.binds[name], self._usual_service(), ("binds", name)
        own = check_of(bind.check, self.file, (*here, "check"), self.folder) if bind.check else None
        transport = transport_of(bind, self.file, here, self.said.service)
        said = (*here, "check") if own else (*here, "protocol") if bind.protocol else ("service", "check")
        check_works(own or service.check, transport.protocol, self.file, said)
        return replace(
            service,
            port=bind.port or service.port,
            check=own or service.check,
            transport=transport,
            command=service.command if bind.command is None else tuple(bind.command),
        )

    def _vantages(
        self,
        expansion: Expansion,
        topology: Topology,
        engine: Engine | None,
        binds: tuple[Bind, ...],
        own: Mapping[str, Service],
    ) -> tuple[Vantage, ...]:
        ports: dict[str, list[int]] = {bind.host: [] for bind in binds}
        for bind in binds:
            if (
                own[bind.name].transport.protocol is Protocol.TCP
            ):  # only such ports are followed when published
                ports[bind.host].append(own[bind.name].port)
        datagrams = any(service.transport.protocol is Protocol.UDP for service in own.values())
        by = Protocol.UDP if datagrams else Protocol.TCP
        by_name, dialling = not isinstance(self.lab, InventoryLab), self._dialling(topology, engine)
        everybody = usual_vantages(topology, dialling, ports, engine, by_name=by_name)
        usual = {vantage.name: vantage for vantage in everybody}
        if self.said.vantages is None:
            return tuple(usual.values())
        vantages = []
        for name, columns in self.said.vantages.items():
            if name in self._gone(topology):
                continue
            check_known(self.file, ("vantages", name), "vantage", name, {SERVER, *dialling})
            if columns is not None:
                vantages.append(expansion.vantage(name, columns, binds, by))
            elif name in usual:
                vantages.append(usual[name])
            else:
                raise self.file.error(("vantages", name), "it is the server's own host: call it server")
        return tuple(vantages)

    def _dialling(self, topology: Topology, engine: Engine | None) -> list[str]:
        """Return who dials: of a lab that is made, neither routers nor servers, which are all alike."""
        if not isinstance(self.lab, MadeLab):
            return [host.name for host in topology.hosts]
        at_engine = engine.host if engine is not None else ""
        others = [host for host in topology.hosts if host.name not in self.hosts.values()]
        return [host.name for host in others if not host.forwards or host.name == at_engine]

    def _gone(self, topology: Topology) -> frozenset[str]:
        """Return the machines that could not be used: the check can't succeed, but goes on without them."""
        machines = self.lab.inventory.machines if isinstance(self.lab, InventoryLab) else ()
        return frozenset(m.name for m in machines) - {host.name for host in topology.hosts}

    def _check_rules(self, whole: Experiment) -> None:
        """Refuse a rule that could not fail, or not be met, and a group of hosts that are not there."""
        if self._gone(whole.topology):
            return  # it may be about them
        for group, members in self.said.groups.items():
            for member in members:
                known = {SERVER, *(host.name for host in whole.topology.hosts)}
                check_known(self.file, ("groups", group), "host", member, known)
        around = Surroundings(whole.topology, self.groups)
        protocols = {bind.name: whole.service_of(bind).transport.protocol for bind in whole.binds}
        for path, problem in pointless(self.rules, tuple(whole.dials()), around, protocols):
            raise self.file.error(("expect", *path), problem)


def load(path: Path) -> CheckFile:
    """Read a `netlab.yaml`.

    Args:
        path: the file.

    Raises:
        FileError: it, or the lab that it names, says something that can't be followed.
        NetlabError: it can't be read.
    """
    folder = path.parent if path.is_file() else Path()  # a pipe, such as a shell's `<(...)`, lies nowhere
    return read(str(path), read_text(path, "check"), folder)


def read(name: str, text: str, folder: Path) -> CheckFile:
    """Read a `netlab.yaml`'s text.

    Args:
        name: what the user calls the file.
        text: YAML 1.2.
        folder: what the files that it names are relative to.

    Raises:
        FileError: it, or the lab that it names, says something that can't be followed.
        NetlabError: a file that it names can't be read.
    """
    file = parse(name, text, CheckError)
    said = file.validate(CheckFileSection, _WHOLE)
    usual = "lan" if said.service.image else "bind-address"
    lab = choose_lab(file, usual if said.lab is None else said.lab, folder)
    groups = _groups_of(lab) | {name: tuple(members) for name, members in said.groups.items()}
    check_file = CheckFile(file, said, lab, groups, folder=folder)
    check_startable(file, said, lab)
    check_file.services()
    if check_file.topology is not None:
        check_file.on(check_file.topology)  # what is wrong with it shows before anything is brought up
    return check_file


def _groups_of(lab: LabChoice) -> dict[str, tuple[str, ...]]:
    """Return the groups of an inventory; other labs have none."""
    groups: dict[str, tuple[str, ...]] = {}
    for machine in lab.inventory.machines if isinstance(lab, InventoryLab) else ():
        for group in machine.groups:
            groups[group] = (*groups.get(group, ()), machine.name)
    return groups


def _own_hosts(binds: Iterable[str]) -> dict[str, str]:
    """Return a host's name for each bind: `any` is `server-any`."""
    hosts: dict[str, str] = {}
    for number, bind in enumerate(binds, start=1):
        word = re.sub(r"[^A-Za-z0-9]+", "-", bind).strip("-")[:40].strip("-")
        name = f"server-{word}" if word else f"server-{number}"
        hosts[bind] = name if name not in hosts.values() else f"{name}-{number}"
    return hosts


def _tuple(patterns: list[str] | None) -> tuple[str, ...] | None:
    return tuple(patterns) if patterns is not None else None
