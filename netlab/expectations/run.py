"""A check, run: the lab that the file means, the matrix, and every cell held against the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netlab.backends import Lab, backend, load_attribute
from netlab.errors import NetlabError
from netlab.expectations.checkfile import CheckFile
from netlab.expectations.labs import ComposeFileLab, InventoryLab, LabChoice, MadeLab, RunningProject
from netlab.expectations.results import Checked, hold
from netlab.experiments.plan import ComposeFile
from netlab.matrix import Matrix
from netlab.measure import Progress
from netlab.model import Topology
from netlab.run import Watcher, unwatched
from netlab.run import run as run_experiment

# Told of a check's lab and of what came of it, while the lab is still up.
BeforeDown = Callable[[Lab, Checked], None]


@dataclass(frozen=True)
class Terms:
    """How the lab is made or reached.

    Attributes:
        backend: for a lab that is made; the file's own kind of lab decides otherwise.
        accept_new: whether SSH host keys that are not known yet are recorded and believed.
    """

    backend: str = ""
    accept_new: bool = False


def run(
    check_file: CheckFile,
    terms: Terms,
    progress: Progress,
    before_down: BeforeDown = lambda lab, checked: None,
    watcher: Watcher = unwatched,
) -> Checked:
    """Run a check.

    Args:
        check_file: what is asked.
        terms: how the lab is made or reached.
        progress: told of each phase.
        before_down: called when everything is measured; the lab stays up until it returns.
        watcher: looks on in the lab.

    Raises:
        BackendUnavailableError: this machine can't bring up such a lab.
        NetlabError: the file names something that the lab does not have.
        LabError: the lab failed.
    """
    name, lab = _lab(check_file, terms, progress)

    def held(matrix: Matrix) -> Checked:
        failures = tuple(f"{host}: {error}" for host, error in getattr(lab, "failures", {}).items())
        topology = matrix.experiment.topology
        return hold(matrix, lambda dial: check_file.expectation(dial, topology), failures)

    def tell(lab: Lab, matrix: Matrix) -> None:
        before_down(lab, held(matrix))

    return held(run_experiment(check_file, name, lab, progress, tell, watcher))


def _lab(check_file: CheckFile, terms: Terms, progress: Progress) -> tuple[str, Lab]:
    image = check_file.said.service.image
    if image is None:
        hosts = tuple(check_file.hosts.values())
        return lab_of(check_file.lab, check_file.topology, hosts, terms, progress, check_file.folder)
    _check_backend(terms, "compose")
    of_images = load_attribute("compose", "netlab.backends.compose.described:ImageLab")
    return "compose", of_images(check_file.described, check_file.image_servers(image))


def lab_of(
    choice: LabChoice,
    topology: Topology | None,
    servers: tuple[str, ...],
    terms: Terms,
    progress: Progress,
    directory: Path = Path(),
) -> tuple[str, Lab]:
    """Return the name of the backend, and the lab that is meant, not entered yet.

    Args:
        choice: where it takes place.
        topology: the hosts and networks of a lab that is made.
        servers: the services under test of a Compose file.
        terms: how it is made or reached.
        progress: told of each phase.
        directory: where services start in a lab that is made.

    Raises:
        BackendUnavailableError: a library is missing.
        NetlabError: the terms don't go with the choice.
    """
    kind = {MadeLab: "netns", InventoryLab: "ssh"}.get(type(choice), "compose")
    name = _check_backend(terms, kind)
    match choice:
        case MadeLab():
            assert topology is not None
            return name, backend(name)(topology, directory)
        case ComposeFileLab(path):
            return name, backend(name)(ComposeFile(path, servers))
        case RunningProject(project):
            return name, load_attribute(name, "netlab.backends.compose.attached:AttachedProject")(project)
        case InventoryLab(inventory):
            ssh = load_attribute(name, "netlab.backends.ssh:Terms")(accept_new=terms.accept_new)
            open_ssh = load_attribute(name, "netlab.backends.ssh:SshLab")
            return name, open_ssh(inventory, ssh, partial(progress, "connecting"))


def _check_backend(terms: Terms, kind: str) -> str:
    """Return the backend that a lab is for.

    Raises:
        NetlabError: another one was asked for.
    """
    if terms.backend not in ("", kind):
        raise NetlabError(f"the lab is one for the backend {kind}, not for {terms.backend}")
    return kind
