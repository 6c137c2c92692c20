"""Backends: what makes, or attaches to, a lab.

A backend supplies three things: hosts, a way to run a program on each with stdin and stdout, and their end.
Everything else (agent, predictor, matrix, reports) is the same over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, Self, cast, runtime_checkable

from netlab.errors import BackendUnavailableError, NetlabError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from netlab.experiments import ComposeFile
    from netlab.facts import Engine
    from netlab.model import Topology
    from netlab.session import AgentSession


class Channel(Protocol):
    """A program that runs on a host, seen from here: its standard input and output."""

    def send(self, data: bytes) -> None:
        """Write all of `data` to the program's standard input.

        Raises:
            LabError: the program is gone.
        """

    def readline(self, timeout_s: float) -> bytes:
        """Return the next line of its standard output, newline included; empty at its end.

        Raises:
            TimeoutError: no whole line came within `timeout_s` seconds.
        """

    def diagnostics(self) -> str:
        """Return what the program wrote to standard error so far (at most a few KiB, the last ones)."""

    def close(self) -> None:
        """Close its standard input, and see to it that the program ends. Safe to repeat."""


@dataclass(frozen=True)
class Program:
    """A program on a host.

    Attributes:
        argv: what runs it; `{tools}` is where its files are.
        tools: the files that it needs and the host does not have: content by name.
    """

    argv: tuple[str, ...]
    tools: Mapping[str, bytes] = field(default_factory=dict)


# How many hosts are spoken to at once, unless somebody says otherwise: more threads would only wait for one
# another, the work is done there.
PARALLEL = 32


class Runner(Protocol):
    """What runs programs on hosts: all that an agent needs."""

    def spawn(self, host: str, argv: Sequence[str]) -> Channel:
        """Start a program on a host. Safe to call from several threads.

        Args:
            host: its name.
            argv: the program and its arguments; no shell comes between.

        Raises:
            LabError: the host is gone or the program can't be started.
        """

    def python(self, host: str) -> str:
        """Return the path of a Python (3.8 or later) on that host."""


class Lab(Runner, Protocol):
    """A running lab, as a context manager: on leaving it, nothing of it is left."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts, as in the topology."""

    @property
    def topology(self) -> Topology:
        """The hosts and networks that are up."""

    @property
    def observers(self) -> tuple[str, ...]:
        """The hosts that only dial: what listens on them is no part of the lab."""

    @property
    def parallel(self) -> int:
        """How many hosts are spoken to at once."""

    @property
    def complete(self) -> bool:
        """Whether every router between the hosts is one of them."""

    @property
    def agents(self) -> Mapping[str, AgentSession]:
        """The agents that run already, by host: those that the lab itself had to ask something."""

    def hftp(self, host: str) -> Program:
        """Return what runs the HFTP program on a host."""

    @property
    def engine(self) -> Engine | None:
        """What a container engine adds to the network, where one made it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@runtime_checkable
class ServingLab(Lab, Protocol):
    """A lab in which the services under test run already."""

    def offer(self, host: str, files: Mapping[str, str]) -> None:
        """Give a running service files to serve.

        Args:
            host: whose service.
            files: content by name.
        """


@runtime_checkable
class ContainerLab(Lab, Protocol):
    """A lab of containers: what the engine can do, and tells, beyond what agents can."""

    def capturing(self) -> Runner:
        """Return what runs programs on the hosts that may capture packets, and nothing else besides."""

    def logs(self) -> Mapping[str, str]:
        """Return what the containers wrote, the last of it, by host."""

    def versions(self) -> Mapping[str, str]:
        """Return the versions of what makes the containers."""

    def environments(self) -> Mapping[str, Mapping[str, str]]:
        """Return the containers' environments, by host. They have secrets in them."""


class LabFactory(Protocol):
    """What makes a lab that is not up yet."""

    def __call__(self, wanted: Topology | ComposeFile, directory: Path = ..., /) -> Lab:
        """Return it.

        Args:
            wanted: what to bring up.
            directory: where programs start on hosts that see this machine's files.
        """


# name -> "module:class", imported on use, so that no backend's libraries are needed for another's.
BACKENDS = {
    "netns": "netlab.backends.netns:NetnsLab",
    "compose": "netlab.backends.compose:ComposeLab",
}


class RunningLab(Protocol):
    """A lab of this user's that a process of netlab, this one or another, has up."""

    @property
    def backend(self) -> str:
        """The kind of lab."""

    @property
    def id(self) -> str:
        """What `--lab` calls it."""

    @property
    def owner(self) -> int:
        """The process that has it up."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts that can be entered."""

    def enter(self, host: str, argv: Sequence[str]) -> int:
        """Run a program on a host, in this terminal, and return its exit code.

        Args:
            host: one of `hosts`.
            argv: the program and its arguments; empty for a shell.

        Raises:
            LabError: the lab or the host is gone, or can't be entered.
        """


# name -> "module:function": those labs of this user that are up.
RUNNING = {
    "netns": "netlab.backends.netns.running:running_labs",
    "compose": "netlab.backends.compose.running:running_labs",
}


def running_labs(*names: str) -> list[RunningLab]:
    """Return this user's labs that are up, of some backends or of all; one that isn't there has none."""
    labs: list[RunningLab] = []
    for name in names or RUNNING:
        if name in RUNNING:
            with suppress(BackendUnavailableError):
                labs += load_attribute(name, RUNNING[name])()
    return labs


# Lets netlab choose: containers where an engine and the images are there, else network namespaces.
AUTO = "auto"


def choose() -> tuple[str, str]:
    """Return the backend to use where none was asked for, and why that one."""
    try:
        why = load_attribute("compose", "netlab.backends.compose.engine:readiness")()
    except BackendUnavailableError as error:
        return "netns", error.why
    return "compose", why


def backend(name: str) -> LabFactory:
    """Return what brings up a lab of that kind: a callable from a topology to a context manager.

    Raises:
        NetlabError: no such backend; the message lists those that there are.
    """
    if name not in BACKENDS:
        raise NetlabError(f"no backend is called {name!r}: there is {', '.join(BACKENDS)}")
    return cast(LabFactory, load_attribute(name, BACKENDS[name]))


def load_attribute(backend: str, place: str) -> Any:
    """Return something of a backend's own modules.

    Args:
        backend: whose libraries it needs.
        place: `module:attribute`.

    Raises:
        BackendUnavailableError: a library is missing; the message names the command that installs it.
    """
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        remedy = f"pip install 'hftp-netlab[{backend}]'"
        raise BackendUnavailableError(backend, f"the package {error.name} is missing", remedy) from None
