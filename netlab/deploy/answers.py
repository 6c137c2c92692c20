"""What a deployer answers, as values: `netlab.deploy.machine` believes nothing that has another form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """A step is done, and there is no more to say of it."""


@dataclass(frozen=True, slots=True)
class Serve:
    """How a release serves: see `netlab.inventory.model.Serving`."""

    addresses: tuple[str, ...]
    port: int
    directory: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What is on a machine.

    Attributes:
        current: the ID of the release that is to run; empty for none.
        good: the IDs of those that have proved good, the latest first.
        running: whether its server runs.
        since: since when, in seconds since the epoch; 0 if it does not.
        restarts: how often it ended by itself.
        method: what keeps it running.
        serve: how it serves; None if nothing whole is deployed.
        health: what is wrong with it; empty if it serves.
        now: the machine's time, in seconds since the epoch.
        problems: what stands against the release that was asked about.
        here: whether that one is there.
    """

    current: str
    good: tuple[str, ...]
    running: bool
    since: float
    restarts: int
    method: str
    serve: Serve | None
    health: str
    now: float
    problems: tuple[str, ...]
    here: bool


@dataclass(frozen=True, slots=True)
class Reverted:
    """Which release runs after a new one was taken back; empty for none, and what is wrong with it."""

    back: str
    back_problem: str = ""


@dataclass(frozen=True, slots=True)
class Switched:
    """What came of a switch to another release.

    Attributes:
        healthy: whether it serves.
        notes: what else there is to know.
        problem: what is wrong, if it does not.
        back: the release that runs then; empty for none.
        back_problem: what is wrong with that.
        never: whether the other one had never been touched.
    """

    healthy: bool
    notes: tuple[str, ...] = ()
    problem: str = ""
    back: str = ""
    back_problem: str = ""
    never: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """Files that are missing there or other ones, files that are there alone, and the free bytes."""

    changed: tuple[str, ...]
    extra: tuple[str, ...]
    free: int


@dataclass(frozen=True, slots=True)
class Place:
    """The directory in which files arrive."""

    path: str


@dataclass(frozen=True, slots=True)
class Room:
    """What the containers of a release have to know of a machine.

    Attributes:
        image: what its image is called there.
        names: of the container that serves, and of the one to try the release out.
        labels: that say whose they are.
        directory: the data directory's whole path.
        user: the account, as `UID:GID`.
    """

    image: str
    names: tuple[str, str]
    labels: dict[str, str]
    directory: str
    user: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """The ID of the release that a rollback goes to."""

    id: str


@dataclass(frozen=True, slots=True)
class Offered:
    """The name of the file that proves who answers."""

    file: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Whether there was something to remove."""

    there: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a log, and from where to go on."""

    text: str
    cursor: str
