"""What Compose and the engine said when a project did not come up (Compose 2.26, engine 26.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

refusals = pytest.importorskip("netlab.backends.compose.refusals", reason="the docker SDK is not installed")

DATA = Path(__file__).parents[2] / "data/compose/refusals"

SAID = {
    "no-image": "there is no image nosuch:1; pull or build it first: 'docker pull nosuch:1'",
    "unhealthy": "container cwy-a-1 is unhealthy",
    "exited": "container cwy-a-1 exited (3)",
    "port-published": (
        "Bind for 0.0.0.0:18080 failed: port is already allocated; "
        "another container publishes it: see 'docker ps'"
    ),
    "port-in-use": (
        "listen tcp4 127.0.0.1:18077: bind: address already in use; "
        "another program listens there: see 'ss -tlnp'"
    ),
    "pool-overlaps": (
        "its addresses overlap those of another network; 'netlab ls' and 'docker network ls' tell whose"
    ),
    "no-daemon": (
        "Cannot connect to the Docker daemon at unix:///nonexistent. Is the docker daemon running?; "
        "the engine is gone: when it is back, 'netlab down' removes what is left"
    ),
    "not-yaml": "yaml: line 1: did not find expected node content",
}
CLASHES = {"port-published", "port-in-use", "pool-overlaps"}


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.iterdir()))
def test_each_is_a_line_that_says_what_to_do(name: str) -> None:
    refusal = refusals.explain((DATA / f"{name}.txt").read_text())
    assert str(refusal) == SAID[name]
    assert refusal.elsewhere == (name in CLASHES)
    assert refusal.container == ("cwy-a-1" if name in ("unhealthy", "exited") else "")


def test_our_own_images_are_made_and_not_pulled() -> None:
    said = "Error response from daemon: No such image: hftp-server:latest"
    assert str(refusals.explain(said)) == "there is no image hftp-server:latest; make it with 'make images'"


def test_what_is_not_known_is_told_as_it_was_said_without_what_a_terminal_would_obey() -> None:
    assert str(refusals.explain("first\n\x1b[31msomething else\n\n")) == "?[31msomething else"
    assert str(refusals.explain("")) == "it said nothing"
