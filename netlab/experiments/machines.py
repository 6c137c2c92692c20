"""The bind-address question, asked of machines that are there: rows and columns come from what they have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from netlab.checks import Hftp
from netlab.errors import LabError
from netlab.experiments.plan import (
    EVERYTHING,
    SERVER,
    Experiment,
    Headline,
    Selection,
    Service,
    Vantage,
)
from netlab.facts import Engine
from netlab.model import Bind, Host, Link, Target, Topology

_TITLE = "What differs when a server runs on localhost, 127.0.0.1 or 0.0.0.0, on these machines?"
_COMMAND = ("{hftp}", "serve", "--address", "{address}", "--port", "{port}", "--directory", "{data}")

# What every host has; its own addresses come after these.
_EVERYWHERE = ("localhost", "127.0.0.1", "0.0.0.0", "::")


@dataclass(frozen=True)
class MachinesDraft:
    """The experiment on the machines of an inventory, before they were looked at.

    Attributes:
        servers: the machines that serve.
        port: the TCP port that they serve on.
        selection: the part of the matrix that is wanted.
    """

    servers: tuple[str, ...]
    port: int
    selection: Selection = EVERYTHING

    def only(self, selection: Selection) -> MachinesDraft:
        """Return the experiment with a part of its matrix; its names are checked once they are known."""
        return replace(self, selection=selection)

    def on(self, topology: Topology, engine: Engine | None = None) -> Experiment:
        """Return the experiment, worked out for the machines that can be used.

        Raises:
            LabError: none of the servers can be.
            NetlabError: the selection names something that is not there.
        """
        serving = [host for host in topology.hosts if host.name in self.servers]
        if not serving:
            raise LabError(f"none of the servers can be used: {', '.join(self.servers)}")
        binds = tuple(bind for host in serving for bind in _binds(host))
        vantages = tuple(_vantages(topology, serving, binds))
        whole = Experiment(
            name="bind-address",
            title=_TITLE,
            topology=topology,
            service=Service(self.port, Hftp(), _COMMAND),
            binds=binds,
            vantages=vantages,
            headline=_headline(serving[0], vantages),
        )
        self.selection.check("bind", self.selection.binds, [bind.name for bind in binds])
        self.selection.check("vantage", self.selection.vantages, [vantage.name for vantage in vantages])
        return whole.only(self.selection)


def _binds(host: Host) -> Iterator[Bind]:
    for address in (*_EVERYWHERE, *(target.address for target in _own(host))):
        yield Bind(f"{host.name} {address}", host.name, address)


def _vantages(topology: Topology, serving: list[Host], binds: Iterable[Bind]) -> Iterator[Vantage]:
    local = (Target("localhost", "localhost"), Target("127.0.0.1", "127.0.0.1"))
    own = {host.name: tuple(_own(host)) for host in serving}
    yield Vantage(SERVER, {bind.name: (*local, *own[bind.host]) for bind in binds})
    for dialling in topology.hosts:
        # What a server dials of itself stands in the first columns already.
        targets = {bind.name: own[bind.host] if bind.host != dialling.name else () for bind in binds}
        if any(targets.values()):
            yield Vantage(dialling.name, targets)


def _own(host: Host) -> Iterator[Target]:
    """Yield a host's own addresses, each titled by its network: so the columns of all hosts are alike."""
    for link in host.links:
        for own in link.addresses:
            yield Target(_title(link, own.version), str(own.ip))


def _title(link: Link, version: int) -> str:
    return f"{link.network} IPv{version}"


def _headline(first: Host, vantages: tuple[Vantage, ...]) -> Headline:
    columns = [("from the same machine", SERVER, "localhost")]
    rows = tuple(f"{first.name} {address}" for address in _EVERYWHERE[:3])
    other = next((v for v in vantages if v.name != SERVER and v.targets[rows[0]]), None)
    if other is not None:
        columns.append((f"from {other.name}", other.name, other.targets[rows[0]][0].name))
    return Headline(rows, tuple(columns))
