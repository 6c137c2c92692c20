"""A run of an experiment: lab up, services, facts, predictions, probes, verdicts, lab down."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from netlab.agents import Agents
from netlab.backends import Lab, LabFactory, ServingLab
from netlab.errors import AgentError
from netlab.experiments import Draft, Experiment
from netlab.matrix import Matrix
from netlab.measure import MARGIN_S, Progress, Question, measure, read, read_all_facts
from netlab.model import Cell, Observation, Outcome, Verdict
from netlab.predict import View
from netlab.probes import Check, ServiceStart, read_service_start, service_failure

# What a service needs at most until it listens; a loaded laboratory machine starts Python in about a second.
SERVICE_TIMEOUT_S = 10.0

_NONCE_FILE = "netlab-nonce"

Services = Mapping[str, ServiceStart | AgentError]


def run(draft: Draft, backend: str, factory: LabFactory, progress: Progress) -> Matrix:
    """Run an experiment.

    Args:
        draft: what to bring up, and what to dial in it.
        backend: the backend's name, for the record.
        factory: what brings the lab up.
        progress: told of each phase.

    Raises:
        BackendUnavailableError: this machine can't bring up such a lab.
        LabError: the lab failed, or a host's facts can't be read: nothing is left to compare.
    """
    started = time.monotonic()
    progress("bringing the lab up", 0, 1)
    with factory(draft.lab) as lab, Agents(lab) as agents:
        experiment = draft.on(lab.topology, lab.engine)
        nonces = {bind.name: secrets.token_hex(16) for bind in experiment.binds}
        questions = _questions(experiment, nonces)
        services = _start_services(experiment, lab, agents, nonces, progress)
        facts = read_all_facts(agents, _names(lab, questions), progress)
        view = View(facts, lab.topology, lab.engine)
        dialled = measure(agents, view, questions, experiment.patience_s, progress)
    cells = tuple(_with_service(cell, services[cell.bind.host]) for cell in dialled)
    return Matrix(experiment, backend, facts, cells, time.monotonic() - started)


def _questions(experiment: Experiment, nonces: Mapping[str, str]) -> list[Question]:
    service = experiment.service
    checks = {name: Check(service.check, _NONCE_FILE, nonce) for name, nonce in nonces.items()}
    return [Question(dial, service.port, checks[dial.bind.name]) for dial in experiment.dials()]


def _names(lab: Lab, questions: Sequence[Question]) -> dict[str, set[str]]:
    """Return for each host what it will resolve: what it dials, and what its service is told to bind."""
    names: dict[str, set[str]] = {host: set() for host in lab.hosts}
    for question in questions:
        names[question.dial.host].add(question.dial.target.address)
        names[question.dial.bind.host].add(question.dial.bind.address)
    return names


def _start_services(
    experiment: Experiment, lab: Lab, agents: Agents, nonces: Mapping[str, str], progress: Progress
) -> Services:
    if isinstance(lab, ServingLab):
        for bind in experiment.binds:
            lab.offer(bind.host, {_NONCE_FILE: nonces[bind.name]})
        running = ServiceStart(listening=True, exit_code=None, output="")
        return {bind.host: running for bind in experiment.binds}
    service = experiment.service
    requests = {
        bind.host: {
            "argv": service.argv(bind, lab.python(bind.host)),
            "files": {_NONCE_FILE: nonces[bind.name]},
            "port": service.port,
            "timeout_s": SERVICE_TIMEOUT_S,
        }
        for bind in experiment.binds
    }
    patience_s = SERVICE_TIMEOUT_S + MARGIN_S
    answers = agents.call("serve", requests, patience_s, partial(progress, "starting servers"))
    return {host: read(host, answer, read_service_start) for host, answer in answers.items()}


def _with_service(cell: Cell, service: ServiceStart | AgentError) -> Cell:
    """Return what was observed, where the service listened; where it never did, that is what was observed."""
    dialled = cell.observation
    if isinstance(service, AgentError):
        return replace(cell, observation=Observation(None, not_measured=str(service)))
    if service.listening:
        return cell
    if service.exit_code is None:
        why = f"the service did not listen within {SERVICE_TIMEOUT_S:.0f} s; it said: {service.last_line}"
        return replace(cell, observation=replace(dialled, outcome=None, not_measured=why))
    errno = service_failure(service.output)
    ended = f"the service ended with exit code {service.exit_code}: {service.last_line}"
    if not errno:
        return replace(cell, observation=replace(dialled, outcome=None, not_measured=ended))
    bound = replace(dialled, outcome=Outcome(Verdict.NOT_BOUND, errno), evidence=(ended, *dialled.evidence))
    return replace(cell, observation=bound)
