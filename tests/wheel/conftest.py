"""The wheel is built and installed once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.namespaces import need_namespaces
from tests.requirements import unavailable
from tests.wheel.installed import Installed, NoIndexError, build, install, new_environment


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this checkout."""
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return an environment with nothing but the wheel and what it needs."""
    try:
        return install(wheel, new_environment(tmp_path_factory.mktemp("environment")))
    except NoIndexError as error:
        unavailable("index", str(error))


@pytest.fixture(scope="session")
def labs() -> None:
    """Skip what needs a lab, where none can be made."""
    need_namespaces()
