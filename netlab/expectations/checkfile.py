"""`netlab.yaml`, read: what it says, and the experiment that it is in a lab."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from netlab.errors import FileError, NetlabError
from netlab.expectations.labs import InventoryLab, LabChoice, MadeLab, choose_lab
from netlab.expectations.placing import Placement
from netlab.expectations.pointless import pointless
from netlab.expectations.rules import Expectation, Rule, Surroundings, expectation_of
from netlab.expectations.schema import CheckFileSection
from netlab.expectations.services import services_of, usual_service
from netlab.expectations.startable import check_startable
from netlab.experiments.plan import (
    EVERYTHING,
    SERVER,
    Dial,
    Experiment,
    Headline,
    ImageServer,
    Selection,
    Service,
)
from netlab.experiments.schema import check_known
from netlab.experiments.topology import describe
from netlab.facts import Engine
from netlab.model import Topology
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
        placement = self._placement(topology, engine)
        whole = self._whole(placement)
        if not placement.gone:  # else a rule may be about them
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

    def services(self) -> Mapping[str, Service]:
        """Return the service of each bind, by the bind's name.

        Raises:
            FileError: nobody could recognise one.
        """
        return services_of(self.file, self.said, self.folder)

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
        placement = self._placement(self.described)
        servers = {}
        for name, service in self.services().items():
            bind = placement.bind(name)
            argv = tuple(service.argv(bind, "python3", ("hftp",)))
            servers[bind.host] = ImageServer(image, argv, service.contents(bind, "python3", ""))
        return servers

    def _placement(self, topology: Topology, engine: Engine | None = None) -> Placement:
        return Placement(self.file, self.said, self.lab, self.hosts, topology, engine)

    def _whole(self, placement: Placement) -> Experiment:
        """Return the experiment with every bind and every vantage."""
        binds, own = placement.binds, self.services()
        if self.said.service.image is not None:  # the engine starts them
            own = {name: replace(service, command=()) for name, service in own.items()}
        return Experiment(
            name=self.name,
            title=self.said.title or "Is it as it should be?",
            topology=placement.topology,
            service=usual_service(self.file, self.said, self.folder),
            binds=binds,
            vantages=placement.vantages(own),
            headline=Headline((), ()),
            patience_s=self.said.patience_s,
            own=own,
        )

    def _check_rules(self, whole: Experiment) -> None:
        """Refuse a rule that could not fail, or not be met, and a group of hosts that are not there."""
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
    with suppress(OSError):  # read_text says what
        if not path.exists():
            raise NetlabError(f"{path}: No such file or directory: netlab init writes one")
    text = read_text(path, "check")
    folder = path.parent if path.is_file() else Path()  # a pipe, such as a shell's `<(...)`, lies nowhere
    return read(str(path), text, folder)


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
