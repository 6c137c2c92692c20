"""A machine in the course of a rollout: what is known of it, what was done, and how it ended up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from netlab.checks import Check, Tcp
from netlab.deploy.answers import Survey
from netlab.deploy.data import Data
from netlab.deploy.machine import DeployedMachine
from netlab.deploy.release import Release
from netlab.deploy.result import Result, State


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
