"""The releases on a host."""

from __future__ import annotations

import json
import os
import re

from netlab.deploy.there.files import digest_of, remove, remove_tree, sync
from netlab.deploy.there.problems import ProblemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


MANIFEST, PROGRAM, SUPERVISOR, GOOD = "release.json", "hftp.pyz", "supervisor.py", "good"
ID = re.compile(r"[0-9a-f]{64}")


class Store:
    """The releases on this host.

    Args:
        base: the deployment's directory.
    """

    def __init__(self, base: str) -> None:
        self.base = base

    def path(self, *parts: str) -> str:
        """Return a path below the directory."""
        return os.path.join(self.base, *parts)

    def release(self, name: str) -> str:
        """Return a release's directory."""
        return self.path("releases", name)

    def current(self) -> str:
        """Return the release that is to run; empty for none."""
        try:
            return os.path.basename(os.readlink(self.path("current")))
        except OSError:
            return ""

    def point(self, name: str) -> None:
        """Make a release the current one, in one step; empty for none."""
        if not name:
            remove(self.path("current"))
            return
        remove(self.path("current.new"))
        os.symlink(os.path.join("releases", name), self.path("current.new"))
        os.replace(self.path("current.new"), self.path("current"))
        sync(self.base)

    def names(self) -> list[str]:
        """Return the releases that are there, in no order."""
        try:
            return [name for name in os.listdir(self.path("releases")) if ID.fullmatch(name)]
        except FileNotFoundError:
            return []

    def good(self) -> list[str]:
        """Return those that have proved good, the latest first."""
        times = {}
        for name in self.names():
            try:
                times[name] = os.stat(os.path.join(self.release(name), GOOD)).st_mtime_ns
            except FileNotFoundError:
                pass
        return sorted(times, key=lambda name: -times[name])

    def is_whole(self, name: str) -> bool:
        """Whether every byte of a release is what its name says."""
        if not ID.fullmatch(name):
            return False
        place = self.release(name)
        try:
            if digest_of(os.path.join(place, MANIFEST)) != name:
                return False
            files = self.manifest(name)["files"]
            return all(digest_of(os.path.join(place, file)) == digest for file, digest in files.items())
        except (OSError, ValueError, KeyError):
            return False

    def manifest(self, name: str) -> Json:
        """Return what a release says of itself."""
        with open(os.path.join(self.release(name), MANIFEST), encoding="utf-8") as file:
            manifest: Json = json.load(file)
        return manifest

    def is_image(self, name: str) -> bool:
        """Whether a release is a container's image, and not a program."""
        try:
            return "image" in self.manifest(name)
        except (OSError, ValueError):
            return False

    def accept(self, incoming: str, name: str) -> None:
        """Give an upload its name, if it is that release.

        Raises:
            ProblemError: it is not.
        """
        with open(os.path.join(incoming, MANIFEST), encoding="utf-8") as file:
            files = json.load(file)["files"]
        for file_name, digest in files.items():
            came = digest_of(os.path.join(incoming, file_name))
            if came != digest:
                raise ProblemError(
                    f"{file_name} did not come over whole: its SHA-256 is {came[:12]}, not {digest[:12]}"
                )
            sync(os.path.join(incoming, file_name))
        if digest_of(os.path.join(incoming, MANIFEST)) != name:
            raise ProblemError(f"{MANIFEST} did not come over whole")
        if os.path.exists(self.release(name)):  # damaged: it would not have been sent again otherwise
            os.rename(self.release(name), incoming + ".damaged")
        os.rename(incoming, self.release(name))
        sync(self.path("releases"))
        remove_tree(incoming + ".damaged")

    def prune(self, keep: int) -> list[str]:
        """Remove all releases but the current one and the latest good ones; return what is left."""
        current = self.current()
        kept = {current, *[name for name in self.good() if name != current][:keep]}
        for name in self.names():
            if name not in kept:
                self.drop(name)
        self.sweep()
        return [name for name in self.good() if name in kept]

    def drop(self, name: str) -> None:
        """Remove a release: by another name first, as half a release must never look like one."""
        doomed = self.path("releases", ".doomed-" + name)
        remove_tree(doomed)
        os.rename(self.release(name), doomed)
        remove_tree(doomed)

    def sweep(self) -> None:
        """Remove what deployments that were cut short have left."""
        try:
            left = [name for name in os.listdir(self.path("releases")) if name.startswith(".")]
        except FileNotFoundError:
            return
        for name in left:
            remove_tree(self.path("releases", name))


def checked_id(name: object) -> str:
    """Return a release's ID.

    Raises:
        ProblemError: it is none.
    """
    if not (isinstance(name, str) and ID.fullmatch(name)):
        raise ProblemError(f"{name!r} is no release")
    return name
