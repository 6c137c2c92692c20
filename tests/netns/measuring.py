"""Put hosts of a lab into a state, read their facts, dial: what the predictor's tests have in common."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.checks import AnyAnswer, Banner, Check, Tcp
from netlab.errors import AgentError
from netlab.facts import Facts, read_facts
from netlab.judging import judge
from netlab.model import (
    BY_TCP,
    AnswersFrom,
    Bind,
    Link,
    Observation,
    Prediction,
    Protocol,
    Target,
    Transport,
    Verdict,
)
from netlab.predict import View, predict
from netlab.probes import Probe, ProbeResult, probe_request, read_probe_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlab.agents import Agents
    from netlab.backends import Channel, Lab

PORT = 19500
BY_UDP = Transport(Protocol.UDP)
BY_UDP_FROM_DIALLED = Transport(Protocol.UDP, AnswersFrom.DIALLED)
# A port each, so that one lab serves all of them.
PORTS = {BY_TCP: PORT, BY_UDP: PORT, BY_UDP_FROM_DIALLED: PORT + 1}
CHECKS: dict[str, Check] = {"tcp": Tcp(), "banner": Banner("socket"), "any-answer": AnyAnswer(b"?")}
PROGRAM = Path(__file__).with_name("lab_program.py").read_text()


def link(device: str, network: str, *addresses: str) -> Link:
    return Link(device, network, tuple(ip_interface(address) for address in addresses))


def start(lab: Lab, host: str, plan: Mapping[str, Any], running: ExitStack) -> Channel:
    """Start the program on a host, with its plan; it ends with the exit stack."""
    channel = lab.spawn(host, [lab.python(host), "-I", "-S", "-c", PROGRAM])
    running.callback(channel.close)
    channel.send(json.dumps(plan).encode() + b"\n")
    return channel


def socket_of(transport: Transport, device: str | None = None) -> dict[str, Any]:
    """Return in the plan's words a wildcard socket that is talked to so."""
    return {
        "address": "::",
        "port": PORTS[transport],
        "v6only": False,
        "device": device,
        "protocol": transport.protocol,
        "from_dialled": transport.answers_from is AnswersFrom.DIALLED,
    }


def refused(channel: Channel) -> list[list[Any]]:
    """Wait until the plan is carried out; return what the kernel refused of it."""
    line = channel.readline(20)
    assert line, channel.diagnostics()
    answer: list[list[Any]] = json.loads(line)
    return answer


def read(agents: Agents, hosts: Iterable[str], *names: str) -> dict[str, Facts]:
    """Read the facts of hosts."""
    asked = {host: {"names": list(names), "datagrams": True} for host in hosts}
    answers = agents.call("facts", asked, 30, _nobody)
    return {host: read_facts(host, _answer(answer)) for host, answer in answers.items()}


def dial(
    agents: Agents, dials: Mapping[str, Iterable[tuple[str, int]]], check: str, timeout_s: float
) -> dict[str, dict[tuple[str, int], ProbeResult]]:
    """Dial addresses and ports from hosts, all at once; return the results by host, address and port."""
    asked = {
        host: {str(number): dial for number, dial in enumerate(dialled)} for host, dialled in dials.items()
    }
    what, by = CHECKS[check], Protocol.UDP if check == "any-answer" else Protocol.TCP
    requests = {
        host: probe_request((Probe(key, *dialled, what, by) for key, dialled in them.items()), timeout_s)
        for host, them in asked.items()
        if them
    }
    answers = agents.call("probe", requests, 60 + 4 * timeout_s, _nobody)
    results = {host: read_probe_results(host, _answer(answer)) for host, answer in answers.items()}
    return {
        host: {asked[host][key]: result for key, result in them.items()} for host, them in results.items()
    }


def _answer(answer: dict[str, Any] | AgentError) -> dict[str, Any]:
    assert not isinstance(answer, AgentError), answer
    return answer


def _nobody(done: int, total: int) -> None:
    """Nobody watches the progress."""


@dataclass(frozen=True)
class Measured:
    """A dial: what was predicted, in the words of the `tcp` check, and what happened."""

    prediction: Prediction
    observation: Observation

    @property
    def predicted(self) -> str:
        """The predicted outcome: that check can't tell whose service accepts."""
        outcome = self.prediction.outcome
        return "open" if outcome.verdict is Verdict.WRONG_SERVICE else str(outcome)

    @property
    def observed(self) -> str:
        """The observed outcome."""
        return str(self.observation.outcome)

    def __str__(self) -> str:
        steps = "\n".join(f"  {s.kind} {s.host}: {s.text} ({s.rests_on})" for s in self.prediction.reason)
        evidence = "\n".join(f"  {line}" for line in self.observation.evidence)
        return f"predicted {self.predicted}:\n{steps}\nobserved {self.observed}:\n{evidence}"


def predicted(view: View, vantage: str, target: str, transport: Transport = BY_TCP) -> Prediction:
    """Predict a dial; whose service answers is not asked."""
    bind, port = Bind("any", vantage, "::"), PORTS[transport]
    return predict(view, bind, port, vantage, Target(target, target), transport)


def measure(
    agents: Agents,
    predictions: Mapping[tuple[str, str], Prediction],
    timeout_s: float,
    transport: Transport = BY_TCP,
) -> dict[tuple[str, str], Measured]:
    """Dial from vantages to targets, all at once, and put what came of it beside what was predicted."""
    protocol, port = transport.protocol, PORTS[transport]
    dials: dict[str, list[tuple[str, int]]] = {}
    for vantage, target in predictions:
        dials.setdefault(vantage, []).append((target, port))
    results = dial(agents, dials, "tcp" if protocol is Protocol.TCP else "any-answer", timeout_s)
    return {
        (vantage, target): Measured(prediction, judge(results[vantage][target, port], protocol))
        for (vantage, target), prediction in predictions.items()
    }
