"""The archive: a zip file, which every system opens, with a manifest of what is in it and what is not."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable
from typing import Any

from netlab.bundle.scrub import Scrubber

# Raised when a field changes its meaning or goes; new fields may come at any time.
FORMAT = 1
MANIFEST = "manifest.json"

_UNSAFE = re.compile(r"[^\w.+-]+", re.ASCII)


class Archive:
    """Files by their paths. Every text goes through the scrubber; bytes don't, and must not need to.

    Args:
        scrubber: removes secrets.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._content = io.BytesIO()
        self._zip = zipfile.ZipFile(self._content, "w", zipfile.ZIP_DEFLATED)
        self._files: list[dict[str, Any]] = []
        self._missing: list[dict[str, str]] = []

    def add_text(self, path: str, text: str, what: str) -> None:
        """Add a text, without its secrets; `what` says what it is."""
        self.add_bytes(path, self._scrubber.text(text).encode("utf-8", "replace"), what)

    def add_json(self, path: str, value: Any, what: str) -> None:
        """Add a value as JSON, without its secrets."""
        content = json.dumps(self._scrubber.value(value), indent=1, ensure_ascii=False) + "\n"
        self.add_bytes(path, content.encode("utf-8", "replace"), what)

    def add_bytes(self, path: str, content: bytes, what: str) -> None:
        """Add bytes as they are."""
        self._zip.writestr(path, content)
        digest = hashlib.sha256(content).hexdigest()
        said = self._scrubber.text(what)
        self._files.append({"path": path, "bytes": len(content), "sha256": digest, "what": said})

    def miss(self, path: str, why: str) -> None:
        """Note that a file is not there, and why."""
        self._missing.append({"path": path, "why": self._scrubber.text(why)})

    @property
    def count(self) -> int:
        """How many files there are, the manifest included."""
        return len(self._files) + 1

    @property
    def missing(self) -> int:
        """How many are not."""
        return len(self._missing)

    def finished(self, head: dict[str, Any]) -> bytes:
        """Return the whole archive.

        Args:
            head: what the manifest says before the files.
        """
        manifest = {
            "format": FORMAT,
            **self._scrubber.value(head),
            "files": self._files,
            "missing": self._missing,
        }
        self._zip.writestr(MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        self._zip.close()
        return self._content.getvalue()


def _file_name(name: str) -> str:
    """Return a name as that of a file on any system: it may have been anything."""
    return _UNSAFE.sub("_", name).strip(".")[:80] or "_"


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Return a file's name for each name, no two alike, also where case does not count."""
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        safe, number = _file_name(name), 1
        while safe.lower() in taken:
            number += 1
            safe = f"{_file_name(name)}-{number}"
        taken.add(safe.lower())
        chosen[name] = safe
    return chosen
