"""Machines that are there already, as a lab: reached over SSH, with nothing installed and nothing left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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
    """

    engine = None
    complete = False
    observers = (CONTROLLER,)

    def __init__(
        self, inventory: Inventory, terms: Terms, count: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        self.inventory, self._count, self.parallel = inventory, count, terms.parallel
        self.failures: dict[str, NetlabError] = {}
        self._made = Connections(terms)
        self._connections: dict[str, Connection] = {}
        self._reserved: dict[str, int] = {}
        self._topology = Topology((), ())

    @property
    def hosts(self) -> tuple[str, ...]:
        """The machines that can be used, in the inventory's order, and `controller`."""
        return (*(m.name for m in self.inventory.machines if m.name in self._connections), CONTROLLER)

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
            self._each(self.inventory.machines, self._connect)
            if not self._connections:
                raise LabError(f"no machine of {self.inventory.source} can be used: {self._first_failure()}")
            facts = self._read_facts()
        except BaseException:
            self._made.close()
            raise
        self._topology = infer_topology({host: facts[host] for host in self.hosts})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._made.close()

    def _connect(self, machine: Machine) -> None:
        self._connections[machine.name] = self._made.to(machine)

    def _read_facts(self) -> dict[str, Facts]:
        facts: dict[str, Facts] = {}

        def read(machine: Machine) -> None:
            facts[machine.name] = self._facts_of(machine.name)
            self._check_reserved(machine.name, facts[machine.name])

        self._each([m for m in self.inventory.machines if m.name in self._connections], read)
        for name in self.failures:
            self._connections.pop(name, None)
        facts[CONTROLLER] = self._facts_of(CONTROLLER)
        return facts

    def _facts_of(self, host: str) -> Facts:
        try:
            with AgentSession(self, host) as session:
                answer = session.call("facts", {"names": []}, timeout_s=_FACTS_S)
        except AgentError as error:
            if self.python(host) in error.problem:  # a shell that does not find it names it
                raise LabError(f"{error}; name another interpreter (python:)") from None
            raise
        return read_answer(Facts, host, "facts", answer)

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
