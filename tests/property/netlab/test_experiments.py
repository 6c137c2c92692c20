"""Whatever a file says, it is an experiment or one error, in one line, that says where."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from netlab.errors import ExperimentError
from netlab.experiments import Draft
from netlab.experiments.schema import read
from netlab.model import Topology

STANDARD = resources.files("netlab.experiments").joinpath("bind-address.yaml").read_text()
LINES = STANDARD.splitlines()

# What YAML is made of, so that arbitrary texts come near to being some.
BITS = st.sampled_from(
    (
        *("a: ", "- ", "\n", "  ", "{", "}", "[", "]", ",", ": ", "? ", "&x ", "*x", "<<: ", "|\n", "'", '"'),
        *("\t", "#", "---\n", "...\n", "%YAML 1.1\n", "!!int ", "!!omap ", "~", "0x1", "1e9", "2001-01-32"),
        *("null", "binds", "networks"),
    )
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(BITS, max_size=40).map("".join))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=10),
    st.sampled_from(
        ["lan", "peer", "servers", "anywhere", "198.18.1.0/30", "::/0", "{lan.ipv4}", "{", "0.0.0.0"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def is_followed_or_refused_in_a_line(text: str) -> None:
    try:
        draft = Draft("x", read("x.yaml", text), Path("/nonexistent"))
        if isinstance(draft.lab, Topology):
            list(draft.on(draft.lab).dials())
    except ExperimentError as error:
        assert str(error).startswith("x.yaml:")
        assert len(str(error).splitlines()) == 1
        assert 0 <= error.line <= text.count("\n") + 1
        assert error.problem


@given(TEXTS)
@settings(max_examples=300)
def test_any_text_is_followed_or_refused_in_a_line(text: str) -> None:
    is_followed_or_refused_in_a_line(text)


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_so_is_the_standard_experiment_with_a_line_changed(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(LINES) - 1))
    line = data.draw(st.one_of(st.just(""), TEXTS, st.sampled_from(LINES)))
    is_followed_or_refused_in_a_line("\n".join([*LINES[:number], line, *LINES[number + 1 :]]) + "\n")


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [
        *([path] if path else []),
        *(place for key, value in inner for place in places(value, (*path, key))),
    ]


PLAIN = YAML(typ="safe")
PLACES = places(PLAIN.load(STANDARD))


@given(st.sampled_from(PLACES), VALUES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_so_is_it_with_another_value_anywhere(place: tuple[Any, ...], value: Any) -> None:
    tree = PLAIN.load(STANDARD)
    section = tree
    for step in place[:-1]:
        section = section[step]
    section[place[-1]] = value
    text = io.StringIO()
    PLAIN.dump(tree, text)
    is_followed_or_refused_in_a_line(text.getvalue())
