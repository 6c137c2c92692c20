"""The engine of another machine, by the docker SDK's SSH transport over a connection that is ours.

The SDK would make a connection of its own, by other rules. Here it is given channels of the one that is there
already: with its host key checked, by its jump hosts, logged in to once. As ever with that transport, each
channel runs `docker system dial-stdio`, so the engine is the one that the account's `docker` talks to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.transport import SSHHTTPAdapter

import docker
from netlab.backends.compose.engine import short
from netlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import paramiko

    from netlab.backends.compose.images import SavedImage

_TIMEOUT_S = 60
# Every engine of the last years speaks this one; what it speaks best is asked for first.
_FIRST_API = "1.41"
_URL = "http+docker://ssh"
# How `docker load` says what a nameless image is called on that engine.
_LOADED = "Loaded image ID: "


class _Channels:
    """In the place of paramiko's SSHClient: all that the SDK wants of it are channels."""

    def __init__(self, open_session: Callable[[], paramiko.Channel]) -> None:
        self.open_session = open_session

    def get_transport(self) -> _Channels:
        return self

    def close(self) -> None:
        """Do nothing: the connection is not the SDK's to end."""


class _Adapter(SSHHTTPAdapter):
    """The SDK's SSH transport, with channels that it is given."""

    def __init__(self, channels: _Channels) -> None:
        self._channels = channels
        super().__init__(_URL, timeout=_TIMEOUT_S)

    def _create_paramiko_client(self, base_url: str) -> None:
        self.ssh_client = self._channels  # type: ignore[assignment]  # no SSHClient, and enough of one

    def _connect(self) -> None:
        """Do nothing: it is connected."""

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        """Return the one pool of channels: the SDK has one a URL, and sshd ten in all (MaxSessions)."""
        return super().get_connection(_URL, proxies)


class RemoteEngine:
    """The engine of a machine.

    Args:
        host: the machine's name.
        open_session: opens a channel there, on which a command can be run.

    Raises:
        LabError: it does not answer.
    """

    def __init__(self, host: str, open_session: Callable[[], paramiko.Channel]) -> None:
        self._host = host
        # Any: the SDK's types leave out a part of what it has.
        api: Any = docker.APIClient(base_url="http://localhost:2375", version=_FIRST_API, timeout=_TIMEOUT_S)
        self._api = api
        self._api.trust_env = False  # no proxy is on that way
        self._api.mount(_URL, _Adapter(_Channels(open_session)))
        self._api.base_url = _URL
        with self._asking():
            self._api._version = str(self._api.version(api_version=False)["ApiVersion"])

    def close(self) -> None:
        """End the channels."""
        self._api.close()

    def give(self, image: SavedImage, name: str) -> None:
        """Have an image there by a name; it is sent only if the engine does not have it.

        Args:
            image: what it is to have.
            name: `repository:tag`.

        Raises:
            LabError: the engine refuses it, or is gone.
        """
        with self._asking():
            try:
                known = str(self._api.inspect_image(image.id)["Id"])
            except ImageNotFound:
                known = self._load(image)
            repository, _, tag = name.rpartition(":")
            self._api.tag(known, repository, tag, force=True)

    def make_container(self, name: str, image: str, settings: Mapping[str, Any]) -> None:
        """Make a container, in the place of one of that name.

        Args:
            name: the container's.
            image: the image's name.
            settings: the rest, as the engine's API has it.

        Raises:
            LabError: the engine refuses, or is gone.
        """
        with self._asking():
            with suppress(NotFound):
                self._api.remove_container(name, force=True)
            self._api.create_container_from_config({"Image": image, **settings}, name)

    def _load(self, image: SavedImage) -> str:
        known = image.id
        for line in self._api.load_image(image.pieces()):
            if "error" in line:
                raise LabError(f"{self._host}: its engine refuses the image: {line['error']}")
            said = str(line.get("stream", "")).strip()
            if said.startswith(_LOADED):
                known = said.removeprefix(_LOADED)
        return known

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            raise LabError(f"{self._host}: its container engine refuses: {short(error)}") from None
        except (DockerException, OSError) as error:  # the SDK lets those of its HTTP library pass
            raise LabError(f"{self._host}: its container engine does not answer: {short(error)}") from None
