"""A running project's containers as the hosts of a lab: what both kinds of such labs have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netlab.backends import PARALLEL, Program, Runner
from netlab.backends.compose.engine import Engine, asking, compose_version
from netlab.backends.compose.project import Project
from netlab.backends.compose.sidecar import SidecarChannel, start_sidecar
from netlab.facts import Engine as EngineFacts
from netlab.model import Topology
from netlab.session import AgentSession

# Of what a container wrote, for the record of a run.
_LOG_LINES = 5000
_LOG_LETTERS = 256 * 1024


class Containers:
    """The hosts of a lab. Programs on them run in sidecars."""

    _engine: Engine
    _project: Project
    _labels: Mapping[str, str]  # on every sidecar

    @property
    def hosts(self) -> tuple[str, ...]:
        """The containers, and the engine's own machine."""
        return tuple(host.name for host in self._project.topology.hosts)

    @property
    def topology(self) -> Topology:
        """The containers and networks, as the engine made them."""
        return self._project.topology

    @property
    def engine(self) -> EngineFacts:
        """What the engine adds to the network."""
        return self._project.engine

    @property
    def observers(self) -> tuple[str, ...]:
        """The engine's own machine, unless a container shares its network."""
        return () if self.engine.sharing else (self.engine.host,)

    # The engine's machine is the only router.
    complete = True
    parallel = PARALLEL
    agents: Mapping[str, AgentSession] = {}

    def hftp(self, host: str) -> Program:
        """Return the HFTP program of the sidecars' image."""
        return Program(("hftp",))

    def python(self, host: str) -> str:
        """Return the Python of the sidecars' image; the host's own image is not asked for one."""
        return "python3"

    def spawn(self, host: str, argv: Sequence[str]) -> SidecarChannel:
        """Start a program in a sidecar in the host's network.

        Raises:
            LabError: the host is gone, or the program can't be started.
        """
        return start_sidecar(self._engine, self._network(host), argv, self._labels)

    def capturing(self) -> Runner:
        """Return what runs programs in sidecars that may capture packets."""
        return _Capturing(self)

    def spawn_capturing(self, host: str, argv: Sequence[str]) -> SidecarChannel:
        """Start a program in a sidecar in the host's network that may capture packets there.

        Raises:
            LabError: the host is gone, or the program can't be started.
        """
        return start_sidecar(self._engine, self._network(host), argv, self._labels, captures=True)

    def logs(self) -> Mapping[str, str]:
        """Return the last of what the containers wrote, by host."""
        with asking(self._engine):
            containers = self._engine.client.containers
            return {
                host: containers.get(identity).logs(tail=_LOG_LINES).decode(errors="replace")[-_LOG_LETTERS:]
                for host, identity in self._project.containers.items()
            }

    def versions(self) -> Mapping[str, str]:
        """Return the versions of the engine and of Compose."""
        return {"container engine": self._engine.version, "Compose": compose_version(self._engine)}

    def environments(self) -> Mapping[str, Mapping[str, str]]:
        """Return the containers' environments, by host."""
        with asking(self._engine):
            inspected = {
                host: self._engine.client.containers.get(identity).attrs
                for host, identity in self._project.containers.items()
            }
        return {
            host: dict(entry.partition("=")[::2] for entry in said["Config"]["Env"] or ())
            for host, said in inspected.items()
        }

    def _network(self, host: str) -> str:
        container = self._project.containers.get(host)
        return f"container:{container}" if container is not None else "host"


@dataclass(frozen=True)
class _Capturing:
    """Runs programs that may capture packets on the hosts of a lab."""

    lab: Containers

    def spawn(self, host: str, argv: Sequence[str]) -> SidecarChannel:
        """Start one."""
        return self.lab.spawn_capturing(host, argv)

    def python(self, host: str) -> str:
        """Return the Python that runs it."""
        return self.lab.python(host)
