"""A running project's containers as the hosts of a lab: what both kinds of such labs have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.backends import Program
from netlab.backends.compose.engine import Engine
from netlab.backends.compose.project import Project
from netlab.backends.compose.sidecar import SidecarChannel, start_sidecar
from netlab.facts import Engine as EngineFacts
from netlab.model import Topology


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
        container = self._project.containers.get(host)
        network = f"container:{container}" if container is not None else "host"
        return start_sidecar(self._engine, network, argv, self._labels)
