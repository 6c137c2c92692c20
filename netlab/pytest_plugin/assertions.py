"""Assertions about dials: what pytest shows of one that fails.

pytest shows the values of a failed assertion, each in one shortened line. The whole explanation is added to
the exception as a note (PEP 678), which pytest prints below them, and puts into JUnit files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.errors import NetlabError
from netlab.pytest_plugin.reach import Reach

if TYPE_CHECKING:
    from types import TracebackType

    import pytest

# pytest's rewritten assertions keep the values in between in variables of such names.
_REWRITTEN = "@py_assert"


# Where netlab's own code is.
_NETLAB = Path(__file__).parents[1]


def explain(failure: pytest.ExceptionInfo[Any]) -> None:
    """Add the explanation of every dial that a failed assertion is about.

    An error of netlab's own is shown at the line of the test, and not in netlab.

    Args:
        failure: any exception; others are left as they are.
    """
    if isinstance(failure.value, AssertionError):
        for reach in _concerned(failure):
            failure.value.add_note(f"\n{reach}")
    elif isinstance(failure.value, NetlabError):
        _end_in_the_test(failure.tb)


def _end_in_the_test(traceback: TracebackType) -> None:
    """Shorten a traceback: its last line is the one from which netlab was called."""
    while traceback.tb_next is not None:
        if _NETLAB in Path(traceback.tb_next.tb_frame.f_code.co_filename).parents:
            traceback.tb_next = None
            return
        traceback = traceback.tb_next


def _concerned(failure: pytest.ExceptionInfo[Any]) -> list[Reach]:
    """Return the dials of the innermost statement that has any."""
    for entry in reversed(failure.traceback):
        statement = str(entry.statement)
        if found := list(_named(entry.frame.f_locals, statement)):
            return found
        # `assert all(peer.can_reach(server) for ...)`: the last one decided.
        if "can_reach" in statement and Reach.last is not None:
            return [Reach.last]
    return []


def _named(values: dict[str, Any], statement: str) -> Iterator[Reach]:
    words = set(re.findall(r"\w+", statement))
    seen: list[Reach] = []
    for name, value in values.items():
        meant = name in words or name.startswith(_REWRITTEN)
        if meant and isinstance(value, Reach) and value not in seen:
            seen.append(value)
            yield value
