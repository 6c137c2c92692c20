"""A rollout: the machines in batches, each step on all of a batch at once, and every machine's own result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import Self

from netlab.agents import agents_of
from netlab.backends.ssh import SshLab
from netlab.deploy.gate import Gate, Judgement, Served, Vantages
from netlab.deploy.machine import DeployedMachine
from netlab.deploy.release import Release
from netlab.deploy.result import Result, State, counts_as_failure
from netlab.deploy.steps import look, offer, put, remove, settle
from netlab.deploy.work import Terms, Work
from netlab.errors import NetlabError
from netlab.measure import Progress

# The deployers give up after two minutes of silence.
_PING_S = 30.0


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
        self._each("putting releases there", batch, lambda work: put(work, self._terms))
        waiting = [work for work in batch if work.result is None]
        for work in batch:
            if work.result is not None and work.machine is not None and work.machine.gone:
                self._gate.leave_out(work.host, work.result.detail)
        try:
            self._each("offering proof", waiting, offer)
            served = [_served(work) for work in waiting if work.result is None]
            judgements = self._gate.judge(served)
        except NetlabError as error:
            judgements = {work.host: Judgement(not_measured=(str(error),)) for work in waiting}
        self._each("confirming", waiting, lambda work: settle(work, self._terms, judgements[work.host]))

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

    def _look(self, work: Work) -> None:
        self._begin(work)
        look(work, self._terms)

    def _remove(self, work: Work) -> None:
        self._begin(work)
        remove(work, self._terms)

    def _begin(self, work: Work) -> None:
        """Begin work on a machine, which is left with the rollout's end, however it ends."""
        work.started = time.monotonic()
        work.machine = DeployedMachine(self._lab, work.host)
        self._machines.append(work.machine)

    # --- The end of it

    def undeploy(self, hosts: Sequence[str], tell: Callable[[Result], None]) -> list[Result]:
        """Remove everything but the data from machines."""
        works = [Work(host, None) for host in hosts]
        try:
            self._each("removing", works, self._remove)
        finally:
            results = _settled(works, tell)
        return results


def _settled(works: Sequence[Work], tell: Callable[[Result], None]) -> list[Result]:
    results = [work.result for work in works if work.result is not None]
    for result in results:
        tell(result)
    return results


def _served(work: Work) -> Served:
    serve = work.known.serve
    assert serve is not None
    return Served(work.host, serve.addresses, serve.port, work.check)


def _batches(works: Sequence[Work], size: int) -> Iterator[Sequence[Work]]:
    for first in range(0, len(works), size):
        yield works[first : first + size]
