"""A check, run: the lab that the file means, the matrix, and every cell held against the rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from netlab.backends import Lab, backend, load_attribute
from netlab.errors import NetlabError
from netlab.expectations.checkfile import CheckFile
from netlab.expectations.labs import ComposeFileLab, InventoryLab, MadeLab, RunningProject
from netlab.expectations.results import Checked, hold
from netlab.experiments.plan import ComposeFile
from netlab.measure import Progress
from netlab.model import Topology
from netlab.run import run as run_experiment


@dataclass(frozen=True)
class Terms:
    """How the lab is made or reached.

    Attributes:
        backend: for a lab that is made; the file's own kind of lab decides otherwise.
        accept_new: whether SSH host keys that are not known yet are recorded and believed.
    """

    backend: str = ""
    accept_new: bool = False


def run(check_file: CheckFile, terms: Terms, progress: Progress) -> Checked:
    """Run a check.

    Args:
        check_file: what is asked.
        terms: how the lab is made or reached.
        progress: told of each phase.

    Raises:
        BackendUnavailableError: this machine can't bring up such a lab.
        NetlabError: the file names something that the lab does not have.
        LabError: the lab failed.
    """
    name, lab = open_lab(check_file, terms, progress)
    matrix = run_experiment(check_file, name, lab, progress)
    failures = tuple(f"{host}: {error}" for host, error in getattr(lab, "failures", {}).items())
    topology = matrix.experiment.topology
    return hold(matrix, lambda dial: check_file.expectation(dial, topology), failures)


def open_lab(check_file: CheckFile, terms: Terms, progress: Progress) -> tuple[str, Lab]:
    """Return the name of the backend, and the lab that the file means, not entered yet.

    Raises:
        BackendUnavailableError: a library is missing.
        NetlabError: the terms don't go with the file.
    """
    kind = {MadeLab: "netns", InventoryLab: "ssh"}.get(type(check_file.lab), "compose")
    name = terms.backend or kind
    if name != kind:
        raise NetlabError(f"{check_file.name}: its lab is one for the backend {kind}, not for {name}")
    match check_file.lab:
        case MadeLab():
            assert isinstance(check_file.topology, Topology)
            return name, backend(name)(check_file.topology)
        case ComposeFileLab(path):
            return name, backend(name)(ComposeFile(path, tuple(check_file.hosts.values())))
        case RunningProject(project):
            return name, load_attribute(name, "netlab.backends.compose.attached:AttachedProject")(project)
        case InventoryLab(inventory):
            ssh = load_attribute(name, "netlab.backends.ssh:Terms")(accept_new=terms.accept_new)
            lab_of = load_attribute(name, "netlab.backends.ssh:SshLab")
            return name, lab_of(inventory, ssh, partial(progress, "connecting"))
