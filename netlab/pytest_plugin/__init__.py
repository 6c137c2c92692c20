"""The pytest plugin: labs, hosts and servers as fixtures, and reachability that can be asserted.

pytest loads this module in every project where netlab is installed, so it imports pytest and next to nothing
else: what a fixture needs is imported when the fixture is used.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from netlab.pytest_plugin import settings
from netlab.pytest_plugin.fixtures import (
    hftp_server,
    netlab_host,
    netlab_lab,
    netlab_server,
    netlab_start_lab,
)
from netlab.pytest_plugin.wanted import marked

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = ["hftp_server", "netlab_host", "netlab_lab", "netlab_server", "netlab_start_lab"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and the ini keys beside them."""
    settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and refuse a wrong option before anything is run."""
    settings.check_required(config)
    config.addinivalue_line("markers", settings.MARKER_HELP)


def pytest_report_header(config: pytest.Config) -> str:
    """Say which backend the tests use, and which ones must be there."""
    return settings.header(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take `netlab.yaml`, and what else is said to be such a file, for tests."""
    if not settings.is_check_file(file_path, parent.config):
        return None
    from netlab.pytest_plugin.collect import CheckFileNode

    node: pytest.Collector = CheckFileNode.from_parent(parent, path=file_path)
    return node


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test the lab that its marker asks for; a marker on a module is one on all of its tests."""
    if "netlab_lab" in metafunc.fixturenames and (wanted := marked(metafunc.definition)):
        # Where pytest can't hide it (before 8.4), the lab's name is added to the test's.
        shown = getattr(pytest, "HIDDEN_PARAM", str(wanted))
        metafunc.parametrize("netlab_lab", [wanted], indirect=True, ids=[shown])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[Any]) -> None:
    """Add to a failed assertion about a dial why the dial came out as it did."""
    # Nobody has dialled where this module was not needed.
    if call.excinfo is not None and "netlab.pytest_plugin.reach" in sys.modules:
        from netlab.pytest_plugin.assertions import explain

        explain(call.excinfo)
