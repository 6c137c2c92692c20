"""What holds for every process that runs tests, and how they are shared out among several (pytest-xdist)."""

from __future__ import annotations

import signal

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# A script that runs the tests in the background, or nohup, has them ignore these, and with them all that they
# start, of which it is tested what they do then. Who is started does not inherit a handler.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

# Those that use the container engine look at everything that is in it: one after the other.
_ENGINE = ("tests/compose/", "tests/ssh/test_deploy_containers.py", "tests/ssh/test_machines.py")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A file's tests stay together, since they share labs and servers; so do those that use the engine."""

    def _split_scope(self, nodeid: str) -> str:
        return "engine" if nodeid.startswith(_ENGINE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Share the tests out by file."""
    return ByFile(config, log)
