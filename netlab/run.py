"""A run of an experiment: lab up, services, facts, predictions, probes, verdicts, lab down."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from netlab.agents import Agents, agents_of
from netlab.backends import Lab, ServingLab
from netlab.checks import for_run
from netlab.errors import AgentError
from netlab.experiments.plan import Dial, Experiment
from netlab.facts import Engine, Facts
from netlab.matrix import Matrix
from netlab.measure import MARGIN_S, Progress, Question, measure, read, read_all_facts
from netlab.model import Cell, Observation, Outcome, Topology, Verdict
from netlab.predict import View
from netlab.predict.binding import describe_others
from netlab.starting import NONCE_FILE, ServiceStart, read_service_start, serve_request, service_failure

# What a service needs at most until it listens; a loaded laboratory machine starts Python in about a second.
SERVICE_TIMEOUT_S = 10.0

_PAUSE_S = 0.2  # between two looks at whether it listens

Services = Mapping[str, ServiceStart | AgentError]

# Told of a run's lab and of what came of it, while the lab is still up.
BeforeDown = Callable[[Lab, Matrix], None]

# Told when a round is dialled: its part of the experiment, and its services, which still run.
RoundOver = Callable[[Experiment, Services], None]

# Looks on in a lab as long as its context lasts.
Watcher = Callable[[Lab, Experiment], AbstractContextManager[RoundOver]]


@contextmanager
def unwatched(lab: Lab, experiment: Experiment) -> Iterator[RoundOver]:
    """Be a watcher who takes no notice."""
    yield lambda experiment, services: None


class Draft(Protocol):
    """What is to be dialled, before the lab is up."""

    def on(self, topology: Topology, engine: Engine | None) -> Experiment:
        """Return it worked out for a lab.

        Args:
            topology: the lab's.
            engine: what a container engine adds to it, where there is one.

        Raises:
            NetlabError: it names something that the lab does not have.
        """


def run(
    draft: Draft,
    backend: str,
    lab: Lab,
    progress: Progress,
    before_down: BeforeDown = lambda lab, matrix: None,
    watcher: Watcher = unwatched,
) -> Matrix:
    """Run an experiment.

    Args:
        draft: what to dial in the lab.
        backend: the backend's name, for the record.
        lab: what is brought up for it.
        progress: told of each phase.
        before_down: called when everything is measured. The services of the last round still run; the lab
            stays up until it returns.
        watcher: looks on, from before the first service is started until `before_down` has returned.

    Raises:
        BackendUnavailableError: this machine can't bring up such a lab.
        LabError: the lab failed, or a host's facts can't be read: nothing is left to compare.
    """
    started = time.monotonic()
    progress("bringing the lab up", 0, 1)
    cells: dict[Dial, Cell] = {}
    facts: dict[str, Mapping[str, Facts]] = {}
    with lab, agents_of(lab) as agents:
        experiment = draft.on(lab.topology, lab.engine)
        with watcher(lab, experiment) as round_over:
            for binds in experiment.rounds():
                now = replace(experiment, binds=binds)
                found, seen = _round(now, lab, agents, progress, round_over)
                cells.update(found)
                facts.update({bind.name: seen for bind in binds})
            rows = tuple(cells[dial] for dial in experiment.dials())
            matrix = Matrix(experiment, backend, facts, rows, time.monotonic() - started)
            before_down(lab, matrix)
    return matrix


def _round(
    experiment: Experiment, lab: Lab, agents: Agents, progress: Progress, round_over: RoundOver
) -> tuple[dict[Dial, Cell], Mapping[str, Facts]]:
    """Try binds of different hosts at the same time."""
    nonces = {bind.name: secrets.token_hex(16) for bind in experiment.binds}
    questions = _questions(experiment, nonces)
    services = _start_services(experiment, lab, agents, nonces, progress)
    facts = _facts_of_running(experiment, lab, agents, _names(lab, questions), progress)
    view = View(facts, lab.topology, lab.engine, lab.complete)
    cells = measure(agents, view, questions, experiment.patience_s, progress)
    services = _services_now(experiment, agents, services, progress)
    round_over(experiment, services)
    judged = (
        _with_service(cell, question.port, services[cell.bind.host], facts[cell.bind.host])
        for cell, question in zip(cells, questions, strict=True)
    )
    return {question.dial: cell for question, cell in zip(questions, judged, strict=True)}, facts


def _facts_of_running(
    experiment: Experiment,
    lab: Lab,
    agents: Agents,
    names: Mapping[str, set[str]],
    progress: Progress,
) -> dict[str, Facts]:
    """Read the facts once the services listen: those that came up with the lab may need a moment yet."""
    deadline = time.monotonic() + SERVICE_TIMEOUT_S
    while True:
        facts = read_all_facts(agents, names, progress, experiment.protocols)
        missing = isinstance(lab, ServingLab) and any(
            all(socket.port != service.port for socket in facts[host].sockets(service.transport.protocol))
            for host, service in ((bind.host, experiment.service_of(bind)) for bind in experiment.binds)
        )
        if not missing or time.monotonic() > deadline:
            return facts
        time.sleep(_PAUSE_S)


def _questions(experiment: Experiment, nonces: Mapping[str, str]) -> list[Question]:
    questions = []
    for dial in experiment.dials():
        service = experiment.service_of(dial.bind)
        check = for_run(service.check, NONCE_FILE, nonces[dial.bind.name])
        questions.append(Question(dial, service.port, check, service.transport))
    return questions


def _names(lab: Lab, questions: Sequence[Question]) -> dict[str, set[str]]:
    """Return for each host what it will resolve: what it dials, and what its service is told to bind."""
    names: dict[str, set[str]] = {host: set() for host in lab.hosts}
    for question in questions:
        names[question.dial.host].add(question.dial.target.address)
        if question.dial.bind.address:
            names[question.dial.bind.host].add(question.dial.bind.address)
    return names


def _start_services(
    experiment: Experiment, lab: Lab, agents: Agents, nonces: Mapping[str, str], progress: Progress
) -> Services:
    running = ServiceStart(listening=True, exit_code=None, output="")
    services: dict[str, ServiceStart | AgentError] = {}
    requests = {}
    for bind in experiment.binds:
        service = experiment.service_of(bind)
        if not service.command:
            if isinstance(lab, ServingLab):
                lab.offer(bind.host, {NONCE_FILE: nonces[bind.name]})
            services[bind.host] = running
            continue
        program, python, nonce = lab.hftp(bind.host), lab.python(bind.host), nonces[bind.name]
        requests[bind.host] = serve_request(service, bind, program, python, nonce, SERVICE_TIMEOUT_S)
    patience_s = SERVICE_TIMEOUT_S + MARGIN_S
    answers = agents.call("serve", requests, patience_s, partial(progress, "starting servers"))
    started = {host: read(host, answer, read_service_start) for host, answer in answers.items()}
    return services | started


def _services_now(experiment: Experiment, agents: Agents, services: Services, progress: Progress) -> Services:
    """Look at the services again when all is dialled: some listen, and end at once."""
    asked: dict[str, dict[str, object]] = {
        bind.host: {}
        for bind in experiment.binds
        if experiment.service_of(bind).command and not isinstance(services[bind.host], AgentError)
    }
    answers = agents.call("served", asked, MARGIN_S, partial(progress, "looking at servers"))
    return {**services, **{host: read(host, answer, read_service_start) for host, answer in answers.items()}}


def _with_service(cell: Cell, port: int, service: ServiceStart | AgentError, facts: Facts) -> Cell:
    """Return what was observed, where the service listened; where it never did, that is what was observed.

    A program that puts itself into the background ends with 0 and goes on listening; one that ended with
    anything else, or left no socket, failed. If it did listen before, that explains what was refused, and
    nothing else.
    """
    dialled = cell.observation
    if isinstance(service, AgentError):
        return replace(cell, observation=Observation(None, not_measured=str(service)))
    refused = dialled.outcome == Outcome(Verdict.REFUSED)
    if service.listening and not ((service.exit_code or service.gone) and refused):
        return cell
    if service.exit_code is None:
        why = _not_listening(cell.protocol.port(port), service, describe_others(facts, cell.protocol))
        return replace(cell, observation=replace(dialled, outcome=None, not_measured=why))
    errno = service_failure(service.output)
    ended = f"the service ended with exit code {service.exit_code}: {service.last_line}"
    if not errno:
        return replace(cell, observation=replace(dialled, outcome=None, not_measured=ended))
    bound = replace(dialled, outcome=Outcome(Verdict.NOT_BOUND, errno), evidence=(ended, *dialled.evidence))
    return replace(cell, observation=bound)


def _not_listening(port: str, service: ServiceStart, others: str) -> str:
    """Say that a service runs and does not listen on its port, and which ports are listened on there."""
    waited = f"within {SERVICE_TIMEOUT_S:.0f} s{others}"
    return f"the service did not listen on {port} {waited}; it said: {service.last_line}"
