"""An image as a file: saved from the engine here, or by somebody else, to be sent to another engine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

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


@dataclass(frozen=True)
class SavedImage:
    """An image in an archive, without a name: what it is called here is nothing to another engine.

    Attributes:
        id: the SHA-256 of its configuration, as engines write it: `sha256:...`.
        architecture: as Go calls it: `amd64`.
        version: what it calls itself (the label org.opencontainers.image.version); empty for nothing.
        size_bytes: of its layers, unpacked.
        archive: what an engine can load; it has no path, so it goes with this process.
    """

    id: str
    architecture: str
    version: str
    size_bytes: int
    archive: IO[bytes] = field(repr=False, compare=False)

    def __enter__(self) -> SavedImage:
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive's bytes; safe to do from several threads at once."""
        at = 0
        while piece := os.pread(self.archive.fileno(), _PIECE_BYTES, at):
            at += len(piece)
            yield piece


def saved_image(name: str | None = None) -> SavedImage:
    """Return an image: of a file that `docker save` wrote, or of the engine here, by its name.

    Args:
        name: a file, or else an image's name; by default that of the server.

    Raises:
        NetlabError: there is no such image, or it can't be read.
        BackendUnavailableError: no engine answers.
    """
    name = name or SERVER_IMAGE
    if Path(name).is_file():
        try:
            with Path(name).open("rb") as file:
                return read_archive(file, name)
        except OSError as error:
            raise NetlabError(f"--image {name}: {error.strerror}") from None
    with find_engine() as engine, tempfile.TemporaryFile() as saved:
        try:
            described = engine.client.images.get(name)
            # By its ID: then the archive says nothing of names.
            for piece in engine.client.api.get_image(str(described.id), chunk_size=_PIECE_BYTES):
                saved.write(piece)
        except ImageNotFound:
            raise BackendUnavailableError(
                "compose", f"{engine.source} has no image {name}", "make it with 'make images'"
            ) from None
        except (APIError, DockerException, OSError) as error:
            raise NetlabError(f"--image {name}: it can't be saved: {short(error)}") from None
        saved.seek(0)
        return read_archive(saved, name)


def read_archive(source: IO[bytes], name: str) -> SavedImage:
    """Copy an archive that `docker save` wrote, leaving out what the image is called.

    Args:
        source: its bytes; seekable.
        name: for messages.

    Raises:
        NetlabError: it is no such archive, or has several images in it.
    """
    with ExitStack() as unless_it_is_one:
        archive = unless_it_is_one.enter_context(tempfile.TemporaryFile())
        try:
            with tarfile.open(fileobj=source) as old:
                (image,) = _json(old, _MANIFEST)
                configuration = _read(old, image["Config"])
                size = sum(old.getmember(layer).size for layer in set(image["Layers"]))
                with closing(tarfile.open(fileobj=archive, mode="w:gz", compresslevel=_COMPRESSION)) as new:
                    _copy_without_names(old, new, image)
            said = json.loads(configuration)
            architecture = str(said["architecture"])
            version = str((said["config"].get("Labels") or {}).get(_VERSION, ""))
        except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise NetlabError(
                f"--image {name}: it is not one image as 'docker save' writes it: {why}"
            ) from None
        archive.flush()
        unless_it_is_one.pop_all()
    known_as = f"sha256:{hashlib.sha256(configuration).hexdigest()}"
    return SavedImage(known_as, architecture, version, size, archive)


def _copy_without_names(old: tarfile.TarFile, new: tarfile.TarFile, image: dict[str, Any]) -> None:
    nameless: dict[str, object] = {_MANIFEST: [{**image, "RepoTags": None}]}
    for member in old:
        if member.name == _REPOSITORIES:
            continue
        if member.name == _INDEX:
            index = _json(old, _INDEX)
            nameless[_INDEX] = {
                **index,
                "manifests": [{**one, "annotations": {}} for one in index["manifests"]],
            }
        if member.name in nameless:
            content = json.dumps(nameless[member.name]).encode()
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
        else:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)


def _json(archive: tarfile.TarFile, name: str) -> Any:
    return json.loads(_read(archive, name))


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None or archive.getmember(name).size > _MOST_JSON_BYTES:
        raise ValueError(f"{name} is no file of some KiB")
    return file.read()
