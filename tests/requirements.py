"""What to do where a test can't run: skip it, unless it is required.

NETLAB_REQUIRE lists, with commas, what this machine is expected to have (`netns,compose`): what is listed and
missing fails, so that a check that could not run is never green.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(what: str, why: str) -> NoReturn:
    """Skip the test, or fail it if NETLAB_REQUIRE lists what is missing.

    Args:
        what: the word in NETLAB_REQUIRE: `netns`, `compose`, ...
        why: the obstacle, for people.
    """
    required = {word.strip() for word in os.environ.get("NETLAB_REQUIRE", "").split(",")}
    if what in required:
        pytest.fail(f"{what} is required (NETLAB_REQUIRE) and not available: {why}", pytrace=False)
    pytest.skip(f"{what} is not available: {why}")
