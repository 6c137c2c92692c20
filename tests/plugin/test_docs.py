"""The guide's examples, run as they stand there, and held against what the guide shows of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Pytest

PAGE = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [text for its, text in found if its == language]


def lines(text: str) -> list[str]:
    """Return the lines of a text without what differs from run to run: times, percentages, widths."""
    found = (re.sub(r"_{2,}|={2,}", "", " ".join(line.split())).strip() for line in text.splitlines())
    return [line for line in found if line.strip("E ")]


def assert_shown(wanted: str, result: pytest.RunResult) -> None:
    """Every line of what the guide shows is printed, in that order."""
    printed = iter(lines(result.stdout.str()))
    for line in lines(wanted):
        assert line in printed, line


@pytest.mark.usefixtures("netns")
def test_the_file_fails_as_the_guide_shows(run_pytest: Pytest, pytester: pytest.Pytester) -> None:
    (text,) = blocks("yaml")
    (pytester.path / "netlab.yaml").write_text(text)
    result = run_pytest("netlab.yaml")
    result.assert_outcomes(passed=25, failed=1)
    assert_shown(blocks("")[0], result)


@pytest.mark.usefixtures("netns")
def test_the_tests_pass_and_fail_as_the_guide_shows(run_pytest: Pytest, pytester: pytest.Pytester) -> None:
    for number, text in enumerate(blocks("python")):
        (pytester.path / f"test_{number}.py").write_text(text)
    result = run_pytest()
    result.assert_outcomes(passed=8, failed=1)
    assert_shown(blocks("")[1], result)


def test_every_fixture_and_every_option_is_in_the_guide(run_pytest: Pytest) -> None:
    help_text, shown = run_pytest("--help").stdout.str(), run_pytest("--fixtures").stdout.str()
    options = re.findall(r"^  (--netlab-[a-z]+|netlab_[a-z_]+)", help_text, re.MULTILINE)
    fixtures = re.findall(r"^(netlab_\w+|hftp_server)", shown, re.MULTILINE)
    assert (len(options), len(fixtures)) == (7, 5)
    for name in (*options, *fixtures):
        assert f"`{name}" in PAGE, name
