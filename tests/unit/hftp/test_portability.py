"""The package runs wherever a Python 3.9 is: it asks for nothing else, and starts fast."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import hftp
from tests.hftp.serving import python

SOURCES = sorted(Path(hftp.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_syntax_is_that_of_3_9(source: Path) -> None:
    ast.parse(source.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported(source: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    allowed = sys.stdlib_module_names | {"hftp"}
    # Looked for when base64 is first asked for, and done without.
    assert imported <= (allowed | {"pybase64"} if source.name in ("fast.py", "decode.py") else allowed)


def test_a_server_imports_nothing_slow() -> None:
    """Thirteen servers are started in one experiment. Importing typing alone takes as long as all of this."""
    serve = "from hftp.cli import main; main(['serve', '-p', '0', '-d', '/nonexistent'])"
    loaded = set(python("-c", f"import sys; {serve}; print(*sys.modules)").stdout.split())
    assert "hftp.files" in loaded
    assert not loaded & {
        "typing",
        "asyncio",
        "threading",
        "ssl",
        "shutil",
        "tempfile",
        "dataclasses",
        "pathlib",
    }


def test_the_package_gives_what_it_names() -> None:
    for name in hftp.__all__:
        assert getattr(hftp, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = hftp.nothing_like_this
