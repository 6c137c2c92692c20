"""What to do where a test can't run: skip it, unless it is required.

NETLAB_REQUIRE lists, with commas, what this machine is expected to have (`netns,compose`): what is listed and
missing fails, so that a check that could not run is never green.
"""

from __future__ import annotations

import os
import socket
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


def require_ipv6() -> None:
    """Skip the test, or fail it, where there is no ::1."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError as error:
        unavailable("ipv6", f"::1: {error.strerror}")
