"""What pytest prints of an assertion about a dial that fails: all that one needs to know."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from netlab.model import Bind, Cell, Observation, Outcome, Prediction, Target, Verdict
from netlab.pytest_plugin.reach import NotMeasuredError, Reach

if TYPE_CHECKING:
    from tests.plugin.conftest import Pytest

pytestmark = pytest.mark.usefixtures("netns")

FIXTURES = """
import pytest

HTTP = ["{python}", "-m", "http.server", "--bind", "{address}", "{port}"]

@pytest.fixture
def web(netlab_server):
    return netlab_server(HTTP, bind="127.0.0.1")

@pytest.fixture
def peer(netlab_host):
    return netlab_host("peer")

@pytest.fixture
def own(netlab_host):
    return netlab_host("server")
"""
FAILING = """
def test_bare(peer, own, web):
    assert own.can_reach(web, "127.0.0.1")
    assert peer.can_reach(web)

def test_not(own, web):
    assert not own.can_reach(web, "127.0.0.1")

def test_verdict(peer, web):
    assert peer.can_reach(web).verdict == "timeout"

def test_name(peer, web):
    reach = peer.can_reach(web)
    assert reach, "the peer must reach it"

def test_all(peer, own, web):
    assert all(host.can_reach(web) for host in (peer, own))

def test_other(peer, web):
    reach = peer.can_reach(web)
    assert 1 == 2

def test_not_measured(peer, web):
    peer.lab.lab.__exit__(None, None, None)  # as when somebody kills it
    assert not peer.can_reach(web)
"""

# The steps, and what else is shown; times and the width of columns left out.
REFUSED = """
server, 127.0.0.1:8080: peer dials server (198.18.1.11)
predicted refused, observed refused
1 bind server 127.0.0.1: listening on 127.0.0.1:8080 sockets of server
2 route peer 198.18.1.0/24 dev eth0, source 198.18.1.101 routes of peer
3 delivery server 198.18.1.11 is local, on eth0 addresses of server
4 listener server no socket for 198.18.1.11:8080 by eth0 (listening: sockets of server; __inet_lookup_listener
127.0.0.1:8080)
5 answer server no listener: RST RFC 9293, 3.10.7.1
connect 198.18.1.11:8080: ECONNREFUSED after TIME ms
To open it: bind 0.0.0.0 or 198.18.1.11.
"""


@pytest.fixture(scope="module")
def shown(netns: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What pytest shows of each failed test, its white space reduced, by the test's name."""
    project = tmp_path_factory.mktemp("project")
    (project / "conftest.py").write_text(FIXTURES)
    (project / "test_it.py").write_text(FAILING)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir=."],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert "7 failed in" in done.stdout, done.stdout
    parts = re.split(r"^_+ (test_\w+) _+$", done.stdout, flags=re.MULTILINE)
    return {name: words(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def words(text: str) -> str:
    text = re.sub(r"after [0-9.]+ ms", "after TIME ms", re.sub(r"^E", "", text, flags=re.MULTILINE))
    return " ".join(text.split())


def test_a_bare_assertion_shows_the_whole_trace(shown: dict[str, str]) -> None:
    assert words(REFUSED) in shown["test_bare"]
    assert shown["test_bare"].count("predicted") == 1  # nothing of the dial that was fine


def test_a_negated_assertion_shows_the_whole_trace(shown: dict[str, str]) -> None:
    assert "assert not <server dials 127.0.0.1 (server, 127.0.0.1:8080): open>" in shown["test_not"]
    assert "predicted open, observed open" in shown["test_not"]
    assert "listener server 127.0.0.1:8080 takes it" in shown["test_not"]


@pytest.mark.parametrize("test", ["test_verdict", "test_name", "test_all"])
def test_whatever_the_assertion_looks_like_the_trace_is_shown(shown: dict[str, str], test: str) -> None:
    """A verdict compared, a variable with a message of its own, a generator."""
    assert words(REFUSED) in shown[test]


def test_an_assertion_about_something_else_is_left_alone(shown: dict[str, str]) -> None:
    assert "assert 1 == 2" in shown["test_other"]
    assert "predicted" not in shown["test_other"]


def test_a_dial_that_could_not_be_made_is_neither_true_nor_false(shown: dict[str, str]) -> None:
    assert "AgentError: agent on " in shown["test_not_measured"]
    assert "running.py" not in shown["test_not_measured"]  # where netlab says so is not of interest
    unknown = Observation(None, not_measured="the agent gave no result for this probe")
    prediction = Prediction(Outcome(Verdict.OPEN), ())
    with pytest.raises(NotMeasuredError, match=r"peer dials a \(any\): not measured: the agent gave no"):
        Reach(Cell(Bind("any", "server", "0.0.0.0"), "peer", Target("a", "a"), prediction, unknown))


def test_the_trace_is_in_the_junit_file_too(run_pytest: Pytest, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(FIXTURES)
    pytester.makepyfile("def test_it(peer, web):\n    assert peer.can_reach(web)\n")
    run_pytest("--junit-xml=junit.xml", "-q").assert_outcomes(failed=1)
    (failure,) = ElementTree.parse(pytester.path / "junit.xml").findall(".//failure")
    assert words(REFUSED) in words(failure.text or "")


def test_without_rewritten_assertions_the_trace_is_shown_all_the_same(
    run_pytest: Pytest, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(FIXTURES)
    pytester.makepyfile("def test_it(peer, web):\n    assert peer.can_reach(web)\n")
    result = run_pytest("--assert=plain")
    result.assert_outcomes(failed=1)
    assert words(REFUSED) in words(result.stdout.str())
