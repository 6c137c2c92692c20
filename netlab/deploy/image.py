"""A release that is an image: sent to a machine's engine over our connection, and made containers there.

A container is on the machine's own network: what the inventory says of addresses and ports then means the
same as for a program, the same checks and the same gate hold for it, and no proxy of the engine accepts
connections in its name. Everything else is taken from it: it can write nowhere, has no capabilities and can
gain none, sees of the machine's files only those that it serves, and runs as the account that deploys.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netlab.backends import load_attribute
from netlab.deploy.answers import Done, Room
from netlab.deploy.release import MANIFEST, OPTIONS, Release
from netlab.model import endpoint

if TYPE_CHECKING:
    from netlab.backends.compose.images import SavedImage
    from netlab.backends.compose.remote import RemoteEngine
    from netlab.deploy.machine import DeployedMachine

# Where the image serves from, whatever the directory is called on the machine.
_DIRECTORY = "/srv/hftp"
# A log file, and how many of them there are: as of the supervisor.
_LOG = {"max-size": "1m", "max-file": "4"}
# As in compose.yaml.
_MOST_PROCESSES = 64
_NANOSECONDS = 10**9


@dataclass(frozen=True)
class ImageRelease(Release):
    """An image, of which a container serves.

    Attributes:
        image: as it was saved here.
    """

    image: SavedImage

    @property
    def contents(self) -> dict[str, object]:
        """The image's ID, which is the digest of its configuration, and so of every layer."""
        return {"image": self.image.id, "files": {}}

    @property
    def needs(self) -> dict[str, object]:
        """The bytes of its layers, and the architecture."""
        return {"bytes": self.image.size_bytes, "image": {"architecture": self.image.architecture}}

    def send(self, machine: DeployedMachine) -> None:
        """Send the image, unless it is there, and make the containers; the engine starts neither."""
        there = machine.ask(Room, "receive", {"release": self.id, "serve": self.serve, "image": True})
        connect = load_attribute("compose", "netlab.backends.compose.remote:RemoteEngine")
        engine: RemoteEngine
        with closing(connect(machine.host, machine.channel)) as engine:
            engine.give(self.image, there.image)
            for name, settings in zip(there.names, self._containers(there), strict=True):
                engine.make_container(name, there.image, settings)
        machine.ask(Done, "install", {"release": self.id, "texts": {MANIFEST: self.manifest}})

    def _containers(self, there: Room) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the settings of the container that serves, and of the one to try the release out."""
        serving = self.serving
        asked = [endpoint(serving.addresses[0], serving.port)]
        health = {"Test": ["CMD", "hftp", "health", "--timeout", "2", *asked], "Interval": 30 * _NANOSECONDS}
        serves = self._settings(there, serving.addresses, serving.port, health)
        serves["HostConfig"]["RestartPolicy"] = {"Name": "unless-stopped"}
        return serves, self._settings(there, ("127.0.0.1",), 0, {"Test": ["NONE"]})

    def _settings(
        self, there: Room, addresses: tuple[str, ...], port: int, health: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a container's settings, as the engine's API has them (POST /containers/create)."""
        return {
            "Entrypoint": ["hftp"],
            "Cmd": [
                "serve",
                *(f"--address={address}" for address in addresses),
                f"--port={port}",
                f"--directory={_DIRECTORY}",
                *OPTIONS,
            ],
            "User": there.user,
            "Labels": there.labels,
            "Healthcheck": dict(health),
            "HostConfig": {
                "NetworkMode": "host",
                "ReadonlyRootfs": True,
                "PidsLimit": _MOST_PROCESSES,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": {"Type": "json-file", "Config": _LOG},
                "Mounts": [
                    {"Type": "bind", "Source": there.directory, "Target": _DIRECTORY, "ReadOnly": True}
                ],
            },
        }
