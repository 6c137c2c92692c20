"""A lab of network namespaces, as the rest of netlab sees it."""

from __future__ import annotations

import errno
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from netlab.backends import PARALLEL, Program
from netlab.backends.netns import wire
from netlab.backends.netns.channel import PipeChannel
from netlab.backends.netns.launch import InitProcess
from netlab.backends.netns.obstacles import Refusal, Step, explain, read_surroundings, refusal_of_unshare
from netlab.errors import BackendUnavailableError, LabError, NetlabError
from netlab.model import Topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from netlab.experiments import ComposeFile
    from netlab.session import AgentSession

# Where each host has its temporary files, in memory of its own: the first of them that hides nothing from the
# programs. /dev/shm is everywhere, and meant for this: shm_overview(7).
_SCRATCH = ("/dev/shm", "/mnt", "/srv", "/media")


class NetnsLab:
    """A lab of Linux network namespaces on this machine: the `netns` backend.

    Args:
        topology: what to bring up.
        directory: where its programs start: they may name files in it.
    """

    def __init__(self, topology: Topology | ComposeFile, directory: Path = Path()) -> None:
        if not isinstance(topology, Topology):
            raise NetlabError("this experiment's lab is a Compose file: run it with --backend compose")
        self._topology = topology
        self._directory = directory
        self._init: InitProcess | None = None
        self._as_user = True
        self._speaking = threading.Lock()
        self._channels: set[PipeChannel] = set()

    @property
    def topology(self) -> Topology:
        """The hosts and networks, as asked for."""
        return self._topology

    complete = True
    parallel = PARALLEL
    observers = ()
    agents: Mapping[str, AgentSession] = {}

    def hftp(self, host: str) -> Program:
        """Return the HFTP program of this very installation, which the hosts see, too."""
        return Program((sys.executable, "-m", "hftp"))

    @property
    def engine(self) -> None:
        """No container engine has a hand in it."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts, as in the topology."""
        return tuple(host.name for host in self._topology.hosts)

    @property
    def isolation(self) -> str:
        """What the running lab rests on: `user namespaces`, or `root` where only root may."""
        return "user namespaces" if self._as_user else "root"

    def spawn(self, host: str, argv: Sequence[str]) -> PipeChannel:
        """Start a program on a host, in a clean environment, as leader of a session of its own.

        When it ends, its process group ends with it. TMPDIR names a directory that vanishes with the host.

        Args:
            host: one of `hosts`.
            argv: the program, searched along PATH, and its arguments.

        Raises:
            LabError: there is no such host, the lab is down, or the program can't be started.
        """
        if host not in self.hosts:
            raise LabError(f"no host is called {host!r}: there is {', '.join(self.hosts)}")
        if not argv:
            raise LabError(f"{host}: no program to start")
        channel, theirs = self._open_channel(f"{host}: {argv[0]}")
        try:
            try:
                self._tell(wire.Spawn(host, tuple(argv)), theirs)
            finally:
                for descriptor in theirs:
                    os.close(descriptor)
            channel.wait_started()
        except BaseException:
            channel.release()
            raise
        return channel

    def python(self, host: str) -> str:
        """Return the path of a Python on that host: this one, which every host has."""
        return sys.executable

    def __enter__(self) -> Self:
        if self._init is not None:
            raise LabError("the lab is up already")
        try:
            self._bring_up()
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._take_down()

    def _bring_up(self) -> None:
        """Have the lab built: in a user namespace, or, as root where that is refused, without one."""
        obstacles = []
        for self._as_user in (True, False) if os.geteuid() == 0 else (True,):
            refusal = self._try()
            if refusal is None:
                return
            self._take_down()
            obstacle = explain(refusal, read_surroundings())
            if obstacle is None:
                raise LabError(f"the lab can't be brought up: {refusal.said}")
            obstacles.append(obstacle)
        raise BackendUnavailableError("netns", obstacles[0].why, obstacles[0].remedy)

    def _try(self) -> Refusal | None:
        try:
            self._init = InitProcess(as_user=self._as_user)
        except FileNotFoundError:
            return Refusal(Step.PROGRAM, errno.ENOENT, "no unshare")
        with suppress(LabError):  # it may have ended already: then there is no answer
            directory = _absolute(self._directory)
            self._init.tell(wire.Up(self._topology, _scratch(_needed_paths(directory)), str(directory)))
        answer = self._init.answer()
        if isinstance(answer, wire.Ready):
            return None
        return answer if isinstance(answer, Refusal) else refusal_of_unshare(self._init.last_words())

    def _take_down(self) -> None:
        with self._speaking:
            init, self._init = self._init, None
        if init is not None:
            init.end()
        for channel in tuple(self._channels):
            channel.release()

    def _open_channel(self, name: str) -> tuple[PipeChannel, tuple[int, ...]]:
        """Make a channel and the other ends of its pipes: standard input, output, error, and status."""
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr), (from_status, status) = (
            os.pipe() for _ in range(4)
        )
        channel = PipeChannel(
            name,
            stdin=to_stdin,
            stdout=from_stdout,
            stderr=from_stderr,
            status=from_status,
            kill=self._signal,
            forget=self._channels.discard,
        )
        self._channels.add(channel)
        return channel, (stdin, stdout, stderr, status)

    def _signal(self, pid: int, number: int) -> None:
        self._tell(wire.Signal(pid, number))

    def _tell(self, message: object, descriptors: tuple[int, ...] = ()) -> None:
        with self._speaking:
            if self._init is None:
                raise LabError("the lab is down")
            self._init.tell(message, descriptors)


def _absolute(directory: Path) -> Path:
    """Return a directory's path from the root on; where the user's own is gone, the root."""
    with suppress(FileNotFoundError):
        return Path(os.getcwd()) / directory  # noqa: PTH109 (Path does not care about whether it is gone)
    return Path("/") / directory


def _needed_paths(directory: Path) -> tuple[Path, ...]:
    """Return what the programs on the hosts need: Python's directories, netlab's, and where they start."""
    return tuple(Path(path).resolve() for path in (sys.prefix, sys.base_prefix, __file__, directory))


def _scratch(needed: Iterable[Path]) -> str:
    """Return a directory to cover, which has none of the needed ones in it."""
    paths = tuple(needed)
    for place in _SCRATCH:
        if Path(place).is_dir() and not any(path.is_relative_to(place) for path in paths):
            return place
    raise LabError(
        f"no place for temporary files: netlab needs one of {', '.join(_SCRATCH)} to be an empty directory"
    )
