"""Experiments: a lab, a service, the binds to try, and who dials what.

`load` finds one by name or by file and reads it (`schema`). Where the file describes the lab, `topology`
works it out; where a Compose file does, it is known once it is up. Then `expand` works out what each dial is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path

from netlab.errors import FileError, NetlabError
from netlab.experiments.expand import expand
from netlab.experiments.plan import EVERYTHING, ComposeFile, Experiment, Selection
from netlab.experiments.schema import ComposeExperimentSection, Document, read
from netlab.experiments.topology import describe
from netlab.facts import Engine
from netlab.model import Topology
from netlab.textfile import read_text

__all__ = ["ComposeFile", "Draft", "Experiment", "load", "shipped"]


@dataclass(frozen=True)
class Draft:
    """An experiment whose lab is not up yet.

    Attributes:
        name: the experiment's.
        document: its validated file.
        folder: what a Compose file that it names is relative to.
        selection: the part of the matrix that is wanted.
    """

    name: str
    document: Document
    folder: Path
    selection: Selection = EVERYTHING

    @cached_property
    def lab(self) -> Topology | ComposeFile:
        """What a backend is asked to bring up."""
        said = self.document.experiment
        if not isinstance(said, ComposeExperimentSection):
            return describe(self.document.file, said, self._servers())
        file = self.folder / said.compose
        if not file.is_file():
            raise self.document.error(("compose",), f"there is no file {file}")
        return ComposeFile(file, tuple(bind.host for bind in said.binds.values()))

    def _servers(self) -> dict[str, FileError]:
        """Return the hosts of the binds, each with the error that there is another of that name."""
        servers: dict[str, FileError] = {}
        for bind, section in self.document.experiment.binds.items():
            taken = self.document.error(("binds", bind, "host"), f"a second host called {section.host!r}")
            if section.host in servers:
                raise taken
            servers[section.host] = taken
        return servers

    def only(self, selection: Selection) -> Draft:
        """Return the experiment with a part of its matrix.

        Raises:
            NetlabError: a name that the experiment does not have; the message lists those that it has.
        """
        said = self.document.experiment
        selection.check("bind", selection.binds, said.binds)
        selection.check("vantage", selection.vantages, said.vantages)
        for vantage in selection.vantages or said.vantages:
            selection.check(f"target of {vantage}", selection.targets, said.vantages[vantage])
        return replace(self, selection=selection)

    def on(self, topology: Topology, engine: Engine | None = None) -> Experiment:
        """Return the experiment, worked out for a lab.

        Args:
            topology: the lab's.
            engine: what a container engine adds to it, where there is one.

        Raises:
            ExperimentError: the file names something that the lab does not have.
        """
        return expand(self.name, self.document, self.folder, topology, engine).only(self.selection)


def shipped() -> tuple[str, ...]:
    """Return the names of the experiments that come with netlab."""
    files = (entry.name for entry in resources.files(__package__).iterdir())
    return tuple(sorted({name.split(".")[0] for name in files if name.endswith(".yaml")}))


def load(name: str, backend: str = "netns") -> Draft:
    """Return the experiment of that name, or in that file.

    Args:
        name: one of `shipped()`, or a path to a YAML file.
        backend: a shipped experiment may have a file of its own for it.

    Raises:
        ExperimentError: the file says something that can't be followed.
        NetlabError: there is no such experiment, or the file can't be read.
    """
    draft = _load_shipped(name, backend) if name in shipped() else _load_file(name)
    if isinstance(draft.lab, Topology):
        draft.on(draft.lab)  # what is wrong with it shows before anything is brought up
    return draft


def _load_shipped(name: str, backend: str) -> Draft:
    folder = resources.files(__package__)
    own = f"{name}.{backend}.yaml"
    file = own if folder.joinpath(own).is_file() else f"{name}.yaml"
    text = folder.joinpath(file).read_text(encoding="utf-8")
    return Draft(name, read(file, text), _home())


def _home() -> Path:
    """Return where the project's compose.yaml is: in the installed package, or on top of a checkout."""
    package = Path(__file__).parent.parent
    return package if (package / "compose.yaml").is_file() else package.parent


def _load_file(name: str) -> Draft:
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        raise NetlabError(
            f"no experiment is called {name!r}: there is {', '.join(shipped())}, or the path of a .yaml file"
        )
    text = read_text(path, "experiment")
    return Draft(path.stem, read(name, text), path.parent)
