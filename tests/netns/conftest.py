"""What the tests in real namespaces share: the lab of a module, and the need for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.namespaces import bring_up, need_namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends import Lab


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip, or fail, what needs a lab but brings it up in a process of its own."""
    need_namespaces()


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Bring up the lab that the module draws: its TOPOLOGY."""
    with bring_up(request.module.TOPOLOGY) as lab:
        yield lab
