"""The pre-commit hook: the real pre-commit, which installs it from this checkout and runs it at a commit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import unavailable
from tests.wheel.installed import ROOT
from tests.wheel.runners import tool
from tests.wheel.test_wheel import three_lines

GOOD = three_lines('"{address}"')
CONFIGURATION = """\
repos:
  - repo: {place}
    rev: {revision}
    hooks:
      - id: netlab-validate
"""
PRE_COMMIT = Path(sys.executable).with_name("pre-commit")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a repository, as somebody with a name and a home of their own."""
    nobodys = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        command,
        cwd=folder,
        env={
            **nobodys,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "PIP_NO_COMPILE": "1",  # what is not imported need not be
            "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
            **{
                f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
            },
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def git(folder: Path, *words: str) -> str:
    done = run(folder, "git", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit_all(folder: Path) -> subprocess.CompletedProcess[str]:
    git(folder, "add", "--all")
    return run(folder, "git", "commit", "--message", "a change")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that has the hook, and netlab installed for it."""
    folder = tmp_path_factory.mktemp("hook")
    netlab, project = folder / "netlab", folder / "project"
    # As it is now, committed or not: pre-commit clones a commit.
    tracked = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, tracked):
        source, copy = ROOT / name, netlab / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    git(netlab, "init", "--quiet")
    assert commit_all(netlab).returncode == 0
    project.mkdir()
    git(project, "init", "--quiet")
    revision = git(netlab, "rev-parse", "HEAD").strip()
    (project / ".pre-commit-config.yaml").write_text(
        CONFIGURATION.format(place=netlab.as_uri(), revision=revision)
    )
    installed = run(project, str(PRE_COMMIT), "install", "--install-hooks")
    if installed.returncode:
        unavailable("index", installed.stdout)
    return project


def test_a_good_file_is_committed(project: Path) -> None:
    (project / "netlab.yaml").write_text(GOOD)
    committed = commit_all(project)
    assert committed.returncode == 0, committed.stderr
    assert re.search(r"validate netlab\.yaml\.+Passed", committed.stderr)


@pytest.mark.parametrize("name", ["netlab.yaml", "web/netlab-web.yml"])
def test_a_wrong_file_is_refused_with_file_line_and_key(project: Path, name: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(GOOD.replace("port: 8000", "prot: 8000"))
    before = git(project, "log", "--oneline", "--all")
    committed = commit_all(project)
    assert committed.returncode == 1
    assert re.search(r"validate netlab\.yaml\.+Failed", committed.stderr)
    assert f"netlab: {name}:1: service.prot: unknown key (did you mean 'port'?)" in committed.stderr
    assert git(project, "log", "--oneline", "--all") == before
    git(project, "reset", "--quiet", "--hard")


def test_a_commit_without_such_a_file_runs_nothing(project: Path) -> None:
    (project / "other.yaml").write_text("service: [1")
    committed = commit_all(project)
    assert committed.returncode == 0, committed.stderr
    assert re.search(r"validate netlab\.yaml\.+\(no files to check\)Skipped", committed.stderr)


def test_the_manifest_is_what_pre_commit_takes() -> None:
    checked = tool("pre-commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    assert checked.returncode == 0, checked.stdout
