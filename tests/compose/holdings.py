"""What is on an engine, and which of it is new: so that a test can say that nothing was left."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.compose.conftest import Engine

# A run's id, as a pattern of file names.
_RUN = "[0-9a-f]" * 8


@dataclass(frozen=True)
class Holdings:
    """Every container, running or not, every network, every volume, and the directories of runs."""

    names: frozenset[str]

    def __sub__(self, earlier: Holdings) -> set[str]:
        return set(self.names - earlier.names)


def holdings(engine: Engine) -> Holdings:
    """Look at what is there; passed over is what another living process of this machine has."""
    listed = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    lines = [line for words in listed for line in engine(*words, "--format", "json").splitlines()]
    things = {
        f"{said.get('Names') or said.get('Name')} {said.get('ID', '')}".strip()
        for said in map(json.loads, lines)
        if not _is_anothers(f"{said.get('Names', '')} {said.get('Name', '')} {said['Labels']}")
    }
    directories = {
        str(path)
        for path in Path(tempfile.gettempdir()).glob(f"netlab-{_RUN}-*")
        if not _is_anothers(path.name)
    }
    return Holdings(frozenset(things | directories))


def _is_anothers(said: str) -> bool:
    """Whether it belongs to a run, or a test, of a process that lives and is not this one."""
    owners = re.findall(rf"netlab\.owner=(\d+) |netlab-test-(?:\w+-)?(\d+)|^netlab-{_RUN}-(\d+)-", said)
    processes = {int("".join(found)) for found in owners}
    return any(pid != os.getpid() and Path(f"/proc/{pid}").exists() for pid in processes)
