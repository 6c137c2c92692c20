"""A check as JUnit XML, which CI systems show as a list of tests: a test case a cell.

There is no standard; the elements are those of Apache Ant's junitreport, which pytest, GitLab and Jenkins
share: <testsuite>, <testcase>, and in one that is not well a <failure> or an <error>.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from netlab.expectations.message import message
from netlab.expectations.results import Checked, Result, State
from netlab.printable import printable


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case.

    Attributes:
        group: its class name: by which lists are grouped.
        name: of the case within the group.
        outcome: `failure`, `error` (it could not be measured), or empty if it is well.
        said: what there is to say of it; the first line alone says what it is about.
    """

    group: str
    name: str
    outcome: str = ""
    said: str = ""


def junit(checked: Checked) -> str:
    """Return a check as the text of a JUnit XML file, in which all is well only if the check is green.

    Args:
        checked: what came of it.
    """
    cases = list(_cases(checked))
    matrix = checked.matrix
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.outcome == "failure" for case in cases)),
        "errors": str(sum(case.outcome == "error" for case in cases)),
        "skipped": "0",
        "time": f"{matrix.seconds:.3f}",
    }
    root = Element("testsuites", {"name": "netlab check", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": printable(matrix.experiment.name), **counts})
    for case in cases:
        _add(suite, case)
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _cases(checked: Checked) -> Iterator[_Case]:
    for result in checked.results:
        name = f"{result.cell.vantage}->{result.cell.target.name}"
        yield _Case(result.cell.bind.name, name, *_outcome(result, checked.strict))
    for failure in checked.failures:
        yield _Case("hosts", failure.partition(":")[0], "error", f"left out: {failure}")
    if not checked.results:
        yield _Case("hosts", "*", "error", "not measured: nobody dialled")
    for change in checked.changes:
        yield _Case("baseline", change, "failure", f"changed: {change}")


def _outcome(result: Result, strict: bool) -> tuple[str, str]:
    match result.state:
        case State.UNMET:
            return "failure", message(result)
        case State.NOT_MEASURED:
            return "error", message(result)
        case _ if strict and result.surprising:
            return "failure", f"as expected, but not as predicted: {message(result)}"
        case _:
            return "", ""


def _add(suite: Element, case: _Case) -> None:
    names = {"classname": printable(case.group), "name": printable(case.name)}
    element = ElementTree.SubElement(suite, "testcase", names)
    if case.outcome:
        lines = [printable(line) for line in case.said.splitlines()]
        ElementTree.SubElement(element, case.outcome, {"message": lines[0]}).text = "\n".join(lines)
