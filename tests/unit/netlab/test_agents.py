"""Many agents at once, and their end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from netlab.agents import Agents
from netlab.errors import AgentError, LabError


class SilentChannel:
    """A program that says nothing until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def send(self, data: bytes) -> None:
        if self.closed.is_set():
            raise LabError("it is gone")

    def readline(self, timeout_s: float) -> bytes:
        if not self.closed.wait(timeout_s):
            raise TimeoutError
        return b""

    def diagnostics(self) -> str:
        return ""

    def close(self) -> None:
        self.closed.set()


class SlowLab:
    """A lab on which programs take their time to start."""

    hosts = tuple(f"host{number}" for number in range(40))

    def __init__(self) -> None:
        self.channels: list[SilentChannel] = []

    def python(self, host: str) -> str:
        return "python3"

    def spawn(self, host: str, argv: Sequence[str]) -> SilentChannel:
        time.sleep(0.001 * int(host.removeprefix("host")))
        channel = SilentChannel()
        self.channels.append(channel)
        return channel


def test_the_end_in_the_middle_of_a_question_closes_every_agent_also_those_just_starting() -> None:
    lab = SlowLab()
    answers: dict[str, object] = {}
    asked = threading.Event()

    def ask(agents: Agents) -> None:
        requests: dict[str, dict[str, object]] = {host: {} for host in lab.hosts}
        answers.update(agents.call("facts", requests, 20, lambda done, total: asked.set()))

    with Agents(lab) as agents:  # what runs programs is all that is needed
        asking = threading.Thread(target=ask, args=(agents,), daemon=True)
        asking.start()
        assert asked.wait(5)
        time.sleep(0.01)
    assert all(channel.closed.is_set() for channel in lab.channels)


def test_a_host_that_fails_has_its_own_result() -> None:
    class Broken(SlowLab):
        def spawn(self, host: str, argv: Sequence[str]) -> SilentChannel:
            raise LabError("no such program")

    with Agents(Broken()) as agents:
        answers = agents.call("facts", {"host1": {}, "host2": {}}, 5, lambda done, total: None)
    assert {host: isinstance(answer, AgentError) for host, answer in answers.items()} == {
        "host1": True,
        "host2": True,
    }


def test_no_more_hosts_are_spoken_to_at_once_than_is_said() -> None:
    class Counting(SlowLab):
        def __init__(self) -> None:
            super().__init__()
            self.starting: set[str] = set()
            self.most = 0

        def spawn(self, host: str, argv: Sequence[str]) -> SilentChannel:
            self.starting.add(host)
            self.most = max(self.most, len(self.starting))
            time.sleep(0.005)
            self.starting.remove(host)
            raise LabError("no such program")

    lab = Counting()
    with Agents(lab, parallel=3) as agents:
        answers = agents.call("facts", {host: {} for host in lab.hosts}, 5, lambda done, total: None)
    assert len(answers) == len(lab.hosts)
    assert 1 <= lab.most <= 3
