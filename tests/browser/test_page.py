"""The HTML page of a run in a real browser: Chromium, without a window, asked by a page around it."""

from __future__ import annotations

import functools
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netlab.matrix import Matrix
from netlab.model import Observation, Outcome, Prediction, Step, Verdict
from netlab.report.html import page
from tests.requirements import unavailable
from tests.unit.netlab.made import OPEN, matrix

# What a phone shows, in CSS pixels.
NARROW = 400

# Opens the page in a frame, evaluates an expression once it is there, and leaves the answer as a text.
AROUND = """<!DOCTYPE html><iframe id="frame" src="page.html{fragment}" width="{width}" height="900"></iframe>
<pre id="answer"></pre><script>
frame.onload = () => setTimeout(() => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  answer.textContent = JSON.stringify({asked});
}}, 100);
</script>"""

SCRIPT = "<script>parent.owned = 1</script>"
HOSTILE = f"</style></title>{SCRIPT}<img src=x onerror='parent.owned = 1'>\x1b[2J\u202e&amp;"


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        unavailable("browser", "no chromium here; try: apt install chromium")
    return found


class Browser:
    """Chromium with a page."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program, self._directory = program, directory

    def ask(
        self, content: str, asked: str, *, fragment: str = "", width: int = 1200, dark: bool = False
    ) -> Any:
        """Evaluate JavaScript around the page, in which `page` is its document and `view` its window."""
        (self._directory / "page.html").write_text(content)
        around = self._directory / "around.html"
        around.write_text(AROUND.format(fragment=fragment, width=width, asked=asked))
        command = [
            *(self._program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *(
                "--allow-file-access-from-files",
                "--virtual-time-budget=10000",
                "--host-resolver-rules=MAP * ~NOTFOUND",
            ),
            *(("--blink-settings=preferredColorScheme=0",) if dark else ()),
            *(f"--user-data-dir={self._directory / 'profile'}", "--dump-dom", around.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, f"{done.stdout[-500:]}\n{done.stderr[-500:]}"
        return json.loads(html.unescape(found[1]))


@pytest.fixture
def browser(chromium: str, tmp_path: Path) -> Iterator[Browser]:
    yield Browser(chromium, tmp_path)


@functools.cache
def troubled() -> Matrix:
    return matrix(one_peer_lan=OPEN, two_peer_lan=None, one_server_lan=Outcome(Verdict.TIMEOUT))


def test_the_page_asks_nobody_for_anything_and_runs_no_script(browser: Browser) -> None:
    asked = "[page.title, view.performance.getEntriesByType('resource').length, page.scripts.length]"
    assert browser.ask(page(troubled()), asked) == ["netlab: made-by-hand on netns", 0, 0]


def test_what_did_not_go_well_comes_first_and_is_unfolded(browser: Browser) -> None:
    headings = "[...page.querySelectorAll('h2')].map(h => h.textContent)"
    unfolded = "[...page.querySelectorAll('details.cell[open] > summary')].map(s => s.textContent)"
    said = browser.ask(page(troubled()), f"[{headings}, {unfolded}]")
    assert said[0][:3] == ["Not measured", "Not as predicted", "The matrix"]
    assert said[1] == [
        "… server dials lan: timeout, predicted refused",
        "● peer dials lan: open, predicted refused",
        "□ peer dials lan: not measured",
    ]


def test_a_symbol_leads_to_its_cell_unfolded(browser: Browser) -> None:
    """Without a script: the browser unfolds what the link leads into."""
    asked = "[page.querySelectorAll('details[open]').length, page.querySelector('.grid td a').hash]"
    assert browser.ask(page(matrix()), asked) == [0, "#cell-1"]
    open_ones = "[...page.querySelectorAll('details[open] > summary')].map(s => s.textContent)"
    bind, cell = browser.ask(page(matrix()), open_ones, fragment="#cell-1")
    assert bind == "127.0.0.1 on one, 4 cells"
    assert cell == "● server dials localhost: open"


def test_a_narrow_page_is_not_wider_than_its_window(browser: Browser) -> None:
    size = "parseFloat(view.getComputedStyle(page.body).fontSize)"
    asked = f"[page.documentElement.scrollWidth, view.innerWidth, {size}]"
    whole, window, letters = browser.ask(page(_with_long_words()), asked, width=NARROW)
    assert window == NARROW
    assert whole <= NARROW
    assert letters >= 16


def test_dark_and_light_differ_and_both_can_be_read(browser: Browser) -> None:
    asked = """['body', '.open', '.refused', '.timeout', '.faint', '.surprise'].map(found => {
      const style = view.getComputedStyle(page.querySelector(found));
      return [style.color, view.getComputedStyle(page.body).backgroundColor];
    })"""
    light, dark = (browser.ask(page(troubled()), asked, dark=dark) for dark in (False, True))
    assert light[0][1] != dark[0][1]
    for ink, paper in (*light, *dark):
        # WCAG 2.2, 1.4.3: text has a contrast of at least 4.5 to 1.
        assert _contrast(ink, paper) >= 4.5, (ink, paper)


def test_what_hosts_say_is_shown_and_not_followed(browser: Browser) -> None:
    asked = "[window.owned === undefined, page.images.length, page.scripts.length, page.body.textContent]"
    unharmed, images, scripts, text = browser.ask(page(_hostile()), asked)
    assert (unharmed, images, scripts) == (True, 0, 0)
    assert SCRIPT in text
    assert r"\x1b[2J\u202e&amp;" in text


def _with_long_words() -> Matrix:
    made = matrix(one_peer_lan=OPEN)
    long = "x" * 300
    cells = tuple(
        replace(
            cell,
            observation=replace(cell.observation, evidence=(long,)),
            target=replace(cell.target, address=long),
        )
        for cell in made.cells
    )
    return replace(made, cells=cells)


def _hostile() -> Matrix:
    """Return a matrix in which every text that a host, a file or a server may choose is an attack."""
    made = matrix(one_peer_lan=OPEN, two_peer_lan=None)
    step = Step(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    cells = []
    for cell in made.cells:
        seen = Observation(cell.observation.outcome, (HOSTILE,), 0.0, HOSTILE if not cell.measured else "")
        said = Prediction(cell.prediction.outcome, (step,), HOSTILE)
        cells.append(replace(cell, observation=seen, prediction=said))
    experiment = replace(made.experiment, title=HOSTILE, name=HOSTILE)
    return replace(made, cells=tuple(cells), experiment=experiment, backend=HOSTILE)


def _contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as CSS gives them. Source: WCAG 2.2, contrast ratio."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
