"""Put hosts of a lab into a state, read their facts, dial: what the predictor's tests have in common."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.checks import Banner, Tcp
from netlab.errors import AgentError
from netlab.facts import Facts, read_facts
from netlab.model import Bind, Link, Observation, Prediction, Target, Verdict
from netlab.predict import View, predict
from netlab.probes import Probe, ProbeResult, judge, probe_request, read_probe_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlab.agents import Agents
    from netlab.backends import Channel, Lab

PORT = 19500
PROGRAM = Path(__file__).with_name("lab_program.py").read_text()


def link(device: str, network: str, *addresses: str) -> Link:
    return Link(device, network, tuple(ip_interface(address) for address in addresses))


def start(lab: Lab, host: str, plan: Mapping[str, Any], running: ExitStack) -> Channel:
    """Start the program on a host, with its plan; it ends with the exit stack."""
    channel = lab.spawn(host, [lab.python(host), "-I", "-S", "-c", PROGRAM])
    running.callback(channel.close)
    channel.send(json.dumps(plan).encode() + b"\n")
    return channel


def refused(channel: Channel) -> list[list[Any]]:
    """Wait until the plan is carried out; return what the kernel refused of it."""
    line = channel.readline(20)
    assert line, channel.diagnostics()
    answer: list[list[Any]] = json.loads(line)
    return answer


def read(agents: Agents, hosts: Iterable[str], *names: str) -> dict[str, Facts]:
    """Read the facts of hosts."""
    answers = agents.call("facts", {host: {"names": list(names)} for host in hosts}, 30, _nobody)
    return {host: read_facts(host, _answer(answer)) for host, answer in answers.items()}


def dial(
    agents: Agents, dials: Mapping[str, Iterable[tuple[str, int]]], check: str, timeout_s: float
) -> dict[str, dict[tuple[str, int], ProbeResult]]:
    """Dial addresses and ports from hosts, all at once; return the results by host, address and port."""
    asked = {
        host: {str(number): dial for number, dial in enumerate(dialled)} for host, dialled in dials.items()
    }
    what = Tcp() if check == "tcp" else Banner("socket")
    requests = {
        host: probe_request((Probe(key, *dialled, what) for key, dialled in them.items()), timeout_s)
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


def predicted(view: View, vantage: str, target: str) -> Prediction:
    """Predict a dial; whose service answers is not asked."""
    return predict(view, Bind("any", vantage, "::"), PORT, vantage, Target(target, target))


def measure(
    agents: Agents, predictions: Mapping[tuple[str, str], Prediction], timeout_s: float
) -> dict[tuple[str, str], Measured]:
    """Dial from vantages to targets, all at once, and put what came of it beside what was predicted."""
    dials: dict[str, list[tuple[str, int]]] = {}
    for vantage, target in predictions:
        dials.setdefault(vantage, []).append((target, PORT))
    results = dial(agents, dials, "tcp", timeout_s)
    return {
        (vantage, target): Measured(prediction, judge(results[vantage][target, PORT]))
        for (vantage, target), prediction in predictions.items()
    }
