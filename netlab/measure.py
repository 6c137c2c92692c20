"""Questions to a lab: every answer predicted from facts, then measured, then judged.

Data goes one way; every prediction is made before the first probe leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

from netlab.agents import Agents, Answer
from netlab.checks import Check
from netlab.errors import AgentError
from netlab.experiments.plan import Dial
from netlab.facts import Facts, read_facts
from netlab.judging import judge
from netlab.model import BY_TCP, Cell, Observation, Protocol, Transport
from netlab.predict import View, predict
from netlab.probes import Probe, ProbeResult, probe_request, read_probe_results

_T = TypeVar("_T")

# What an agent may take beyond the time that its task was given.
MARGIN_S = 20.0

# Told of each phase: its name, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Question:
    """What comes of a dial?

    Attributes:
        dial: who dials what, and whose service it should be.
        port: the service's port; the target may name another one, that leads there.
        check: how the service is recognised.
        transport: how it is talked to.
    """

    dial: Dial
    port: int
    check: Check
    transport: Transport = BY_TCP


def read_all_facts(
    agents: Agents,
    names: Mapping[str, Iterable[str]],
    progress: Progress,
    protocols: Collection[Protocol] = (Protocol.TCP,),
) -> dict[str, Facts]:
    """Read the facts of several hosts.

    Args:
        agents: of the lab.
        names: by host, the names and addresses that it will dial.
        progress: told how many hosts have answered.
        protocols: those of the services in question; UDP sockets are read only for one of UDP.

    Raises:
        AgentError: a host's facts can't be read: without them nothing can be predicted.
    """
    datagrams = Protocol.UDP in protocols
    requests = {
        host: {"names": sorted(filter(_is_name, asked)), "datagrams": datagrams}
        for host, asked in names.items()
    }
    answers = agents.call("facts", requests, MARGIN_S * 2, partial(progress, "reading facts"))
    return {host: read_facts(host, or_raise(answers[host])) for host in names}


def measure(
    agents: Agents, view: View, questions: Sequence[Question], patience_s: float, progress: Progress
) -> tuple[Cell, ...]:
    """Predict every answer, then dial from every host at once, and put both together.

    Args:
        agents: of the lab.
        view: the facts of its hosts.
        questions: what is dialled.
        patience_s: how long a dial waits for an answer, in seconds.
        progress: told how many hosts are done.

    Returns:
        A cell a question, in their order.
    """
    predictions = [
        predict(view, q.dial.bind, q.port, q.dial.host, q.dial.target, q.transport) for q in questions
    ]
    observations = _observe(agents, questions, patience_s, progress)
    return tuple(
        Cell(q.dial.bind, q.dial.vantage, q.dial.target, prediction, observation, q.transport.protocol)
        for q, prediction, observation in zip(questions, predictions, observations, strict=True)
    )


def _observe(
    agents: Agents, questions: Sequence[Question], patience_s: float, progress: Progress
) -> list[Observation]:
    probes: dict[str, list[Probe]] = {q.dial.host: [] for q in questions}
    for number, q in enumerate(questions):
        target = q.dial.target
        port, protocol = target.port or q.port, q.transport.protocol
        probes[q.dial.host].append(Probe(str(number), target.address, port, q.check, protocol))
    requests = {host: probe_request(asked, patience_s) for host, asked in probes.items()}
    # A name may have several addresses, each tried in turn.
    answers = agents.call("probe", requests, patience_s * 4 + MARGIN_S, partial(progress, "dialling"))
    results = {host: read(host, answer, read_probe_results) for host, answer in answers.items()}
    return [
        _judged(results[q.dial.host], str(number), q.transport.protocol) for number, q in enumerate(questions)
    ]


def _judged(results: dict[str, ProbeResult] | AgentError, number: str, protocol: Protocol) -> Observation:
    if isinstance(results, AgentError):
        return Observation(None, not_measured=str(results))
    if number not in results:
        return Observation(None, not_measured="the agent gave no result for this probe")
    return judge(results[number], protocol)


def read(host: str, answer: Answer, reader: Callable[[str, object], _T]) -> _T | AgentError:
    """Read an agent's answer; what is wrong with it, or that there is none, is the host's own result."""
    try:
        return reader(host, or_raise(answer))
    except AgentError as error:
        return error


def or_raise(answer: Answer) -> dict[str, Any]:
    """Return an agent's answer.

    Raises:
        AgentError: it gave none.
    """
    if isinstance(answer, AgentError):
        raise answer
    return answer


def _is_name(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return True
    return False
