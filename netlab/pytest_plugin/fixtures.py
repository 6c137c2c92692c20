"""The fixtures. What they bring up is in `running`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from netlab.pytest_plugin import settings
from netlab.pytest_plugin.wanted import LabName, Wanted, wanted, wanted_by

if TYPE_CHECKING:
    from netlab.pytest_plugin.running import RunningHost, RunningLab
    from netlab.pytest_plugin.servers import Server

StartLab = Callable[..., AbstractContextManager["RunningLab"]]
StartServer = Callable[..., "Server"]


@pytest.fixture(scope="session")
def netlab_start_lab(pytestconfig: pytest.Config) -> StartLab:
    """Bring up labs of one's own, each for as long as a `with` block runs."""

    def start(
        lab: LabName | None = None, *, backend: str | None = None
    ) -> AbstractContextManager[RunningLab]:
        return _running(pytestconfig, wanted(pytestconfig, lab, backend))

    return start


@pytest.fixture(scope=settings.lab_scope)
def netlab_lab(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    """The lab of the test's marker, or the standard one: brought up once a module."""
    asked = getattr(request, "param", None) or wanted_by(request.node)
    if not isinstance(asked, Wanted):
        asked = wanted(request.config, asked, None, request.path)
    with _running(request.config, asked) as lab:
        yield lab


@contextmanager
def _running(config: pytest.Config, asked: Wanted) -> Iterator[RunningLab]:
    from netlab.pytest_plugin.running import start_lab

    with ExitStack() as stack:
        with settings.obstacles(config):
            lab = stack.enter_context(start_lab(asked))
        yield lab


@pytest.fixture(scope=settings.lab_scope)
def netlab_host(netlab_lab: RunningLab) -> Callable[[str], RunningHost]:
    """A host of the lab, by its name: `netlab_host("peer")`."""
    return netlab_lab.host


@pytest.fixture
def netlab_server(netlab_lab: RunningLab) -> Iterator[StartServer]:
    """Start servers in the lab, that end with the test: `netlab_server([...], bind="0.0.0.0", port=8080)`."""
    with ExitStack() as servers:

        def start(*args: Any, **kwargs: Any) -> Server:
            return servers.enter_context(netlab_lab.server(*args, **kwargs))

        yield start


@pytest.fixture
def hftp_server(netlab_lab: RunningLab, request: pytest.FixtureRequest) -> Iterator[Server]:
    """An HFTP server that listens on 0.0.0.0, or on the bind that the fixture is parametrized with."""
    with ExitStack() as stack:
        with settings.obstacles(request.config):
            server = stack.enter_context(netlab_lab.hftp_server(getattr(request, "param", "0.0.0.0")))
        yield server
