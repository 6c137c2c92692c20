"""Labs of network namespaces for tests; where this machine can make none, a skip that says why."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from netlab.backends.netns import NetnsLab
from netlab.errors import BackendUnavailableError
from netlab.model import Host, Topology
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def namespaces_needed() -> Iterator[None]:
    """Skip, or fail, a test whose lab can't be brought up here."""
    try:
        yield
    except BackendUnavailableError as error:
        unavailable("netns", str(error))


@contextmanager
def bring_up(topology: Topology) -> Iterator[NetnsLab]:
    """Bring up a lab for a test: where this machine can't, skip it or fail it."""
    with ExitStack() as stack:
        with namespaces_needed():
            lab = stack.enter_context(NetnsLab(topology))
        yield lab


def need_namespaces() -> None:
    """Skip, or fail, what needs a lab but brings it up in a process of its own."""
    with bring_up(Topology((), (Host("any", ()),))):
        pass
