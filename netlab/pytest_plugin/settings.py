"""What the user says: options, ini keys, and what must not be skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from netlab.errors import BackendUnavailableError

MARKER_HELP = "netlab(lab, backend): the lab that the fixture netlab_lab brings up, and what makes it"

_FILES = ("netlab*.yaml", "netlab*.yml")
_LAB = "bind-address"  # as in `netlab.yaml`

Scope = Literal["function", "class", "module", "package", "session"]
# What may be required; the word `none` says that nothing is. Spelt out, since pytest loads this everywhere.
_REQUIRABLE = ("netns", "compose", "ssh", "none")

_SCOPES = ("function", "class", "module", "package", "session")


def add_options(parser: pytest.Parser) -> None:
    """Add the options, and the ini keys beside them."""
    group = parser.getgroup("netlab", "netlab: who can reach a server, and why")
    made = "what makes the labs that are not there already: netns, compose"
    group.addoption("--netlab-backend", metavar="NAME", help=f"{made} (ini: netlab_backend)")
    required = "fail, and don't skip, where these backends are not available"
    also = "(ini: netlab_require; environment: NETLAB_REQUIRE)"
    group.addoption("--netlab-require", metavar="NAME,NAME", help=f"{required} {also}")
    parser.addini("netlab_backend", made, default="")
    parser.addini("netlab_require", required, default="")
    parser.addini("netlab_lab", "the lab of tests that name none: a name or a file", default=_LAB)
    parser.addini("netlab_lab_scope", f"how long a lab stays up: {', '.join(_SCOPES)}", default="module")
    parser.addini("netlab_files", "what the files are called that are checked", type="args", default=_FILES)


def header(config: pytest.Config) -> str:
    """Return the line about netlab in the report's header."""
    needed = ", ".join(sorted(required(config)))
    return f"netlab: backend {backend(config) or 'netns'}" + (f"; required: {needed}" if needed else "")


def backend(config: pytest.Config) -> str:
    """Return the backend that the user asks for; empty if there is none."""
    said: str = config.getoption("--netlab-backend") or config.getini("netlab_backend")
    return said


def required(config: pytest.Config) -> frozenset[str]:
    """Return the backends that must be available."""
    option, ini = config.getoption("--netlab-require") or "", config.getini("netlab_require")
    said = ",".join((option, ini, os.environ.get("NETLAB_REQUIRE", "")))
    return _words(said)


def check_required(config: pytest.Config) -> None:
    """Refuse to require what does not exist: nothing would be required. The variable may be others', too.

    Raises:
        UsageError: a word is no backend's.
    """
    for where, said in (
        ("--netlab-require", config.getoption("--netlab-require") or ""),
        ("netlab_require", config.getini("netlab_require")),
    ):
        for word in sorted(_words(said) - {*_REQUIRABLE}):
            raise pytest.UsageError(
                f"{where}: no backend is called {word!r}: there is {', '.join(_REQUIRABLE)}"
            )


def _words(said: str) -> frozenset[str]:
    return frozenset(word.strip() for word in said.split(",")) - {""}


def is_check_file(path: Path, config: pytest.Config) -> bool:
    """Whether a file, by its name, says who should reach what."""
    return any(path.match(pattern) for pattern in config.getini("netlab_files"))


def lab_scope(fixture_name: str, config: pytest.Config) -> Scope:
    """Return the scope of the fixtures that are about one lab.

    Raises:
        UsageError: the ini file names none that there is.
    """
    said: Scope = config.getini("netlab_lab_scope")
    if said not in _SCOPES:
        raise pytest.UsageError(f"netlab_lab_scope: no scope is called {said!r}: use {', '.join(_SCOPES)}")
    return said


@contextmanager
def obstacles(config: pytest.Config) -> Iterator[None]:
    """Turn what keeps a lab from coming up into a skip, or a failure in one line.

    It is a skip only where the machine lacks a backend, and the user does not require that backend. In CI
    nobody reads skips: there each backend that is used is required, unless it is said which ones are.
    """
    from netlab.errors import BackendUnavailableError, NetlabError

    try:
        yield
    except BackendUnavailableError as error:
        _refuse(config, error)
    except NetlabError as error:
        pytest.fail(f"netlab: {error}", pytrace=False)


def _refuse(config: pytest.Config, error: BackendUnavailableError) -> None:
    needed = required(config)
    if error.backend in needed:
        pytest.fail(f"netlab: {error} (it is required)", pytrace=False)
    if os.environ.get("CI") and not needed & {*_REQUIRABLE}:
        why = "CI is set, where nothing is skipped unless --netlab-require says what is required, or none"
        pytest.fail(f"netlab: {error} ({why})", pytrace=False)
    pytest.skip(f"netlab: {error}")
