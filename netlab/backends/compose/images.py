"""An image to be sent to another engine: one of the engine here, or a file that `docker save` wrote."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

from docker.errors import APIError, DockerException, ImageNotFound

from netlab.backends.compose.engine import SERVER_IMAGE, find_engine, short
from netlab.errors import BackendUnavailableError, NetlabError

# Of the archives that `docker save` writes: which blobs an image consists of, and what it is called.
_MANIFEST, _REPOSITORIES, _INDEX = "manifest.json", "repositories", "index.json"
_VERSION = "org.opencontainers.image.version"
_PIECE_BYTES = 1 << 18
# A manifest or a configuration has some KiB.
_MOST_JSON_BYTES = 1 << 22
# Spares half of the bytes on the way, and takes less time than sending them.
_COMPRESSION = 1

# Writes an image as engines load it, and without a name: what it is called here is nothing to others.
_Save = Callable[[IO[bytes]], None]


class SavedImage:
    """An image, and an archive of it that is made when it is asked for; as a context manager.

    Args:
        known_as: its ID: the SHA-256 of its configuration, as engines write it.
        configuration: that, as the image specification has it.
        size_bytes: of its layers.
        save: writes the archive.

    Attributes:
        id: `sha256:...`.
        architecture: as Go calls it: `amd64`.
        version: what it calls itself (the label org.opencontainers.image.version); empty for nothing.
        size_bytes: of its layers, unpacked.
    """

    def __init__(self, known_as: str, configuration: Mapping[str, Any], size_bytes: int, save: _Save) -> None:
        self.id, self.size_bytes = known_as, size_bytes
        self.architecture = str(configuration["architecture"])
        self.version = str((configuration["config"].get("Labels") or {}).get(_VERSION, ""))
        self._save = save
        self._stack = ExitStack()
        self._archive: IO[bytes] | None = None
        self._saving = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive's bytes; safe to do from several threads at once: it is made once."""
        with self._saving:
            if self._archive is None:
                # It has no path, so it goes with this process.
                archive = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
                self._save(archive)
                archive.flush()
                self._archive = archive
        at = 0
        while piece := os.pread(self._archive.fileno(), _PIECE_BYTES, at):
            at += len(piece)
            yield piece


def saved_image(name: str | None = None) -> SavedImage:
    """Return an image: of a file that `docker save` wrote, or of the engine here, by its name.

    Args:
        name: a file, or else an image's name; by default that of the server.

    Raises:
        NetlabError: there is no such image, or it can't be read.
        BackendUnavailableError: no engine answers, or it has no such image.
    """
    name = name or SERVER_IMAGE
    return _of_file(Path(name)) if Path(name).is_file() else _of_engine(name)


def _of_engine(name: str) -> SavedImage:
    with find_engine() as engine:
        try:
            described = engine.client.api.inspect_image(name)  # type: ignore[no-untyped-call]
        except ImageNotFound:
            why = f"an engine answers ({engine.source}), but it has no image {name}"
            raise BackendUnavailableError("compose", why, "make it with 'make images'") from None
        except (APIError, DockerException, OSError) as error:
            raise NetlabError(f"--image {name}: {short(error)}") from None
    configuration = {"architecture": described["Architecture"], "config": described["Config"]}

    def save(archive: IO[bytes]) -> None:
        try:
            # By its ID: then the archive says nothing of names.
            with find_engine() as engine, gzip.open(archive, "wb", compresslevel=_COMPRESSION) as packed:
                for piece in engine.client.api.get_image(described["Id"], chunk_size=_PIECE_BYTES):
                    packed.write(piece)
        except (APIError, DockerException, OSError) as error:
            raise NetlabError(f"--image {name}: it can't be saved: {short(error)}") from None

    return SavedImage(described["Id"], configuration, int(described["Size"]), save)


def _of_file(path: Path) -> SavedImage:
    try:
        with tarfile.open(path) as archive:
            (image,) = _json(archive, _MANIFEST)
            configuration = _read(archive, image["Config"])
            size = sum(archive.getmember(layer).size for layer in set(image["Layers"]))
        known_as = f"sha256:{hashlib.sha256(configuration).hexdigest()}"
        return SavedImage(known_as, json.loads(configuration), size, lambda to: _copy(path, to, image))
    except OSError as error:
        raise NetlabError(f"--image {path}: {error.strerror}") from None
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise NetlabError(f"--image {path}: not one image as 'docker save' writes it: {why}") from None


def _copy(path: Path, to: IO[bytes], image: Mapping[str, Any]) -> None:
    """Copy an archive without what its image is called."""
    nameless: dict[str, object] = {_MANIFEST: [{**image, "RepoTags": None}]}
    try:
        with (
            tarfile.open(path) as old,
            tarfile.open(fileobj=to, mode="w:gz", compresslevel=_COMPRESSION) as new,
        ):
            if _INDEX in old.getnames():
                index = _json(old, _INDEX)
                manifests = [{**one, "annotations": {}} for one in index["manifests"]]
                nameless[_INDEX] = {**index, "manifests": manifests}
            for member in old:
                if member.name in nameless:
                    content = json.dumps(nameless[member.name]).encode()
                    member.size = len(content)
                    new.addfile(member, io.BytesIO(content))
                elif member.name != _REPOSITORIES:
                    new.addfile(member, old.extractfile(member) if member.isfile() else None)
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise NetlabError(f"--image {path}: it can't be copied: {' '.join(str(error).split())}") from None


def _json(archive: tarfile.TarFile, name: str) -> Any:
    return json.loads(_read(archive, name))


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None or archive.getmember(name).size > _MOST_JSON_BYTES:
        raise ValueError(f"{name} is no file of some KiB")
    return file.read()
