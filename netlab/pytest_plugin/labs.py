"""The lab that a test wants, ready to be entered: the same kinds as in `netlab.yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.backends import backend as factory_of
from netlab.expectations.labs import LabChoice, MadeLab, choose_lab
from netlab.expectations.run import Terms, lab_of
from netlab.experiments import load, shipped
from netlab.experiments.plan import ComposeFile
from netlab.experiments.said import said_by
from netlab.experiments.topology import describe

if TYPE_CHECKING:
    from netlab.backends import Lab
    from netlab.model import Topology
    from netlab.pytest_plugin.wanted import Wanted

# The host of a server, where a lab is made for a test.
SERVER = "server"


def make_lab(wanted: Wanted) -> Lab:
    """Return the lab that a test wants.

    Raises:
        BackendUnavailableError: a library that the backend needs is missing.
        NetlabError: there is no such lab, its file is wrong, or it is none for the backend.
    """
    if wanted.backend == "compose" and wanted.lab in shipped():
        compose_file = load(wanted.lab, wanted.backend).lab
        if isinstance(compose_file, ComposeFile):
            return factory_of(wanted.backend)(compose_file)
    said = {wanted.kind: wanted.lab} if wanted.kind else wanted.lab
    choice = choose_lab(said_by(wanted.source, lab=said), said, wanted.source.parent)
    return lab_of(choice, _topology(choice), (), Terms(wanted.backend), lambda *_: None)[1]


def _topology(choice: LabChoice) -> Topology | None:
    if not isinstance(choice, MadeLab):
        return None
    taken = choice.file.error(("hosts", SERVER), f"{SERVER} is the name of the host that servers run on")
    return describe(choice.file, choice.said, {SERVER: taken})
