"""The reachability gate: who is to get through to a machine's server does, and who is not does not.

The same agents, predictor and judgement as everywhere; a dial gets through if it reads the nonce that was put
among the files of that very machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address

from netlab.agents import Agents
from netlab.backends.ssh import CONTROLLER, SshLab
from netlab.checks import Check
from netlab.errors import AgentError, NetlabError
from netlab.experiments.plan import Dial
from netlab.facts import Facts, read_facts
from netlab.inventory.model import Inventory
from netlab.measure import Progress, Question, measure
from netlab.model import Bind, Cell, IPAddress, Target, Verdict, endpoint
from netlab.predict import View

# Long enough for an answer from the same room; what drops a packet drops the next one, too.
_PATIENCE_S = 2.0
_FACTS_S = 40.0
# A TCP connection that opens has reached the machine, whatever comes of it.
_THROUGH = (Verdict.OPEN, Verdict.ACCEPTED)
# So many violations are told in full.
_TOLD = 2


@dataclass(frozen=True, slots=True)
class Vantages:
    """Who is to get through, and who is not.

    Attributes:
        reachable_from: hosts of the lab.
        not_from: others.
    """

    reachable_from: tuple[str, ...]
    not_from: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.reachable_from, *self.not_from)


@dataclass(frozen=True, slots=True)
class Served:
    """What a machine serves, and how its server is recognised.

    Attributes:
        host: the machine.
        addresses: where the server was told to listen.
        port: its TCP port.
        check: what proves that it is this one.
    """

    host: str
    addresses: tuple[str, ...]
    port: int
    check: Check


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate says of a machine.

    Attributes:
        violations: who gets through and must not, or the other way round, and why.
        not_measured: from where it could not be tried, and why.
        passed: how many vantages are as wanted.
    """

    violations: tuple[str, ...] = ()
    not_measured: tuple[str, ...] = ()
    passed: int = 0

    @property
    def problem(self) -> str:
        """The violations in one line."""
        more = len(self.violations) - _TOLD
        return "; ".join(self.violations[:_TOLD]) + (f"; and {more} more" if more > 0 else "")


def vantages_of(inventory: Inventory) -> Vantages:
    """Return who the inventory says is to get through, machine by machine.

    Raises:
        NetlabError: a name is unknown, or a machine is to get through and not to.
    """
    wanted = Vantages(
        _hosts(inventory, inventory.serving.reachable_from), _hosts(inventory, inventory.serving.not_from)
    )
    both = set(wanted.reachable_from) & set(wanted.not_from)
    if both:
        problem = f"{', '.join(sorted(both))} is both in reachable_from and in not_from"
        raise NetlabError(f"{inventory.source}: serve: {problem}")
    return wanted


def _hosts(inventory: Inventory, names: Sequence[str]) -> tuple[str, ...]:
    try:
        machines = inventory.named(tuple(name for name in names if name != CONTROLLER))
    except KeyError as error:
        problem = f"neither a machine nor a group is called {error.args[0]}"
        raise NetlabError(f"{inventory.source}: serve: {problem}") from None
    own = (CONTROLLER,) if CONTROLLER in names else ()
    return (*(machine.name for machine in machines), *own)


class Gate:
    """Tries machines from every vantage that matters.

    Args:
        lab: the machines.
        agents: on them.
        vantages: who is to get through.
        progress: told of each phase.
    """

    def __init__(self, lab: SshLab, agents: Agents, vantages: Vantages, progress: Progress) -> None:
        self._lab, self._agents, self._progress = lab, agents, progress
        self._vantages = vantages
        self._facts: dict[str, Facts] = {}
        self._lost: dict[str, str] = {name: str(error) for name, error in lab.failures.items()}

    def leave_out(self, host: str, why: str) -> None:
        """Ask nothing more of a machine."""
        self._lost.setdefault(host, why)
        self._facts.pop(host, None)

    def judge(self, served: Sequence[Served]) -> dict[str, Judgement]:
        """Return what is to be said of each machine."""
        if not self._vantages.all:
            return {one.host: Judgement() for one in served}
        self._read_facts(served)
        there = [one for one in served if one.host in self._facts]
        questions = [question for one in there for question in self._questions(one)]
        topology = self._lab.topology
        known = replace(topology, hosts=tuple(host for host in topology.hosts if host.name in self._facts))
        view = View(self._facts, known, None, complete=False)
        cells = measure(self._agents, view, questions, _PATIENCE_S, self._progress)
        by_pair: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            by_pair.setdefault((cell.bind.host, cell.vantage), []).append(cell)
        return {one.host: self._judgement(one, by_pair) for one in served}

    def _read_facts(self, served: Sequence[Served]) -> None:
        """Read the facts of the machines that have changed, and of all others once."""
        changed = {one.host: one for one in served}
        asked = [h for h in self._lab.hosts if h not in self._lost and (h in changed or h not in self._facts)]
        requests = {host: {"names": _names(changed.get(host))} for host in asked}
        answers = self._agents.call("facts", requests, _FACTS_S, partial(self._progress, "reading facts"))
        for host, answer in answers.items():
            try:
                if isinstance(answer, AgentError):
                    raise answer
                self._facts[host] = read_facts(host, answer)
            except AgentError as error:
                self._facts.pop(host, None)
                self._lost[host] = error.problem

    def _questions(self, served: Served) -> Iterator[Question]:
        for vantage in self._vantages.all:
            if vantage != served.host and vantage in self._facts:
                for address, configured in self._dialled(served).items():
                    bind = Bind(served.host, served.host, configured)
                    target = Target(endpoint(address, served.port), address)
                    yield Question(Dial(bind, vantage, vantage, target), served.port, served.check)

    def _dialled(self, served: Served) -> Mapping[str, str]:
        """Return the addresses at which others would dial a machine, each with what it was told to bind.

        For a wildcard that is every address. For loopback, too: that nobody gets through is then explained.
        """
        links = self._lab.topology.host(served.host).links
        own = [address.ip for link in links for address in link.addresses]
        dialled: dict[str, str] = {}
        for configured in served.addresses:
            for address in _meant(configured, self._facts[served.host]):
                several = address.is_unspecified or address.is_loopback
                versions = {4, 6} if address.is_unspecified and address.version == 6 else {address.version}
                meant = [ip for ip in own if ip.version in versions] if several else [address]
                dialled.update({str(ip): configured for ip in meant if str(ip) not in dialled})
        return dialled

    def _judgement(self, served: Served, cells: Mapping[tuple[str, str], Sequence[Cell]]) -> Judgement:
        violations, not_measured, passed = [], [], 0
        for vantage in self._vantages.all:
            if vantage == served.host:
                continue
            lost = self._lost.get(served.host) or self._lost.get(vantage)
            if lost is not None:
                not_measured.append(f"from {vantage}: {lost}")
                continue
            dialled = cells.get((served.host, vantage), ())
            forbidden = vantage in self._vantages.not_from
            violation = _forbidden(vantage, dialled) if forbidden else _missing(served, vantage, dialled)
            if violation:
                violations.append(violation)
            elif silent := _not_measured(dialled, forbidden):
                not_measured.append(f"from {vantage}: {silent}")
            else:
                passed += 1
        return Judgement(tuple(violations), tuple(not_measured), passed)


def _names(served: Served | None) -> list[str]:
    return [address for address in served.addresses if not _is_address(address)] if served else []


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _meant(configured: str, facts: Facts) -> Sequence[IPAddress]:
    if _is_address(configured):
        return [ip_address(configured)]
    resolution = facts.names.get(configured)
    return list(resolution.addresses[:1]) if resolution is not None else []


def _through(cell: Cell) -> bool:
    outcome = cell.observation.outcome
    return outcome is not None and outcome.verdict is Verdict.OPEN


def _forbidden(vantage: str, cells: Sequence[Cell]) -> str:
    """Say that somebody gets through who must not."""
    for cell in cells:
        outcome = cell.observation.outcome
        if outcome is not None and outcome.verdict in _THROUGH:
            return f"{vantage} gets through to {cell.target.name}, which not_from forbids: {_why(cell)}"
    return ""


def _missing(served: Served, vantage: str, cells: Sequence[Cell]) -> str:
    """Say that somebody does not get through who must."""
    if not cells:
        return f"{vantage} has no address to dial: {served.host} listens on {', '.join(served.addresses)}"
    if any(_through(cell) for cell in cells) or not any(cell.measured for cell in cells):
        return ""
    cell = next(cell for cell in cells if cell.measured)
    remedy = f"; to open it: {cell.prediction.remedy}" if cell.agrees and cell.prediction.remedy else ""
    outcome = cell.observation.outcome
    return f"{vantage} does not get through to {cell.target.name}: {outcome}: {_why(cell)}{remedy}"


def _not_measured(cells: Sequence[Cell], forbidden: bool) -> str:
    """Say that it was not tried; one open address is enough to get through, and not to, all must be shut."""
    if not forbidden and any(_through(cell) for cell in cells):
        return ""
    return next((cell.observation.not_measured for cell in cells if not cell.measured), "")


def _why(cell: Cell) -> str:
    """Return the step of the prediction that decides; where it came out otherwise, what that means."""
    if not cell.agrees:
        if cell.prediction.outcome.verdict is Verdict.OPEN:
            return f"the facts say open: a filter on {cell.bind.host}, or between it and {cell.vantage}"
        return f"the facts say {cell.prediction.outcome}: something between them answers"
    steps = [step for step in cell.prediction.reason if step.kind != "answer"] or cell.prediction.reason
    return f"on {steps[-1].host} {steps[-1].text}" if steps else "no reason is known"
