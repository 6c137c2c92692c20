"""A run of an experiment: lab up, services, facts, predictions, probes, verdicts, lab down.

Data goes one way; every prediction is made before the first probe leaves.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

from netlab.agents import Agents, Answer
from netlab.backends import Lab, LabFactory, ServingLab
from netlab.errors import AgentError
from netlab.experiments import Draft, Experiment
from netlab.experiments.plan import Dial
from netlab.facts import Facts, read_facts
from netlab.matrix import Matrix
from netlab.model import Cell, Observation, Outcome, Verdict
from netlab.predict import View, predict
from netlab.probes import (
    Check,
    Probe,
    ProbeResult,
    ServiceStart,
    judge,
    probe_request,
    read_probe_results,
    read_service_start,
    service_failure,
)

_T = TypeVar("_T")

# What a service needs at most until it listens; a loaded laboratory machine starts Python in about a second.
SERVICE_TIMEOUT_S = 10.0
# What an agent may take beyond the time that its task was given.
_MARGIN_S = 20.0

_NONCE_FILE = "netlab-nonce"

# Told of each phase: its name, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


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
        dials = tuple(experiment.dials())
        port = experiment.service.port
        nonces = {bind.name: secrets.token_hex(16) for bind in experiment.binds}
        services = _start_services(experiment, lab, agents, nonces, progress)
        facts = _read_facts(dials, lab, agents, progress)
        view = View(facts, lab.topology, lab.engine)
        predictions = [predict(view, dial.bind, port, dial.host, dial.target) for dial in dials]
        results = _probe(experiment, dials, agents, nonces, progress)
    cells = tuple(
        Cell(dial.bind, dial.vantage, dial.target, prediction, _observe(services[dial.bind.host], result))
        for dial, prediction, result in zip(dials, predictions, results, strict=True)
    )
    return Matrix(experiment, backend, facts, cells, time.monotonic() - started)


# --- The phases --------------------------------------------------------------------------------------------


def _start_services(
    experiment: Experiment, lab: Lab, agents: Agents, nonces: Mapping[str, str], progress: Progress
) -> dict[str, ServiceStart | AgentError]:
    service = experiment.service
    if isinstance(lab, ServingLab):
        for bind in experiment.binds:
            lab.offer(bind.host, {_NONCE_FILE: nonces[bind.name]})
        return {
            bind.host: ServiceStart(listening=True, exit_code=None, output="") for bind in experiment.binds
        }
    requests = {
        bind.host: {
            "argv": service.argv(bind, lab.python(bind.host)),
            "files": {_NONCE_FILE: nonces[bind.name]},
            "port": service.port,
            "timeout_s": SERVICE_TIMEOUT_S,
        }
        for bind in experiment.binds
    }
    patience_s = SERVICE_TIMEOUT_S + _MARGIN_S
    answers = agents.call("serve", requests, patience_s, partial(progress, "starting servers"))
    return {host: _read(host, answer, read_service_start) for host, answer in answers.items()}


def _read_facts(dials: Iterable[Dial], lab: Lab, agents: Agents, progress: Progress) -> dict[str, Facts]:
    names: dict[str, set[str]] = {host: set() for host in lab.hosts}
    for dial in dials:
        names[dial.host].add(dial.target.address)
        names[dial.bind.host].add(dial.bind.address)
    requests = {host: {"names": sorted(filter(_is_name, asked))} for host, asked in names.items()}
    answers = agents.call("facts", requests, _MARGIN_S, partial(progress, "reading facts"))
    return {host: read_facts(host, _or_raise(answers[host])) for host in lab.hosts}


def _is_name(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return True
    return False


def _or_raise(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, AgentError):
        raise answer
    return answer


def _probe(
    experiment: Experiment,
    dials: tuple[Dial, ...],
    agents: Agents,
    nonces: Mapping[str, str],
    progress: Progress,
) -> list[ProbeResult | AgentError]:
    """Dial every target from every host; the results are in the order of the dials."""
    service = experiment.service
    probes: dict[str, list[Probe]] = {dial.host: [] for dial in dials}
    for number, dial in enumerate(dials):
        check = Check(service.check, _NONCE_FILE, nonces[dial.bind.name])
        probes[dial.host].append(
            Probe(str(number), dial.target.address, dial.target.port or service.port, check)
        )
    requests = {host: probe_request(asked, experiment.patience_s) for host, asked in probes.items()}
    # A name may have several addresses, each tried in turn.
    within_s = experiment.patience_s * 4 + _MARGIN_S
    answers = agents.call("probe", requests, within_s, partial(progress, "dialling"))
    results = {host: _read(host, answer, read_probe_results) for host, answer in answers.items()}
    return [_result(results[dial.host], dial.host, str(number)) for number, dial in enumerate(dials)]


def _read(host: str, answer: Answer, reader: Callable[[str, object], _T]) -> _T | AgentError:
    """Read an agent's answer; what is wrong with it, or that there is none, is the host's own result."""
    try:
        return reader(host, _or_raise(answer))
    except AgentError as error:
        return error


def _result(results: dict[str, ProbeResult] | AgentError, host: str, number: str) -> ProbeResult | AgentError:
    if isinstance(results, AgentError):
        return results
    return results.get(number, AgentError(host, "no result for this probe"))


# --- What they say together --------------------------------------------------------------------------------


def _observe(service: ServiceStart | AgentError, result: ProbeResult | AgentError) -> Observation:
    """Judge a dial, unless the service never listened: then that is what was observed."""
    if isinstance(service, AgentError):
        return Observation(None, not_measured=str(service))
    dialled = Observation(None, not_measured=str(result)) if isinstance(result, AgentError) else judge(result)
    if service.listening:
        return dialled
    if service.exit_code is None:
        why = f"the service did not listen within {SERVICE_TIMEOUT_S:.0f} s; it said: {service.last_line}"
        return replace(dialled, outcome=None, not_measured=why)
    errno = service_failure(service.output)
    ended = f"the service ended with exit code {service.exit_code}: {service.last_line}"
    if not errno:
        return replace(dialled, outcome=None, not_measured=ended)
    return replace(dialled, outcome=Outcome(Verdict.NOT_BOUND, errno), evidence=(ended, *dialled.evidence))
