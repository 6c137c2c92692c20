"""How the tests are shared out where several processes run them (pytest-xdist)."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Those that use the container engine look at everything that is in it: one after the other.
_ENGINE = ("tests/compose/", "tests/ssh/test_deploy_containers.py", "tests/ssh/test_machines.py")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A file's tests stay together, since they share labs and servers; so do those that use the engine."""

    def _split_scope(self, nodeid: str) -> str:
        return "engine" if nodeid.startswith(_ENGINE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Share the tests out by file."""
    return ByFile(config, log)
