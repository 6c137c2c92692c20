"""The page on CI, followed as a new user would: its file is saved, its commands are run in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.errors import ExitCode
from tests.wheel.installed import ROOT, Installed

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
MARK = "@@ next"
# Says where the output of the next command begins, and leaves $? as it is.
MARKING = f'mark() {{ local code=$?; printf "\\n{MARK}\\n"; return $code; }}'


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def told() -> list[tuple[str, list[str]]]:
    """Return the page's commands, and what it shows of what each prints."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks("console")).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def steady(line: str) -> str:
    """Leave out what differs from run to run: the kernel, times."""
    return re.sub(r"Linux \S+:|[0-9.]+ m?s\b", "", line).rstrip()


@pytest.mark.usefixtures("labs")
def test_every_command_prints_what_the_page_shows(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "netlab.yaml").write_text(blocks("yaml")[0])
    commands = told()
    assert len(commands) == 16
    script = "\n".join([MARKING, *(f"mark\n{command}" for command, _ in commands)])
    # pytest is the user's own: it is not in the environment of netlab.
    path = os.pathsep.join([str(installed.programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert ran.returncode == ExitCode.OK, ran.stdout  # of the last one
    _, *outputs = ran.stdout.split(f"\n{MARK}\n")
    for (command, shown), output in zip(commands, outputs, strict=True):
        printed = iter([steady(line) for line in output.splitlines()])
        for line in shown:
            assert steady(line) in printed, f"{command}: {line}\n{output}"


def test_every_exit_code_is_on_the_page() -> None:
    rows = re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)
    assert [int(row) for row in rows] == [int(code) for code in ExitCode]


def test_every_file_to_copy_is_on_the_page() -> None:
    linked = set(re.findall(r"\]\(ci/([^)]+)\)", PAGE))
    assert linked == {path.name for path in (ROOT / "docs" / "ci").iterdir()}


def test_what_the_page_says_of_the_hook_is_what_the_repository_offers() -> None:
    offered = re.findall(r"^- id: (\S+)$", (ROOT / ".pre-commit-hooks.yaml").read_text(), re.MULTILINE)
    assert re.findall(r"- id: (\S+)", blocks("yaml")[1]) == offered
