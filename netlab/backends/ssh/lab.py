"""Machines that are there already, as a lab: reached over SSH, with nothing installed and nothing left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Self

from netlab import zipapp
from netlab.answers import read_answer
from netlab.backends import Channel, Program
from netlab.backends.local import LocalChannel
from netlab.backends.ssh.channel import SshChannel
from netlab.backends.ssh.connection import Connection, Connections, Terms
from netlab.errors import AgentError, LabError, NetlabError
from netlab.facts import Facts
from netlab.inventory.model import Inventory, Machine
from netlab.model import Topology, endpoint
from netlab.session import AgentSession
from netlab.wiring import infer_topology

# This machine, as a host of the lab.
CONTROLLER = "controller"
_FACTS_S = 30.0


class SshLab:
    """The machines of an inventory, and this one, as a lab.

    A machine that can't be used stops nobody else: it is in `failures`, and no host of the lab.

    Args:
        inventory: the machines.
        terms: on what terms they are connected to.
        count: told how many of them are done, and how many there are.
        program: the source of the agent that runs there, if not the usual one, as in `AgentSession`.
    """

    engine = None
    complete = False
    observers = (CONTROLLER,)

    def __init__(
        self,
        inventory: Inventory,
        terms: Terms,
        count: Callable[[int, int], None] = lambda done, total: None,
        program: bytes | None = None,
    ) -> None:
        self.inventory, self._count, self.parallel = inventory, count, terms.parallel
        self.failures: dict[str, NetlabError] = {}
        self._program = program
        self._made = Connections(terms)
        self._connections: dict[str, Connection] = {}
        self._agents: dict[str, AgentSession] = {}
        self._reserved: dict[str, int] = {}
        self._topology = Topology((), ())

    @property
    def hosts(self) -> tuple[str, ...]:
        """The machines that can be used, in the inventory's order, and `controller`."""
        return (*(m.name for m in self.inventory.machines if m.name in self._agents), CONTROLLER)

    @property
    def agents(self) -> Mapping[str, AgentSession]:
        """The agents that have read the facts by which the topology is known, one on each host."""
        return self._agents

    @property
    def topology(self) -> Topology:
        """Who shares a network with whom, as the machines' addresses tell."""
        return self._topology

    def python(self, host: str) -> str:
        """Return the interpreter that the inventory names for the host."""
        return sys.executable if host == CONTROLLER else self.inventory.machine(host).python

    def hftp(self, host: str) -> Program:
        """Return the HFTP program as one file, which travels with the order to run it."""
        return Program((self.python(host), f"{{tools}}/{zipapp.NAME}"), {zipapp.NAME: zipapp.hftp_zipapp()})

    def spawn(self, host: str, argv: Sequence[str]) -> Channel:
        """Start a program on a machine, over the one connection to it.

        Raises:
            LabError: the machine is gone.
        """
        return LocalChannel(argv) if host == CONTROLLER else SshChannel(self._connections[host], argv)

    def reserve(self, port: int, machines: Sequence[str]) -> None:
        """Ask for a TCP port: one of these machines on which somebody listens there can't be used.

        It counts for what is entered afterwards.
        """
        self._reserved = dict.fromkeys(machines, port)

    def connection(self, host: str) -> Connection:
        """Return the connection to a machine."""
        return self._connections[host]

    def __enter__(self) -> Self:
        try:
            facts = self._join_all()
            if not self._agents:
                raise LabError(f"no machine of {self.inventory.source} can be used: {self._first_failure()}")
            self._agents[CONTROLLER], facts[CONTROLLER] = self._agent_on(CONTROLLER)
        except BaseException:
            self._made.close()
            raise
        self._topology = infer_topology({host: facts[host] for host in self.hosts})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._agents[CONTROLLER].close()  # the others end with the connections
        self._made.close()

    def _join_all(self) -> dict[str, Facts]:
        """Connect to every machine and start its agent; return the facts of those that can be used."""
        facts: dict[str, Facts] = {}

        def join(machine: Machine) -> None:
            name = machine.name
            self._connections[name] = self._made.to(machine)
            agent, facts[name] = self._agent_on(name)
            self._check_reserved(name, facts[name])
            self._agents[name] = agent

        self._each(self.inventory.machines, join)
        return facts

    def _agent_on(self, host: str) -> tuple[AgentSession, Facts]:
        """Start a host's agent, and read the facts."""
        try:
            agent = AgentSession(self, host, self._program)
            answer = agent.call("facts", {"names": []}, timeout_s=_FACTS_S)
        except AgentError as error:
            if self.python(host) in error.problem:  # a shell that does not find it names it
                raise LabError(f"{error}; name another interpreter (python:)") from None
            raise
        return agent, read_answer(Facts, host, "facts", answer)

    def _check_reserved(self, host: str, facts: Facts) -> None:
        taken = [one for one in facts.listeners if one.port == self._reserved.get(host)]
        if taken:
            places = ", ".join(endpoint(str(one.address), one.port) for one in taken)
            raise LabError(
                f"{places} is taken, perhaps by what 'netlab deploy' put there: use another --port"
            )

    def _each(self, machines: Sequence[Machine], action: Callable[[Machine], None]) -> None:
        """Do something with many machines at once; what fails is noted with its machine, in their order."""

        def attempt(machine: Machine) -> None:
            try:
                action(machine)
            except NetlabError as error:
                failures[machine.name] = error

        failures = dict(self.failures)
        with ThreadPoolExecutor(max_workers=self.parallel, thread_name_prefix="netlab-ssh") as pool:
            try:
                waiting = [pool.submit(attempt, machine) for machine in machines]
                for done, future in enumerate(as_completed(waiting), start=1):
                    future.result()
                    self._count(done, len(machines))
            except BaseException:
                self._made.close()  # interrupted: nobody waits any longer for a machine that says nothing
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        self.failures = {m.name: failures[m.name] for m in self.inventory.machines if m.name in failures}

    def _first_failure(self) -> str:
        return next((f"{name}: {error}" for name, error in self.failures.items()), "it names none")
