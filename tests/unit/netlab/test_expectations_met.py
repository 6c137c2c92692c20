"""What is expected of a cell: which rule decides, what meets it, and what a cell that fails says of itself."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, ip_interface
from pathlib import Path

import pytest

from netlab.errors import ExitCode, NetlabError
from netlab.expectations import Checked, Expectation, Result, State
from netlab.expectations.baseline import changes, read_baseline
from netlab.expectations.message import message
from netlab.expectations.results import hold
from netlab.expectations.rules import Rule, Surroundings, expectation_of
from netlab.experiments.plan import Dial, Selection
from netlab.model import (
    Bind,
    Host,
    Link,
    Network,
    Outcome,
    Target,
    Topology,
    Verdict,
)
from netlab.report.record import record
from tests.unit.netlab.made import OPEN, REFUSED, matrix

# Messages are quoted whole, however long.
# ruff: noqa: E501

# --- The rules ---------------------------------------------------------------------------------------------

NETWORKS = (Network("lan", IPv4Network("198.18.1.0/24")), Network("far", IPv4Network("198.18.3.0/24")))
HOSTS = (
    Host("one", (Link("eth0", "lan", (ip_interface("198.18.1.11/24"),)),)),
    Host("peer", (Link("eth0", "lan", (ip_interface("198.18.1.101/24"),)),)),
    Host("remote", (Link("eth0", "far", (ip_interface("198.18.3.102/24"),)),)),
)
AROUND = Surroundings(Topology(NETWORKS, HOSTS), {"guests": ("remote",)})


def dial(vantage: str, target: str = "lan-ipv4", address: str = "198.18.1.11", bind: str = "any") -> Dial:
    host = "one" if vantage == "server" else vantage
    return Dial(Bind(bind, "one", "0.0.0.0"), vantage, host, Target(target, address))


def rule(wants: str, **of: tuple[str, ...]) -> Rule:
    return Rule(Expectation(wants, "netlab.yaml", 1), **of)


def wanted(rules: list[Rule], asked: Dial) -> str | None:
    found = expectation_of(rules, asked, AROUND)
    return found.wants if found is not None else None


def test_the_last_rule_about_a_cell_decides() -> None:
    rules = [
        rule("deny"),
        rule("allow", vantages=("peer",)),
        rule("refused", vantages=("peer",), targets=("name",)),
    ]
    assert wanted(rules, dial("remote")) == "deny"
    assert wanted(rules, dial("peer")) == "allow"
    assert wanted(rules, dial("peer", "name")) == "refused"


def test_no_rule_no_expectation() -> None:
    assert wanted([rule("deny", vantages=("remote",))], dial("peer")) is None


@pytest.mark.parametrize(
    ("of", "about"),
    [
        ({"vantages": ("p*",)}, {"peer"}),
        ({"vantages": ("*",)}, {"server", "peer", "remote"}),
        ({"vantages": ("one",)}, {"server"}),
        ({"vantages": ("network:lan",)}, {"server", "peer"}),
        ({"vantages": ("network:f*", "peer")}, {"peer", "remote"}),
        ({"vantages": ("group:guests",)}, {"remote"}),
        ({"vantages": ("guests",)}, set()),
        ({"vantages": ("group:*",)}, {"remote"}),
        ({"targets": ("lan-*",)}, {"server", "peer", "remote"}),
        ({"targets": ("network:lan",)}, {"server", "peer", "remote"}),
        ({"targets": ("network:far",)}, set()),
        ({"binds": ("a?y",)}, {"server", "peer", "remote"}),
        ({"binds": ("ANY",)}, set()),
    ],
)
def test_patterns_name_vantages_networks_and_groups(of: dict[str, tuple[str, ...]], about: set[str]) -> None:
    rules = [rule("allow", **of)]
    assert {name for name in ("server", "peer", "remote") if wanted(rules, dial(name))} == about


@pytest.mark.parametrize(
    ("wants", "met"),
    [
        ("allow", {"open"}),
        ("deny", {"refused", "timeout", "no-answer", "unreachable (ENETUNREACH)", "unresolved (EAI_NONAME)"}),
        ("open", {"open"}),
        ("refused", {"refused"}),
        ("timeout", {"timeout"}),
        ("unreachable", {"unreachable (ENETUNREACH)"}),
        ("unreachable (EHOSTUNREACH)", set()),
        ("accepted", {"accepted (reset)"}),
        ("accepted (reset)", {"accepted (reset)"}),
        ("accepted (silent)", set()),
        ("not-bound", {"not-bound (EADDRINUSE)"}),
        ("wrong-service", {"wrong-service"}),
        ("no-answer", {"no-answer"}),
        ("wrong-source", {"wrong-source (198.18.1.11)"}),
        ("wrong-source (198.18.1.11)", {"wrong-source (198.18.1.11)"}),
        ("wrong-source (port)", set()),
    ],
)
def test_what_meets_an_expectation(wants: str, met: set[str]) -> None:
    outcomes = [
        OPEN,
        REFUSED,
        Outcome(Verdict.TIMEOUT),
        Outcome(Verdict.UNREACHABLE, "ENETUNREACH"),
        Outcome(Verdict.UNRESOLVED, "EAI_NONAME"),
        Outcome(Verdict.ACCEPTED, "reset"),
        Outcome(Verdict.WRONG_SERVICE),
        Outcome(Verdict.NOT_BOUND, "EADDRINUSE"),
        Outcome(Verdict.NO_ANSWER),
        Outcome(Verdict.WRONG_SOURCE, "198.18.1.11"),
    ]
    expectation = Expectation(wants, "netlab.yaml", 1)
    assert {str(outcome) for outcome in outcomes if expectation.met_by(outcome)} == met


# --- What came of it ---------------------------------------------------------------------------------------


def checked(wants: str | None, **changed: Outcome | None) -> Checked:
    expectation = Expectation(wants, "netlab.yaml", 7) if wants is not None else None
    return hold(matrix(**changed), lambda dial: expectation if dial.vantage == "peer" else None)


def peer_dials_two(result: Checked) -> Result:
    return next(
        r
        for r in result.results
        if (r.cell.bind.host, r.cell.vantage, r.cell.target.name) == ("two", "peer", "lan")
    )


def test_all_as_expected_and_as_predicted_is_a_success() -> None:
    assert checked(None).exit_code is ExitCode.OK
    assert {result.state for result in checked(None).results} == {State.MET}


def test_what_is_not_as_expected_fails_though_it_is_as_predicted() -> None:
    result = checked("deny")
    assert result.exit_code is ExitCode.DISAGREES
    assert [(r.cell.bind.host, r.cell.target.name) for r in result.unmet] == [("two", "lan")]


def test_an_expectation_goes_before_the_prediction() -> None:
    # A filter that the facts don't show: predicted open, observed timeout, and so it should be.
    result = checked("deny", two_peer_lan=Outcome(Verdict.TIMEOUT))
    assert result.exit_code is ExitCode.OK
    assert peer_dials_two(result).surprising


def test_without_an_expectation_the_prediction_must_hold() -> None:
    assert checked(None, two_peer_lan=Outcome(Verdict.TIMEOUT)).exit_code is ExitCode.DISAGREES


def test_what_was_not_measured_is_never_a_success_and_never_hides_a_failure() -> None:
    assert checked("deny", one_peer_lan=None, two_peer_lan=REFUSED).exit_code is ExitCode.NOT_MEASURED
    assert checked("deny", one_peer_lan=None).exit_code is ExitCode.DISAGREES
    assert peer_dials_two(checked("deny", two_peer_lan=None)).state is State.NOT_MEASURED
    assert hold(matrix(), lambda _: None, ("lab03: no route to host",)).exit_code is ExitCode.NOT_MEASURED


def test_a_failing_cell_says_who_expected_what_why_it_is_so_and_what_to_change() -> None:
    assert message(peer_dials_two(checked("deny"))).splitlines() == [
        "0.0.0.0: peer dials lan (198.18.1.12): expected deny (not reached), observed open",
        "  expected by netlab.yaml:7",
        "  evidence",
        "  why open:",
        "   1 bind on two: 0.0.0.0: listening on 0.0.0.0:19500 [sockets]",
        "   2 listener on two: no socket for 198.18.1.12:19500 by eth0 [sockets]",
        "   3 answer on two: no listener: RST [RFC 9293, 3.10.7.1]",
        "  to close it: bind 127.0.0.1 (then only two itself gets through) or an address that peer has no route to; or put the two on different networks, or drop what peer sends in a packet filter on two",
    ]


def test_a_cell_that_was_not_measured_says_why() -> None:
    assert message(peer_dials_two(checked("allow", two_peer_lan=None))).splitlines() == [
        "0.0.0.0: peer dials lan (198.18.1.12): expected allow (open), observed not measured",
        "  expected by netlab.yaml:7",
        "  not measured: agent on peer: it is gone",
    ]


# --- A baseline --------------------------------------------------------------------------------------------


def test_a_baseline_shows_what_has_changed_since(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    before = record(matrix())
    before["cells"].pop(0)
    before["cells"].append({**before["cells"][0], "target": "gone"})
    file.write_text(json.dumps(before))
    found = changes(read_baseline(file), checked(None, two_peer_lan=Outcome(Verdict.TIMEOUT)))
    assert sorted(map(str, found)) == [
        "0.0.0.0: peer dials lan: was open, is timeout",
        "127.0.0.1: server dials gone: was refused, is not there",
        "127.0.0.1: server dials localhost: was not there, is open",
    ]
    assert changes(read_baseline(file), checked(None)) != ()


def test_of_what_was_not_asked_for_a_baseline_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    before = record(matrix())
    before["cells"] += [{**before["cells"][0], "bind": "::1"}, {**before["cells"][0], "vantage": "remote"}]
    file.write_text(json.dumps(before))
    now, baseline = checked(None), read_baseline(file)
    assert len(changes(baseline, now)) == 2
    asked = Selection(binds=("127.0.0.1", "0.0.0.0"), vantages=("server", "peer"))
    assert changes(baseline, now, asked) == ()


def test_a_baseline_that_is_the_same_has_no_changes(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(record(matrix(one_peer_lan=None))))
    assert changes(read_baseline(file), checked(None, one_peer_lan=None)) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not a run that --json wrote"),
        ("[]", "not a run that --json wrote"),
        ('{"format": 1}', "not a run that --json wrote: cells: Field required"),
        ('{"format": 2, "cells": []}', "written in format 2; this netlab reads 1: record it anew"),
        ('{"format": 1, "cells": [{"bind": "\\u001b[2J"}]}', "not a run that --json wrote: cells.0.vantage"),
    ],
)
def test_a_baseline_that_is_none_is_said_so(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(content)
    with pytest.raises(NetlabError) as caught:
        read_baseline(file)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
