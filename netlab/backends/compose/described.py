"""A lab that is described, made of containers: the servers run from an image, the others only dial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netlab.agent.service import filled
from netlab.backends.compose.engine import CLIENT_IMAGE
from netlab.backends.compose.lab import DATA, ComposeLab
from netlab.errors import NetlabError
from netlab.experiments.plan import ComposeFile, ImageServer
from netlab.model import Host, Network, Topology

# An image's own health check may dial an address that this bind does not listen on, and Compose can't wait
# for a container whose check is disabled. `init: true` puts this program into every container (tini).
_INIT = "/sbin/docker-init"


class ImageLab(ComposeLab):
    """Networks and hosts as a Compose project of its own, with the very addresses that the lab has.

    Args:
        topology: the lab's; no host of it forwards.
        servers: what runs on the servers, by their names.

    Raises:
        NetlabError: the lab has a router: containers don't forward.
    """

    def __init__(self, topology: Topology, servers: Mapping[str, ImageServer]) -> None:
        for host in topology.hosts:
            if host.forwards:
                raise NetlabError(f"{host.name} is a router, and containers don't forward: take another lab")
        super().__init__(ComposeFile(Path(), tuple(servers)))
        self._described, self._images = topology, servers

    def _write_additions(self, directory: Path) -> None:
        """Write the Compose file, then what a run adds to every such file, then the servers' files."""
        self._file = directory / "compose.json"
        self._file.write_text(json.dumps(document(self._described, self._images)), encoding="utf-8")
        super()._write_additions(directory)
        for host, server in self._images.items():
            for name, content in server.files.items():
                (directory / host / name).write_text(filled(content, {"data": DATA}), encoding="utf-8")


def document(topology: Topology, servers: Mapping[str, ImageServer]) -> dict[str, Any]:
    """Return the Compose file of a lab (the Compose Specification).

    Args:
        topology: the lab's.
        servers: what runs on the servers, by their names.
    """
    return {
        "services": {host.name: _service(host, servers.get(host.name)) for host in topology.hosts},
        "networks": {network.name: _network(network) for network in topology.networks},
    }


def _service(host: Host, server: ImageServer | None) -> dict[str, Any]:
    networks = {
        link.network: {f"ipv{own.version}_address": str(own.ip) for own in link.addresses}
        for link in host.links
    }
    common = {"hostname": host.name, "init": True, "networks": networks}
    if server is None:
        return {**common, "image": CLIENT_IMAGE, "entrypoint": ["sleep", "infinity"]}
    # In Compose files a dollar sign begins a variable, unless it is doubled.
    command = [filled(word, {"data": DATA}).replace("$", "$$") for word in server.argv]
    healthy = {"test": ["CMD", _INIT, "--version"], "interval": "1s"}
    return {**common, "image": server.image, "healthcheck": healthy} | (
        {"command": command} if command else {}
    )


def _network(network: Network) -> dict[str, Any]:
    prefixes = [prefix for prefix in (network.ipv4, network.ipv6) if prefix is not None]
    return {
        "enable_ipv6": network.ipv6 is not None,
        "ipam": {"config": [{"subnet": str(prefix)} for prefix in prefixes]},
    }
