"""Where the check takes place: a lab that is made for it, or one that is there already."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from netlab import experiments
from netlab.errors import ExperimentError
from netlab.experiments.schema import ExperimentSection, LabSection
from netlab.inventory import Inventory, load_inventory
from netlab.textfile import read_text
from netlab.yamlfile import Section, YamlFile, did_you_mean, parse

_WHOLE = "a lab, with keys such as networks and hosts"
_KEYS = "compose, project, inventory, or networks, names, servers and hosts"


@dataclass(frozen=True)
class MadeLab:
    """Networks and hosts, in a file that says so.

    Attributes:
        file: that file, to point into.
        said: its values.
    """

    file: YamlFile
    said: LabSection


@dataclass(frozen=True)
class ComposeFileLab:
    """A Compose file, brought up for the check and taken down after it."""

    path: Path


@dataclass(frozen=True)
class RunningProject:
    """A Compose project that runs; it is left as it is."""

    name: str


@dataclass(frozen=True)
class InventoryLab:
    """Real machines."""

    inventory: Inventory


LabChoice = MadeLab | ComposeFileLab | RunningProject | InventoryLab


class _ComposeForm(Section):
    compose: str


class _ProjectForm(Section):
    project: str


class _InventoryForm(Section):
    inventory: str


# What may stand below `lab`, besides a name or a file.
FORMS: tuple[type[Section], ...] = (_ComposeForm, _ProjectForm, _InventoryForm, LabSection)


def choose_lab(file: YamlFile, said: Any, folder: Path) -> LabChoice:
    """Work out which lab a file means.

    Args:
        file: the file, to point into.
        said: what stands below `lab`: a name, a file, or a mapping.
        folder: what files are relative to.

    Raises:
        FileError: there is no such lab, or it says something that can't be followed.
        NetlabError: a file can't be read.
    """
    if isinstance(said, str):
        return _named(file, said, folder)
    keys = [*said] if isinstance(said, dict) else []
    if "compose" in keys:
        path = folder / file.validate(_ComposeForm, _KEYS, ("lab",)).compose
        return ComposeFileLab(_existing(file, ("lab", "compose"), path))
    if "project" in keys:
        return RunningProject(file.validate(_ProjectForm, _KEYS, ("lab",)).project)
    if "inventory" in keys:
        path = folder / file.validate(_InventoryForm, _KEYS, ("lab",)).inventory
        return InventoryLab(load_inventory(_existing(file, ("lab", "inventory"), path)))
    if not {"networks", "servers", "hosts", "names"} & {*keys}:
        raise file.error(("lab",), f"expected the name of a lab, the file of one, or a mapping with {_KEYS}")
    # The errors of a lab point to where its keys stand: below `lab`.
    inner = YamlFile(file.name, file.tree["lab"], file.kind)
    return MadeLab(inner, file.validate(LabSection, _KEYS, ("lab",)))


def _existing(file: YamlFile, key: tuple[str, ...], path: Path) -> Path:
    if not path.is_file():
        raise file.error(key, f"there is no file {path}")
    return path


def _named(file: YamlFile, name: str, folder: Path) -> MadeLab:
    if name in shipped_labs():
        text = shipped_labs()[name].read_text(encoding="utf-8")
        return _read(f"{name}.yaml", text)
    path = folder / name
    if path.suffix not in {".yaml", ".yml"}:
        there = ", ".join(shipped_labs())
        raise file.error(
            ("lab",),
            f"no lab is called {name!r}{did_you_mean(name, shipped_labs())}: there is {there}, "
            "or the path of a .yaml file",
        )
    return _read(name, read_text(_existing(file, ("lab",), path), "lab"))


def shipped_labs() -> dict[str, Any]:
    """Return the files of the labs that come with netlab, by name; an experiment's lab has its name."""
    package = resources.files(experiments.__name__)
    labs = {entry.name.removesuffix(".yaml"): entry for entry in package.joinpath("labs").iterdir()}
    labs["bind-address"] = package.joinpath("bind-address.yaml")
    return dict(sorted(labs.items()))


def _read(name: str, text: str) -> MadeLab:
    """Read a lab's file, or that of an experiment with a lab in it."""
    file = parse(name, text, ExperimentError)
    whole = isinstance(file.tree, dict) and "binds" in file.tree
    return MadeLab(file, file.validate(ExperimentSection if whole else LabSection, _WHOLE))
