"""A check as JUnit XML: what CI systems make a list of tests of."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from netlab.errors import ExitCode
from netlab.expectations import Checked, Expectation
from netlab.expectations.results import hold
from netlab.model import Outcome, Verdict
from netlab.report.checked import checked_page, checked_record, summary
from netlab.report.junit import junit
from tests.unit.netlab.made import matrix
from tests.unit.netlab.test_html import Reader

FILTERED = Outcome(Verdict.TIMEOUT)


def checked(wants: str | None, *failures: str, **changed: Outcome | None) -> Checked:
    expectation = Expectation(wants, "netlab.yaml", 7) if wants is not None else None
    return hold(matrix(**changed), lambda dial: expectation if dial.vantage == "peer" else None, failures)


def suite(text: str) -> Element:
    (found,) = ElementTree.fromstring(text).findall("testsuite")
    return found


def troubles(found: Element) -> list[tuple[str, str, str]]:
    return [
        (case.get("classname", ""), case.get("name", ""), trouble.tag)
        for case in found.findall("testcase")
        for trouble in case
    ]


def test_every_cell_is_a_test_case_and_all_are_well_in_a_check_that_is_green() -> None:
    came = checked(None)
    found = suite(junit(came))
    assert came.exit_code is ExitCode.OK
    assert len(found) == int(found.get("tests", "")) == len(came.results)
    assert troubles(found) == []
    assert (found.get("failures"), found.get("errors")) == ("0", "0")


def test_a_cell_that_fails_says_all_that_there_is_to_say() -> None:
    found = suite(junit(checked("deny")))
    assert troubles(found) == [("0.0.0.0", "peer->lan", "failure")]
    (failure,) = found.findall(".//failure")
    assert failure.get("message") == (
        "0.0.0.0: peer dials lan (198.18.1.12): expected deny (not reached), observed open"
    )
    lines = (failure.text or "").splitlines()
    assert lines[0] == failure.get("message")
    assert lines[1] == "  expected by netlab.yaml:7"
    assert lines[-1].startswith("  to close it: ")


@pytest.mark.parametrize(
    "came",
    [
        checked("deny", two_peer_lan=None),
        checked(None, "lab03: no route to host"),
        replace(checked("deny", two_peer_lan=FILTERED), strict=True),
        replace(checked(None), changes=("any: peer dials lan: was refused, is open",)),
        Checked(replace(matrix(), cells=()), ()),
    ],
    ids=["not measured", "a machine left out", "strict", "changed", "nobody dialled"],
)
def test_what_does_not_end_with_zero_is_never_a_list_of_tests_that_are_all_well(came: Checked) -> None:
    assert came.exit_code is not ExitCode.OK
    assert checked_record(came)["exit_code"] == came.exit_code
    found = suite(junit(came))
    assert len(troubles(found)) == 1
    ((_, _, tag),) = troubles(found)
    assert tag == ("error" if came.exit_code is ExitCode.NOT_MEASURED else "failure")


def test_what_is_as_expected_and_not_as_predicted_is_well_unless_it_is_strict() -> None:
    assert troubles(suite(junit(checked("deny", two_peer_lan=FILTERED)))) == []


@pytest.mark.parametrize("text", ["<script>", "a\nb", "\x1b[2J", "\ud800", '"><b>', "]]>"])
def test_what_hosts_say_can_not_break_the_file(text: str) -> None:
    came = checked("deny")
    cells = tuple(
        replace(cell, observation=replace(cell.observation, evidence=(text,))) for cell in came.matrix.cells
    )
    came = replace(
        came,
        matrix=replace(came.matrix, cells=cells),
        results=tuple(replace(r, cell=c) for r, c in zip(came.results, cells, strict=True)),
    )
    written = junit(came)
    written.encode()  # there is no half of a letter in it
    assert len(troubles(suite(written))) == 1
    shown = checked_page(came)
    assert Reader(shown).tags["script"] == 0


def test_the_page_of_a_check_marks_what_is_not_as_expected_as_the_terminal_does() -> None:
    mark = '<span class="surprise">!</span>'
    failing = len(checked("deny").unmet)
    assert failing
    shown = checked_page(checked("deny"))
    assert (shown.count(mark), shown.count("not as it should be")) == (failing + 1, 1)  # one in the legend
    assert mark not in checked_page(checked(None))


def test_the_page_of_a_check_has_what_fails_on_top_and_its_cell_open() -> None:
    shown = checked_page(checked("deny"))
    read = Reader(shown)
    assert "<h2>Not as expected</h2>" in shown
    assert "expected by netlab.yaml:7\n" in shown
    assert summary(checked("deny")) in shown
    assert len([1 for tag, name, _ in read.attributes if (tag, name) == ("details", "open")]) == 2
    assert "Not as expected" not in checked_page(checked(None))


def test_the_page_of_a_check_that_is_green_has_no_alarm_and_says_what_the_facts_do_not_show() -> None:
    green = checked("deny", two_peer_lan=Outcome(Verdict.TIMEOUT))
    assert green.exit_code is ExitCode.OK
    assert "<h2>As expected, but not as predicted</h2>" in checked_page(green)
    assert 'class="trouble"' not in checked_page(green)


def test_a_machine_that_was_left_out_is_on_the_page() -> None:
    shown = checked_page(replace(checked(None), failures=("lab03: no route to host",)))
    assert "<h2>Left out</h2>" in shown
    assert "<li>lab03: no route to host</li>" in shown


def test_what_has_changed_since_a_baseline_is_on_the_page() -> None:
    shown = checked_page(replace(checked(None), changes=("any: peer dials lan: was open, is refused",)))
    assert "<h2>Changed since the baseline</h2>" in shown
    assert "<li>any: peer dials lan: was open, is refused</li>" in shown
