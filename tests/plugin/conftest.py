"""Projects of users, made for a test, in which pytest runs as a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netlab.backends.netns import NetnsLab
from netlab.errors import BackendUnavailableError
from netlab.model import Topology
from tests.requirements import unavailable

Pytest = Callable[..., pytest.RunResult]


@pytest.fixture(scope="session")
def netns() -> None:
    """Skip, or fail, the tests that need network namespaces where there can be none."""
    try:
        with NetnsLab(Topology((), ())):
            pass
    except BackendUnavailableError as error:
        unavailable("netns", str(error))


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Pytest:
    """Run pytest in the test's directory, as a user would at a desk: in CI it cuts no line of its summary."""
    for variable in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run
