"""The HTML page of a run, as text; how a browser shows it is in tests/browser."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from netlab.experiments.plan import Headline
from netlab.model import Outcome, Verdict
from netlab.report.html import page
from tests.unit.netlab.made import OPEN, matrix

# Elements that HTML has no end tag for.
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page, and sees to it that every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute, wherever it is."""
        return [value for _, its, value in self.attributes if its == name]


def test_every_cell_has_its_place_and_every_link_leads_to_one() -> None:
    made = matrix(one_peer_lan=OPEN, two_peer_lan=None)
    read = Reader(page(made))
    places = read.values("id")
    assert len(places) == len(set(places)) == len(made.cells)
    links = Counter(read.values("href"))
    assert set(links) == {f"#{place}" for place in places}, "every symbol of the matrix is a link"


def test_nothing_in_it_comes_from_elsewhere() -> None:
    text = page(matrix())
    read = Reader(text)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(read.tags)
    assert read.values("src") == []
    assert not re.search(r"url\(|@import|https?:", text)
    assert "default-src 'none'" in text


def test_a_verdict_of_each_kind_is_in_the_legend_and_has_a_colour_on_either_paper() -> None:
    for verdict in Verdict:
        text = page(matrix(one_peer_lan=Outcome(verdict)))
        assert f'<li><span class="{verdict}">' in text
        # Light, dark and printed.
        assert text.count(f"--{verdict}: #") == 3
        assert f".{verdict} {{ color: var(--{verdict})" in text


def test_a_run_without_trouble_tells_of_none() -> None:
    text = page(matrix())
    assert "Not measured" not in text
    assert "Not as predicted" not in text
    assert "<details open" not in text


def test_an_experiment_without_a_headline_has_none() -> None:
    made = matrix()
    bare = replace(made, experiment=replace(made.experiment, headline=Headline((), ()), title=""))
    text = page(bare)
    assert '<table class="headline">' not in text
    assert "<h1>made-by-hand</h1>" in text


@pytest.mark.parametrize("text", ["<script>", "a\nb", "\x1b[2J", "\u202e", '"><b>', "{{ 7 * 7 }}"])
def test_a_name_may_be_anything(text: str) -> None:
    made = matrix()
    bind = replace(made.experiment.binds[0], name=text)
    cells = tuple(replace(c, bind=bind) if c.bind == made.experiment.binds[0] else c for c in made.cells)
    headline = replace(made.experiment.headline, binds=(text, "0.0.0.0"))
    experiment = replace(made.experiment, binds=(bind, *made.experiment.binds[1:]), headline=headline)
    facts = {**made.facts, text: made.facts["127.0.0.1"]}
    shown = page(replace(made, experiment=experiment, cells=cells, facts=facts))
    assert Reader(shown).tags == Reader(page(made)).tags
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "49" not in shown
