"""A run, recorded on the hosts of its lab: packets, and what the services wrote."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from netlab.agents import Agents, Answer
from netlab.answers import read_answer
from netlab.backends import ContainerLab, Lab
from netlab.errors import AgentError
from netlab.experiments.plan import Experiment
from netlab.measure import Progress, read
from netlab.model import Bind
from netlab.run import RoundOver, Services
from netlab.starting import ServiceStart
from netlab.travelling import program

_T = TypeVar("_T")

# Headers with every option that there is are shorter.
SNAP_BYTES = 256
LIMIT_BYTES = 4 << 20
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class System:
    """What runs on a host; `why` says why nothing could be captured there, and is empty if it could."""

    why: str
    python: str
    kernel: str
    machine: str
    system: str


@dataclass(frozen=True, slots=True)
class Packets:
    """What was captured on a host.

    Attributes:
        pcapng: the file.
        packets: how many are in it.
        left_out: how many are not, since it was full.
        dropped: how many the kernel had no room for.
    """

    pcapng: bytes
    packets: int
    left_out: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Output:
    """What a service wrote.

    Attributes:
        start: what became of it when it was started, with the beginning of what it wrote.
        last: the last of what it wrote, when all was dialled; empty where that can't be read.
        bytes: how much it had written by then.
        why: why there is no `last`.
    """

    start: ServiceStart
    last: str = ""
    bytes: int = 0
    why: str = ""

    @property
    def text(self) -> str:
        """All that is known of what it wrote."""
        if not self.last or self.last in self.start.output:
            return self.start.output
        if self.bytes <= len(self.last.encode()) or self.last.startswith(self.start.output):
            return self.last
        return f"{self.start.output}\n[...]\n{self.last}"


@dataclass(frozen=True, slots=True)
class Round:
    """What was recorded of the binds that were tried at the same time: by host, what its service wrote."""

    binds: tuple[Bind, ...]
    outputs: Mapping[str, Output | AgentError]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of a run.

    Attributes:
        systems: by host.
        packets: by host; or why there are none.
        rounds: in their order.
        logs: what containers wrote, by host.
        versions: of what the backend rests on.
        environments: of the containers, by host: to know their secrets by, and for nothing else.
    """

    systems: Mapping[str, System | AgentError]
    packets: Mapping[str, Packets | str]
    rounds: tuple[Round, ...] = ()
    logs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Recording:
    """Records a run while it runs: `watch` is for `netlab.run.run`, `finish` for when all is measured.

    Args:
        progress: told of what it waits for.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._recorders: Agents | None = None
        self._systems: dict[str, System | AgentError] = {}
        self._rounds: list[Round] = []

    @contextmanager
    def watch(self, lab: Lab, experiment: Experiment) -> Iterator[RoundOver]:
        """Record what happens in a lab as long as the context lasts; a failure is its host's own result."""
        runner = lab.capturing() if isinstance(lab, ContainerLab) else lab
        ports = {service.port for service in map(experiment.service_of, experiment.binds)}
        ports |= {dial.target.port for dial in experiment.dials() if dial.target.port}
        request = {"ports": sorted(ports), "snap_bytes": SNAP_BYTES, "limit_bytes": LIMIT_BYTES}
        with Agents(runner, program("netlab.bundle.recorder", "program"), lab.parallel) as self._recorders:
            answers = self._ask("start", dict.fromkeys(lab.hosts, request), "starting to record")
            self._systems = {host: read(host, answers[host], _reader(System, "start")) for host in lab.hosts}
            yield self._round_over

    def _round_over(self, experiment: Experiment, services: Services) -> None:
        started = {
            bind.host: services[bind.host] for bind in experiment.binds if experiment.service_of(bind).command
        }
        answers = self._ask("outputs", {host: {} for host in started}, "reading logs")
        outputs: dict[str, Output | AgentError] = {}
        for host, start in started.items():
            said = read(host, answers[host], _reader(_Outputs, "outputs"))
            outputs[host] = start if isinstance(start, AgentError) else _output(start, said)
        self._rounds.append(Round(experiment.binds, outputs))

    def finish(self, lab: Lab) -> Recorded:
        """End the recording, while the lab is still up, and return what there is."""
        capturing: dict[str, dict[str, object]] = {
            host: {} for host, its in self._systems.items() if isinstance(its, System) and not its.why
        }
        answers = self._ask("stop", capturing, "collecting packets")
        packets = {host: _why_none(its) for host, its in self._systems.items()}
        captured = {host: _packets(host, answer) for host, answer in answers.items()}
        recorded = Recorded(self._systems, {**packets, **captured}, tuple(self._rounds))
        if not isinstance(lab, ContainerLab):
            return recorded
        return Recorded(
            recorded.systems,
            recorded.packets,
            recorded.rounds,
            lab.logs(),
            lab.versions(),
            lab.environments(),
        )

    def _ask(self, op: str, requests: Mapping[str, Mapping[str, object]], phase: str) -> Mapping[str, Answer]:
        assert self._recorders is not None, "it is watching"
        return self._recorders.call(op, requests, _PATIENCE_S, partial(self._progress, phase))


@dataclass(frozen=True, slots=True)
class _Written:
    text: str
    bytes: int


@dataclass(frozen=True, slots=True)
class _Outputs:
    outputs: tuple[_Written, ...]


@dataclass(frozen=True, slots=True)
class _Captured:
    pcapng: str
    packets: int
    left_out: int
    dropped: int


def _reader(form: type[_T], op: str) -> Callable[[str, object], _T]:
    return lambda host, answer: read_answer(form, host, op, answer)


def _output(start: ServiceStart, said: _Outputs | AgentError) -> Output:
    if start.exit_code is not None:
        return Output(start)
    if isinstance(said, AgentError):
        return Output(start, why=said.problem)
    if len(said.outputs) != 1:
        count = len(said.outputs) or "no"
        return Output(start, why=f"{count} services of netlab run there: only how it began is known")
    (written,) = said.outputs
    return Output(start, written.text, written.bytes)


def _why_none(system: System | AgentError) -> str:
    return str(system) if isinstance(system, AgentError) else system.why


def _packets(host: str, answer: Answer) -> Packets | str:
    try:
        said = read(host, answer, _reader(_Captured, "stop"))
        if isinstance(said, AgentError):
            return str(said)
        content = base64.b64decode(said.pcapng, validate=True)
    except binascii.Error:
        return f"agent on {host}: what it captured can't be read"
    return Packets(content, said.packets, said.left_out, said.dropped)
