"""Projects of users, made for a test, in which pytest runs as a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.namespaces import need_namespaces

Pytest = Callable[..., pytest.RunResult]


@pytest.fixture(scope="session")
def netns() -> None:
    """Skip, or fail, the tests that need network namespaces where there can be none."""
    need_namespaces()


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Pytest:
    """Run pytest in the test's directory, as a user would at a desk: in CI it cuts no line of its summary."""
    for variable in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run
