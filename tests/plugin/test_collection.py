"""`netlab.yaml` as tests: what is collected, what runs, what fails and with which words."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.netns.forbidding import WHY, only_where_the_number_is_known, without_namespaces

if TYPE_CHECKING:
    from tests.plugin.conftest import Pytest

# Two binds, one with a name that is not easy to put into a node id, and two who dial.
CHECK = """\
lab: lan
service:
  command: ["{python}", -m, http.server, --bind, "{address}", "{port}"]
  port: 8080
binds:
  any: 0.0.0.0
  "::": 127.0.0.1
vantages:
  server: {localhost: localhost, "::1": "::1", lan-ipv4: "{lan.ipv4}"}
  peer: {name: "{hostname}", lan-ipv4: "{lan.ipv4}"}
expect:
  - allow: {to: [localhost, lan-ipv4]}
  - refused: {bind: "::", from: peer}
"""
CELLS = """\
netlab.yaml::any::server->localhost
netlab.yaml::any::server->:_:1
netlab.yaml::any::server->lan-ipv4
netlab.yaml::any::peer->name
netlab.yaml::any::peer->lan-ipv4
netlab.yaml:::_:_::server->localhost
netlab.yaml:::_:_::server->:_:1
netlab.yaml:::_:_::server->lan-ipv4
netlab.yaml:::_:_::peer->name
netlab.yaml:::_:_::peer->lan-ipv4
""".splitlines()
FAILING = CELLS[7]
MESSAGE = """\
::: server dials lan-ipv4 (198.18.1.12): expected allow (open), observed refused
  expected by netlab.yaml:12
  connect 198.18.1.12:8080: ECONNREFUSED after TIME ms
  why refused:
   1 bind on server-2: 127.0.0.1: listening on 127.0.0.1:8080 [sockets of server-2]
   2 delivery on server-2: 198.18.1.12 is this host itself, on eth0 [local routes of server-2]
   3 listener on server-2: no socket for 198.18.1.12:8080 by eth0 (listening: 127.0.0.1:8080) \
[sockets of server-2; __inet_lookup_listener]
   4 answer on server-2: no listener: RST [RFC 9293, 3.10.7.1]
  to open it: bind 0.0.0.0 or 198.18.1.12
"""

# Says in the terminal how often a lab was brought up, and how much was dialled in it.
TELLING = """
from netlab.backends.netns import NetnsLab

labs = []
enter = NetnsLab.__enter__
NetnsLab.__enter__ = lambda self: labs.append(self) or enter(self)

def pytest_terminal_summary(terminalreporter, config):
    items = terminalreporter._session.items if terminalreporter._session else []
    files = {id(item.file): item.file for item in items if hasattr(item, "file")}
    dialled = sum(len(file.checked.results) for file in files.values() if file.checked)
    terminalreporter.write_line(f"labs: {len(labs)}, dialled: {dialled}")
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """A project with a `netlab.yaml`."""
    write(pytester, CHECK)
    pytester.makeconftest(TELLING)


def write(pytester: pytest.Pytester, text: str, name: str = "netlab.yaml") -> None:
    (pytester.path / name).write_text(text)


def shown(result: pytest.RunResult, title: str) -> str:
    """Return what pytest shows below a title."""
    text = result.stdout.str()
    (found,) = re.findall(rf"^_+ {re.escape(title)} _+\n(.*?)^(?:=|labs:)", text, re.DOTALL | re.MULTILINE)
    return str(found)


def timeless(text: str) -> str:
    return re.sub(r"after [0-9.]+ ms", "after TIME ms", text)


def test_every_cell_is_an_item_and_no_lab_is_brought_up_for_that(run_pytest: Pytest) -> None:
    result = run_pytest("--collect-only", "-q", "--strict-markers", "--strict-config")
    assert result.outlines[: len(CELLS)] == CELLS
    assert "labs: 0, dialled: 0" in result.outlines


@pytest.mark.usefixtures("netns")
class TestARun:
    def test_has_one_lab_and_an_outcome_for_each_cell(self, run_pytest: Pytest) -> None:
        result = run_pytest("-v", "--strict-markers")
        result.assert_outcomes(passed=9, failed=1)
        result.stdout.fnmatch_lines([f"{FAILING} FAILED*", "labs: 1, dialled: 10"])

    def test_that_fails_shows_the_explanation_alone(
        self, run_pytest: Pytest, pytester: pytest.Pytester
    ) -> None:
        result = run_pytest("--junit-xml=junit.xml")
        assert MESSAGE in timeless(shown(result, "::: server->lan-ipv4"))
        assert "Traceback" not in result.stdout.str()
        assert ".py:" not in result.stdout.str()
        result.stdout.fnmatch_lines([f"FAILED {FAILING} - Failed: *"])
        (failure,) = ElementTree.parse(pytester.path / "junit.xml").findall(".//failure")
        assert timeless(failure.text or "").strip() == MESSAGE.strip()

    @pytest.mark.parametrize(
        ("arguments", "outcomes", "dialled"),
        [
            (("-k", "peer"), {"passed": 4, "deselected": 6}, 4),
            ((CELLS[3],), {"passed": 1}, 1),
            ((FAILING,), {"failed": 1}, 1),
            (("netlab.yaml:::_:_",), {"passed": 4, "failed": 1}, 5),
            ((CELLS[0], CELLS[9]), {"passed": 2}, 6),  # rows and columns are whole
            (("-m", "netlab", "--import-mode=importlib"), {"passed": 9, "failed": 1}, 10),
        ],
    )
    def test_is_no_more_than_what_is_selected(
        self, run_pytest: Pytest, arguments: tuple[str, ...], outcomes: dict[str, int], dialled: int
    ) -> None:
        result = run_pytest(*arguments)
        result.assert_outcomes(**outcomes)
        assert f"labs: 1, dialled: {dialled}" in result.outlines

    def test_ends_with_the_first_failure_if_asked_to(self, run_pytest: Pytest) -> None:
        result = run_pytest("--maxfail=1")
        result.assert_outcomes(passed=7, failed=1)

    def test_after_one_that_failed_is_of_what_failed(self, pytester: pytest.Pytester) -> None:
        pytester.runpytest_subprocess().assert_outcomes(passed=9, failed=1)
        result = pytester.runpytest_subprocess("--lf")
        result.assert_outcomes(failed=1, deselected=9)
        assert "labs: 1, dialled: 1" in result.outlines

    def test_works_from_another_directory(
        self, run_pytest: Pytest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(pytester.mkdir("elsewhere"))
        result = run_pytest("--rootdir=..", "../netlab.yaml")
        result.assert_outcomes(passed=9, failed=1)
        assert f"  expected by {pytester.path / 'netlab.yaml'}:12" in result.outlines

    def test_that_could_not_measure_is_never_green(
        self, run_pytest: Pytest, pytester: pytest.Pytester
    ) -> None:
        write(pytester, CHECK.replace("-m, http.server", "-c, 'raise SystemExit(7)'"))
        result = run_pytest()
        result.assert_outcomes(failed=10)
        result.stdout.fnmatch_lines(["  not measured: the service ended with exit code 7: nothing"])

    def test_of_files_with_names_of_ones_own(self, run_pytest: Pytest, pytester: pytest.Pytester) -> None:
        write(pytester, CHECK, "reach.yml")
        pytester.makeini("[pytest]\nnetlab_files = reach.yml other/*.yaml\n")
        result = run_pytest("-v", "-k", "any")
        result.assert_outcomes(passed=5, deselected=5)
        result.stdout.fnmatch_lines(["reach.yml::any::server->localhost PASSED*"])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (("port: 8080", "prot: 8080"), "netlab.yaml:4: service.prot: unknown key (did you mean 'port'?)*"),
        (("lab: lan", "lab: lane"), "netlab.yaml:1: lab: no lab is called 'lane' (did you mean 'lan'?): *"),
        (("from: peer", "from: pear"), "netlab.yaml:13: expect.1.refused.from: no vantage is called 'pear'*"),
        (("service:", "service: ["), "netlab.yaml:*"),
    ],
)
def test_a_file_that_is_wrong_is_an_error_in_a_line(
    run_pytest: Pytest, pytester: pytest.Pytester, wrong: tuple[str, str], error: str
) -> None:
    write(pytester, CHECK.replace(*wrong))
    pytester.makepyfile("def test_that_runs_all_the_same(): pass")
    result = run_pytest("--continue-on-collection-errors")
    result.assert_outcomes(errors=1, passed=1)
    (line,) = shown(result, "ERROR collecting netlab.yaml").splitlines()
    pytest.LineMatcher([line]).fnmatch_lines([error])


class TestWithoutTheBackend:
    """A Compose file, and no engine that answers."""

    @pytest.fixture(autouse=True)
    def no_engine(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{pytester.path}/nobody.sock")
        monkeypatch.delenv("NETLAB_REQUIRE", raising=False)
        monkeypatch.delenv("CI", raising=False)
        write(pytester, "services: {web: {image: nginx}}", "compose.yaml")
        check = "lab: {compose: compose.yaml}\nservice: {port: 80}\nbinds: {web: 0.0.0.0}\n"
        write(pytester, check)
        pytester.makepyfile(
            """
            import pytest
            @pytest.mark.netlab(lab={"compose": "compose.yaml"})
            def test_it(netlab_host):
                netlab_host("web")
            """
        )

    def test_its_tests_are_skipped_with_the_reason(self, run_pytest: Pytest) -> None:
        result = run_pytest("-rs")
        result.assert_outcomes(skipped=2)
        reason = "netlab: backend compose is not available: *"
        result.stdout.fnmatch_lines([f"SKIPPED [[]1[]] *: {reason}"])

    @pytest.mark.parametrize("how", ["option", "ini", "environment"])
    def test_they_fail_if_it_is_required(
        self, run_pytest: Pytest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        if how == "ini":
            pytester.makeini("[pytest]\nnetlab_require = netns, compose\n")
        elif how == "environment":
            monkeypatch.setenv("NETLAB_REQUIRE", "compose")
        result = run_pytest(*["--netlab-require=netns,compose"] if how == "option" else [])
        result.assert_outcomes(errors=2)
        result.stdout.fnmatch_lines(
            [
                "netlab: backend *; required: *compose*",
                "*backend compose is not available: * (it is required)",
            ]
        )

    def test_they_fail_in_ci_where_nobody_reads_skips(
        self, run_pytest: Pytest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CI", "true")
        result = run_pytest()
        result.assert_outcomes(errors=2)
        result.stdout.fnmatch_lines(
            ["*backend compose is not available: * (CI is set, where nothing is skipped *"]
        )

    @pytest.mark.parametrize("ci", ["", "true"])
    @pytest.mark.parametrize("required", ["ssh", "none"])
    def test_they_are_skipped_if_something_else_is_required(
        self, run_pytest: Pytest, monkeypatch: pytest.MonkeyPatch, required: str, ci: str
    ) -> None:
        monkeypatch.setenv("CI", ci)
        run_pytest(f"--netlab-require={required}").assert_outcomes(skipped=2)

    def test_a_misspelt_word_does_not_make_them_skipped(
        self, run_pytest: Pytest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = "no backend is called 'compse': there is netns, compose, ssh, none"
        result = run_pytest("--netlab-require=netns,compse")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: --netlab-require: {said}"])
        monkeypatch.setenv("CI", "true")
        monkeypatch.setenv("NETLAB_REQUIRE", "compse")  # others may mean something by it
        run_pytest().assert_outcomes(errors=2)
        pytester.makeini("[pytest]\nnetlab_require = compse\n")
        run_pytest().stderr.fnmatch_lines([f"ERROR: netlab_require: {said}"])


# A service that is found only from where its file lies.
BESIDE_THE_FILE = """\
lab: lan
service:
  command: ["{python}", server.py, "{port}"]
  port: 8080
  check: http
vantages: {peer: {web: "{lan.ipv4}"}}
expect: [allow]
"""
SERVER = (
    "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
)


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    ("started_in", "command"),
    [
        (".", ("pytest", "sub/netlab.yaml")),
        ("sub", ("pytest", "netlab.yaml")),
        (".", ("netlab", "check", "sub/netlab.yaml")),
        ("sub", ("netlab", "check")),
    ],
    ids=["pytest", "pytest there", "netlab check", "netlab check there"],
)
def test_a_service_starts_in_its_files_directory_wherever_it_is_checked_from(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, started_in: str, command: tuple[str, ...]
) -> None:
    pytester.mkdir("sub")
    write(pytester, BESIDE_THE_FILE, "sub/netlab.yaml")
    write(pytester, SERVER, "sub/server.py")
    monkeypatch.chdir(started_in)
    assert pytester.run(sys.executable, "-m", *command).ret == 0


@pytest.mark.usefixtures("netns")
@only_where_the_number_is_known
@pytest.mark.parametrize(
    ("option", "ci", "outcomes", "code"),
    [
        ("--netlab-require=netns", "", {"errors": 10}, pytest.ExitCode.TESTS_FAILED),
        ("-rs", "true", {"errors": 10}, pytest.ExitCode.TESTS_FAILED),
        ("-rs", "", {"skipped": 10}, pytest.ExitCode.OK),
    ],
    ids=["required", "in CI", "at somebody's desk"],
)
def test_where_no_lab_can_be_made_a_run_is_red_if_it_should_have_measured(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    ci: str,
    outcomes: dict[str, int],
    code: pytest.ExitCode,
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv("NETLAB_REQUIRE", raising=False)
    result = pytester.run(*without_namespaces(sys.executable, "-m", "pytest", option))
    result.assert_outcomes(**outcomes)
    assert result.ret == code
    assert WHY in result.stdout.str()
