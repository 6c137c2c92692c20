"""Which part may import what: data goes one way, and the pure parts stay pure."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
NETLAB, HFTP = ROOT / "netlab", ROOT / "app" / "hftp"
# hftp uses it where it is installed, and works without.
OPTIONAL = {"pybase64"}

IMPURE = {
    "socket",
    "subprocess",
    "docker",
    "pyroute2",
    "paramiko",
    "rich",
    "click",
    "os",
    "time",
    "threading",
}
PURE = (
    "model.py",
    "facts.py",
    "predict",
    "checks.py",
    "probes.py",
    "judging.py",
    "starting.py",
    "matrix.py",
    "experiments/plan.py",
    "answers.py",
)
# For a pure part, everything that does something.
SHELLS = {
    *("netlab.run", "netlab.measure", "netlab.scan", "netlab.agents", "netlab.session", "netlab.agent"),
    *("netlab.backends", "netlab.report", "netlab.cli", "netlab.doctor", "netlab.clients"),
}


def files(*parts: str, below: Path = NETLAB) -> list[Path]:
    """Return the Python files of parts: files, or directories with all that is in them."""
    places = [below / part for part in parts] or [below]
    found = [
        file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))
    ]
    assert found, places
    return found


def imports(file: Path, *, for_types: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports anywhere in it; those that only type checkers see if asked to."""
    tree = ast.parse(file.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in hidden and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def forbidden(file: Path, packages: set[str]) -> list[str]:
    return [module for module in imports(file) if within(module, packages)]


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", files(below=HFTP), ids=name)
def test_hftp_needs_the_standard_library_only(file: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"hftp"} | OPTIONAL
    assert [m for m in imports(file) if m.partition(".")[0] not in allowed] == []


def module_of(file: Path, below: Path) -> str:
    """Name the module that a file of a package is."""
    parts = file.relative_to(below.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# A strategy's type names the server, which chooses the strategy: only type checkers see that one of hftp's.
@pytest.mark.parametrize(("package", "for_types"), [(HFTP, False), (NETLAB, True)], ids=["hftp", "netlab"])
def test_no_module_imports_itself_by_way_of_others(package: Path, for_types: bool) -> None:
    modules = {module_of(file, package): file for file in files(below=package)}
    # A package imports what is asked for when it is asked for: that is no part of it.
    graph = {
        module: set(imports(file, for_types=for_types)) & modules.keys() - {module}
        for module, file in modules.items()
        if file.name != "__init__.py"
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


@pytest.mark.parametrize(
    "file",
    files("agent", "deploy/there", "deploy/supervisor.py", "bundle/recorder", "pytest_plugin/runner.py"),
    ids=name,
)
def test_what_runs_elsewhere_needs_the_standard_library_only_and_nothing_of_netlab(file: Path) -> None:
    foreign = [m for m in imports(file) if m.partition(".")[0] not in sys.stdlib_module_names]
    assert [
        m for m in foreign if not within(m, {"netlab.agent", "netlab.bundle.recorder", "netlab.deploy.there"})
    ] == []


@pytest.mark.parametrize("file", files(*PURE), ids=name)
def test_a_pure_part_does_nothing_and_knows_nobody_who_does(file: Path) -> None:
    assert forbidden(file, IMPURE | SHELLS) == []


@pytest.mark.parametrize("file", files("report"), ids=name)
def test_reports_know_no_backend_and_no_run(file: Path) -> None:
    doers = SHELLS - {"netlab.report", "netlab.scan"} | {"socket", "subprocess"}
    assert forbidden(file, doers) == []


@pytest.mark.parametrize("file", files("predict"), ids=name)
def test_the_predictor_does_not_know_what_is_asked_or_shown(file: Path) -> None:
    assert forbidden(file, {"netlab.experiments", "netlab.matrix", "netlab.probes"}) == []


@pytest.mark.parametrize("file", files("backends"), ids=name)
def test_a_backend_knows_no_prediction_and_no_report(file: Path) -> None:
    upstream = {
        "netlab.predict",
        "netlab.report",
        "netlab.run",
        "netlab.measure",
        "netlab.matrix",
        "netlab.cli",
    }
    assert forbidden(file, upstream) == []


@pytest.mark.parametrize("file", [file for file in files() if file.name != "__main__.py"], ids=name)
def test_nobody_imports_the_command_line(file: Path) -> None:
    assert forbidden(file, {"netlab.cli"}) == []


@pytest.mark.parametrize("file", files(), ids=name)
def test_only_a_backend_knows_its_library(file: Path) -> None:
    libraries = {"pyroute2": "netns", "docker": "compose"}
    for library, backend in libraries.items():
        if (NETLAB / "backends" / backend) not in file.parents:
            assert forbidden(file, {library}) == []


def test_every_part_named_here_is_there() -> None:
    modules = {f"netlab.{'.'.join(file.relative_to(NETLAB).with_suffix('').parts)}" for file in files()}
    packages = {module.rpartition(".")[0] for module in modules}
    assert modules | packages >= SHELLS
