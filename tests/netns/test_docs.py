"""What the documentation shows is run as it stands there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.backends.netns import NetnsLab
from netlab.errors import BackendUnavailableError, ExitCode
from netlab.experiments import load
from netlab.model import Verdict
from netlab.run import run
from tests.pages import Command, follow
from tests.requirements import unavailable

DOCS = Path(__file__).parents[2] / "docs"


def test_the_experiment_of_the_guide_runs_and_comes_out_as_predicted(tmp_path: Path) -> None:
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    text, *_ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "two-addresses.yaml"
    file.write_text(text, encoding="utf-8")
    draft = load(str(file))
    try:
        matrix = run(draft, "netns", NetnsLab(draft.lab), lambda *_: None)
    except BackendUnavailableError as error:
        unavailable("netns", str(error))
    assert not matrix.disagreements
    assert not matrix.not_measured
    open_to = {(c.bind.name, c.vantage, c.target.name) for c in matrix.cells if c.observation.outcome}
    assert len(open_to) == 3 * 5
    weak_host = next(
        c for c in matrix.cells if (c.bind.name, c.vantage, c.target.name) == ("back", "peer", "back")
    )
    assert weak_host.observation.outcome is not None
    assert weak_host.observation.outcome.verdict is Verdict.OPEN


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_every_link_within_the_project_leads_somewhere(page: str) -> None:
    root = DOCS.parent
    file = root / page
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (file.parent / target).exists(), f"{page} links to {target}"


def test_the_check_of_the_guide_ends_as_the_guide_shows_it(tmp_path: Path) -> None:
    page = (DOCS / "netlab-yaml.md").read_text(encoding="utf-8")
    (tmp_path / "netlab.yaml").write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    ended = subprocess.run(
        [sys.executable, "-m", "netlab", "check"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "100", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if ended.returncode == ExitCode.UNAVAILABLE:
        unavailable("netns", ended.stderr)
    assert ended.returncode == ExitCode.DISAGREES, ended.stderr
    shown = page.split("$ netlab check\n")[1].split("```")[0]
    assert _steady(ended.stdout) == _steady(shown)


def _steady(screen: str) -> str:
    """Leave out what differs from run to run: the kernel, ports, times."""
    screen = re.sub(r"Linux \S+:", "Linux:", screen)
    return re.sub(r"\.101:\d+ ->|[0-9.]+ m?s\b", "", screen)


class Terminal:
    """A shell in which somebody types what a page says; netlab and hftp are commands there."""

    def __init__(self, folder: Path) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env={**os.environ, "PATH": path, "COLUMNS": "120", "PYTHONUTF8": "1", "TERM": "dumb"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __call__(self, command: Command) -> str:
        """Type a command; return what it printed to its end or, in the background, as far as is shown."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command.text}\necho =done\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        done = False
        while not (done and len(lines) >= len(command.shown)):
            line = self._shell.stdout.readline()
            assert line, lines
            if line == "=done\n":
                done = True
            elif not re.match(r"\[\d+\]", line):  # the shell, of its jobs
                lines.append(line)
        return "".join(lines)

    def close(self) -> None:
        """Leave, and end what runs in the background."""
        os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.communicate()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    typing = Terminal(tmp_path)
    yield typing
    typing.close()


def test_a_student_finds_what_the_page_says(tmp_path: Path, terminal: Terminal) -> None:
    (tmp_path / "server.py").write_text(
        "import sys\nfrom hftp.cli import main\nsys.exit(main(['serve', *sys.argv[1:]]))\n"
    )
    follow("students.md", tmp_path, terminal)
