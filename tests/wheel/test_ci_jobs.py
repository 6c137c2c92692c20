"""The jobs of docs/ci, run as a CI runner would: green, red, and never green without having measured."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netlab.errors import ExitCode
from tests.netns.forbidding import REMEDY, WHY, only_where_the_number_is_known, without_namespaces
from tests.requirements import unavailable
from tests.wheel.installed import Installed, NoIndexError
from tests.wheel.runners import JOBS, RUNNERS, Ended, Runner, tool
from tests.wheel.test_wheel import three_lines

GREEN, RED = three_lines('"{address}"'), three_lines("127.0.0.1")
FILES = {"run.json", "run.html", "junit.xml", "run.zip"}


@pytest.fixture(scope="module", params=RUNNERS)
def runner(
    request: pytest.FixtureRequest,
    wheel: Path,
    installed: Installed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Runner:
    return RUNNERS[request.param](tmp_path_factory.mktemp("runner"), wheel, installed)


def run(runner: Runner, project: Path, text: str, *around: str) -> Ended:
    (project / "netlab.yaml").write_text(text)
    try:
        return runner.run(project, around)
    except NoIndexError as error:
        unavailable("index", str(error))


def failures(file: Path) -> list[str]:
    return [failure.get("message", "") for failure in ElementTree.parse(file).findall(".//failure")]


@pytest.mark.usefixtures("labs")
def test_a_job_is_green_where_all_is_as_the_file_says(runner: Runner, tmp_path: Path) -> None:
    ended = run(runner, tmp_path, GREEN)
    assert ended.code == ExitCode.OK, ended.log
    assert "1 of 1 as expected" in ended.log
    assert set(ended.artifacts) == FILES
    assert failures(ended.artifacts["junit.xml"]) == []


@pytest.mark.usefixtures("labs")
def test_a_job_is_red_where_it_is_not_and_says_why_and_keeps_everything(
    runner: Runner, tmp_path: Path
) -> None:
    ended = run(runner, tmp_path, RED)
    assert ended.code == ExitCode.DISAGREES, ended.log
    heading = "any: peer dials lan-ipv4 (198.18.1.11): expected allow (open), observed refused"
    assert heading in ended.log.splitlines()
    assert "  to open it: bind 0.0.0.0 or 198.18.1.11" in ended.log.splitlines()
    assert set(ended.artifacts) == FILES
    assert failures(ended.artifacts["junit.xml"]) == [heading]
    assert heading in ended.artifacts["run.html"].read_text()
    assert json.loads(ended.artifacts["run.json"].read_text())["exit_code"] == ExitCode.DISAGREES
    with zipfile.ZipFile(ended.artifacts["run.zip"]) as bundle:
        assert heading in bundle.read("screen.txt").decode()
        assert "pcaps/peer.pcapng" in bundle.namelist()


@pytest.mark.usefixtures("labs")
def test_a_job_is_red_where_the_service_did_not_run(runner: Runner, tmp_path: Path) -> None:
    ended = run(runner, tmp_path, GREEN.replace("http.server", "no.such.module"))
    assert ended.code == ExitCode.NOT_MEASURED, ended.log
    assert "observed not measured" in ended.log
    assert "No module named 'no'" in ended.log
    errors = ElementTree.parse(ended.artifacts["junit.xml"]).findall(".//error")
    assert len(errors) == 9


@pytest.mark.usefixtures("labs")
@only_where_the_number_is_known
def test_a_job_is_red_where_no_lab_can_be_and_says_what_to_do(runner: Runner, tmp_path: Path) -> None:
    """As in a container that is not privileged."""
    ended = run(runner, tmp_path, GREEN, *without_namespaces())
    assert ended.code == ExitCode.UNAVAILABLE, ended.log
    assert f"netlab: backend netns is not available: {WHY}; {REMEDY}" in ended.log.splitlines()
    assert ended.artifacts == {}


@pytest.mark.usefixtures("labs")
def test_a_job_is_red_where_the_file_is_wrong_and_says_where(runner: Runner, tmp_path: Path) -> None:
    ended = run(runner, tmp_path, GREEN.replace("allow", "alow"))
    assert ended.code == ExitCode.USAGE, ended.log
    said = "no expectation is called 'alow' (did you mean 'allow'?): there is allow"
    assert f"netlab: netlab.yaml:3: expect.0.alow: {said}" in ended.log


@pytest.mark.parametrize(
    "arguments",
    [
        ("--builtin-schema", "vendor.github-workflows", "netlab.github.yml"),
        ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", "netlab.gitlab-ci.yml"),
    ],
    ids=["GitHub", "GitLab"],
)
def test_a_job_is_what_the_published_schema_allows(arguments: tuple[str, ...], tmp_path: Path) -> None:
    *options, name = arguments
    checked = tool("check-jsonschema", *options, str(JOBS / name))
    assert checked.returncode == 0, checked.stdout
    wrong = tmp_path / name
    text = (JOBS / name).read_text()
    wrong.write_text(
        text.replace("timeout-minutes: 10", "timeout-minutes: soon").replace("script:", "script: 1\n  x:")
    )
    assert tool("check-jsonschema", *options, str(wrong)).returncode == 1


def test_shellcheck_has_nothing_to_say_of_the_shell_job() -> None:
    checked = tool("shellcheck", "--enable=all", "--exclude=SC2250", str(JOBS / "netlab.sh"))
    assert checked.returncode == 0, checked.stdout
