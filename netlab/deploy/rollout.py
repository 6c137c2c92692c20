"""A rollout: the machines in batches, each step on all of a batch at once, and every machine's own result."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from netlab.agents import agents_of
from netlab.backends.ssh import SshLab
from netlab.checks import Check, Hftp, Tcp
from netlab.deploy.answers import Done, Earlier, Offered, Removed, Reverted, Survey
from netlab.deploy.data import Data
from netlab.deploy.gate import Gate, Judgement, Served, Vantages
from netlab.deploy.machine import DeployedMachine, MachineError
from netlab.deploy.release import Release, short
from netlab.deploy.result import Result, State, counts_as_failure
from netlab.errors import NetlabError
from netlab.measure import Progress

# The deployers give up after two minutes of silence.
_PING_S = 30.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a rollout is done.

    Attributes:
        who: the person and machine, for the lock and the record on the machines.
        batch: how many machines are changed at the same time.
        max_fail: it stops after a batch in which more than so many have failed in all.
        keep: how many earlier releases stay on a machine.
        method: `auto`, `systemd`, `supervised` or `container`.
        check: whether nothing is changed.
        data: the files to serve, if they are to be made equal to some here.
        delete: whether files that are not among them are removed.
    """

    who: str
    batch: int
    max_fail: int
    keep: int = 3
    method: str = "auto"
    check: bool = False
    data: Data | None = None
    delete: bool = False


@dataclass
class Work:
    """A machine in the course of a rollout.

    Attributes:
        host: its name.
        release: what it is to run; None for what it has: a rollback.
        started: when work on it began, as time.monotonic() has it.
        machine: the deployer there.
        seen: what it said of itself.
        target: the ID of the release that it is to run; of a rollback first what the user said.
        switched: whether a release is on trial there.
        done: what was changed, in words.
        notes: what else there is to know.
        extra: files that it serves and that are not among those to be served.
        check: what proves that it is this machine that answers.
        result: how it ended up, once that is settled.
    """

    host: str
    release: Release | None
    started: float = field(default_factory=time.monotonic)
    machine: DeployedMachine | None = None
    seen: Survey | None = None
    target: str = ""
    switched: bool = False
    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    check: Check = field(default_factory=Tcp)
    result: Result | None = None

    @property
    def there(self) -> DeployedMachine:
        """The deployer, which has been started."""
        assert self.machine is not None
        return self.machine

    @property
    def known(self) -> Survey:
        """What the machine said of itself, which it has been asked."""
        assert self.seen is not None
        return self.seen

    def end(self, state: State, release: str, detail: str) -> None:
        """Settle how it ended up, and leave the machine."""
        seconds = time.monotonic() - self.started
        notes = () if state is State.WENT_BACK else tuple(self.notes)  # they are about what went
        self.result = Result(self.host, state, release, detail, notes, seconds)
        if self.machine is not None:
            self.machine.leave()


class Rollout:
    """Changes machines, as a context manager: with it end the deployers, and take back what is on trial.

    Args:
        lab: the machines, connected.
        terms: how it is done.
        vantages: who is to get through.
        progress: told of each phase.
    """

    def __init__(self, lab: SshLab, terms: Terms, vantages: Vantages, progress: Progress) -> None:
        self._lab, self._terms, self._progress = lab, terms, progress
        self._agents = agents_of(lab)
        self._gate = Gate(lab, self._agents, vantages, progress)
        self._pool = ThreadPoolExecutor(max_workers=lab.parallel, thread_name_prefix="netlab-deploy")
        self._machines: list[DeployedMachine] = []
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._agents.__enter__()
        threading.Thread(target=self._stay_in_touch, name="netlab-ping", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        # First of all: what waits for an answer is told that none will come.
        for machine in self._machines:
            machine.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._agents.__exit__()

    def _stay_in_touch(self) -> None:
        while not self._over.wait(_PING_S):
            for machine in list(self._machines):
                threading.Thread(target=machine.ping, daemon=True).start()

    # --- Batches

    def deploy(self, releases: Mapping[str, Release], tell: Callable[[Result], None]) -> list[Result]:
        """Put releases on machines.

        Args:
            releases: by machine.
            tell: told each machine's result, batch by batch, in their order.
        """
        return self._in_batches([Work(host, release) for host, release in releases.items()], tell)

    def rollback(self, hosts: Sequence[str], to: str, tell: Callable[[Result], None]) -> list[Result]:
        """Go back to an earlier release, checked in the same way.

        Args:
            hosts: the machines.
            to: the beginning of a release's ID; empty for the latest one before the current.
            tell: told each machine's result.
        """
        return self._in_batches([Work(host, None, target=to) for host in hosts], tell)

    def _in_batches(self, works: Sequence[Work], tell: Callable[[Result], None]) -> list[Result]:
        results: list[Result] = []
        for batch in _batches(works, self._terms.batch):
            try:
                if sum(map(counts_as_failure, results)) > self._terms.max_fail:
                    for work in batch:
                        work.end(State.NOT_TRIED, "", "too many machines before it have failed (--max-fail)")
                else:
                    self._one_batch(batch)
            finally:  # what is settled before an interruption is settled
                results += _settled(batch, tell)
        return results

    def _one_batch(self, batch: Sequence[Work]) -> None:
        self._each("looking", batch, self._look)
        self._each("putting releases there", batch, self._put)
        waiting = [work for work in batch if work.result is None]
        for work in batch:
            if work.result is not None and work.machine is not None and work.machine.gone:
                self._gate.leave_out(work.host, work.result.detail)
        try:
            self._each("offering proof", waiting, self._offer)
            served = [_served(work) for work in waiting if work.result is None]
            judgements = self._gate.judge(served)
        except NetlabError as error:
            judgements = {work.host: Judgement(not_measured=(str(error),)) for work in waiting}
        self._each("confirming", waiting, lambda work: self._settle(work, judgements[work.host]))

    def _each(self, phase: str, works: Sequence[Work], step: Callable[[Work], None]) -> None:
        """Take a step on every machine that is not settled yet; one that fails is settled by that."""

        def attempt(work: Work) -> None:
            try:
                step(work)
            except NetlabError as error:
                # What is on trial is taken back there, as nobody confirms it: to what, is not known here.
                still = work.seen.current if work.seen and not work.switched else ""
                work.end(State.FAILED, still, str(error))

        waiting = [self._pool.submit(attempt, work) for work in works if work.result is None]
        self._progress(phase, 0, len(waiting))
        for done, future in enumerate(as_completed(waiting), start=1):
            future.result()
            self._progress(phase, done, len(waiting))

    # --- Steps

    def _look(self, work: Work) -> None:
        """Take the lock, and see what is there and what stands against a change."""
        work.started = time.monotonic()
        work.machine = DeployedMachine(self._lab, work.host)
        self._machines.append(work.machine)
        if not self._terms.check:
            work.machine.lock(self._terms.who)
        work.seen = work.machine.survey(work.release)
        if work.release is None:
            work.target = work.machine.ask(Earlier, "rollback", {"to": work.target}).id
            return
        work.target = work.release.id
        if work.known.problems:
            work.end(State.FAILED, work.known.current, "; ".join(work.known.problems))
        elif self._terms.check:
            self._say_what_would_change(work, work.release)

    def _say_what_would_change(self, work: Work, release: Release) -> None:
        would = []
        if not work.known.here:
            would.append(f"upload release {short(release.id)}")
        if work.known.current != release.id:
            before = f", instead of {short(work.known.current)}" if work.known.current else ""
            would.append(f"run release {short(release.id)}{before}")
        elif work.known.health:
            would.append(f"start it again: {work.known.health}")
        elif release.id not in work.known.good:
            would.append("confirm the release that runs")
        changed, extra = self._compare(work, release)
        if changed:
            would.append(f"send {_counted(changed)}")
        if extra and self._terms.delete:
            would.append(f"remove {_counted(extra)}")
        state = State.WOULD_CHANGE if would else State.UNCHANGED
        work.end(state, work.known.current, "; ".join(would))

    def _compare(self, work: Work, release: Release) -> tuple[list[str], list[str]]:
        if self._terms.data is None:
            return [], []
        compared = work.there.compare(release.directory, self._terms.data.described())
        changed = [name for name in self._terms.data.files if name in compared.changed]
        needed = sum(self._terms.data.sizes[name] for name in changed)
        if needed > compared.free:
            raise MachineError(
                f"the disk is full: {compared.free >> 10} KiB free, {needed >> 10} needed for --data"
            )
        return changed, list(compared.extra)

    def _put(self, work: Work) -> None:
        """Upload what is missing, and switch to it."""
        release = work.release
        if release is not None:
            if not work.known.here:
                release.send(work.there)
            self._put_data(work, release)
            serves = work.known.current == release.id and not work.known.health
            if serves and work.known.here and release.id in work.known.good:
                return
        answer = work.there.switch(work.target, self._terms.method)
        if not answer.healthy:
            said = _gone_back(answer.problem, answer.back, answer.back_problem, answer.never)
            work.end(State.WENT_BACK, answer.back, said)
            return
        work.switched = True
        work.notes += answer.notes
        before = short(work.known.current)
        if work.known.current == work.target:
            work.done.append("confirmed" if not work.known.health else f"started again ({work.known.health})")
        else:
            work.done.append(f"before: {before or 'nothing'}")

    def _put_data(self, work: Work, release: Release) -> None:
        data = self._terms.data
        if data is None:
            return
        changed, work.extra = self._compare(work, release)
        if changed:
            files: dict[str, Path] = {name: data.files[name] for name in changed}
            work.there.send_files(release.directory, files, data.digests, lambda count: None)
            work.done.append(f"{_counted(changed)} sent")

    def _offer(self, work: Work) -> None:
        """Have the machine prove who it is to whoever dials it."""
        if work.release is None or work.switched:
            work.seen = work.there.survey()
        if work.known.serve is None:
            raise MachineError("its release is damaged: nothing says how it serves")
        nonce = secrets.token_hex(16)
        try:
            file = work.there.ask(Offered, "offer", {"name": secrets.token_hex(32), "nonce": nonce}).file
            work.check = Hftp(file, nonce)
        except MachineError as error:
            work.notes.append(f"who answers is not proved, as no file can be put there: {error}")

    def _settle(self, work: Work, judgement: Judgement) -> None:
        """Keep the release, or take it back."""
        if judgement.violations:
            self._refuse(work, judgement.problem)
            return
        work.there.ask(Done, "withdraw")
        if work.switched:
            try:
                work.there.ask(Done, "confirm", {"keep": self._terms.keep})
            except MachineError as error:
                self._refuse(work, str(error))
                return
        if work.release is not None and self._terms.delete and work.extra:
            work.there.ask(Done, "delete", {"directory": work.release.directory, "names": work.extra})
            work.done.append(f"{_counted(work.extra)} removed")
        if judgement.not_measured:
            first = "; ".join(judgement.not_measured[:2])
            work.end(
                State.NOT_MEASURED,
                work.target,
                f"{', '.join([*work.done, 'it serves'])}, but not tried {first}",
            )
            return
        reached = f"as wanted from {judgement.passed} vantages" if judgement.passed else ""
        said = ", ".join([*work.done, *([reached] if reached else [])])
        work.end(State.DEPLOYED if work.done else State.UNCHANGED, work.target, said)

    def _refuse(self, work: Work, problem: str) -> None:
        if not work.switched:
            work.end(State.VIOLATED, work.target, problem)
            return
        answer = work.there.ask(Reverted, "revert", {"why": problem}, 90.0)
        work.end(
            State.WENT_BACK, answer.back, _gone_back(problem, answer.back, answer.back_problem, never=False)
        )

    # --- The end of it

    def undeploy(self, hosts: Sequence[str], tell: Callable[[Result], None]) -> list[Result]:
        """Remove everything but the data from machines."""

        def remove(work: Work) -> None:
            work.machine = DeployedMachine(self._lab, work.host)
            self._machines.append(work.machine)
            if self._terms.check:
                current = work.machine.survey().current
                state = State.WOULD_CHANGE if current else State.UNCHANGED
                work.end(state, current, "remove it" if current else "")
                return
            work.machine.lock(self._terms.who)
            there = work.machine.ask(Removed, "undeploy", timeout_s=60.0).there
            work.end(State.REMOVED if there else State.UNCHANGED, "", "" if there else "nothing is deployed")

        works = [Work(host, None) for host in hosts]
        try:
            self._each("removing", works, remove)
        finally:
            results = _settled(works, tell)
        return results


def _settled(works: Sequence[Work], tell: Callable[[Result], None]) -> list[Result]:
    results = [work.result for work in works if work.result is not None]
    for result in results:
        tell(result)
    return results


def _gone_back(problem: str, back: str, back_problem: str, never: bool) -> str:
    if never:
        return f"{problem}; {short(back)} ran all the time"
    where = f"back on {short(back)}" if back else "nothing runs there now"
    return f"{problem}; {where}" + (f", which is not healthy: {back_problem}" if back_problem else "")


def _served(work: Work) -> Served:
    serve = work.known.serve
    assert serve is not None
    return Served(work.host, serve.addresses, serve.port, work.check)


def _counted(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} files"


def _batches(works: Sequence[Work], size: int) -> Iterator[Sequence[Work]]:
    for first in range(0, len(works), size):
        yield works[first : first + size]
