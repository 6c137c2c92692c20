"""Coverage-guided fuzzing of the client. Arguments are those of libFuzzer."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["hftp"]):
    import hftp.commands
    import hftp.decode
    import hftp.download
    import hftp.mirror  # noqa: F401  # all that is first imported when it is needed

from tests.fuzz.client import Arena, check


def main() -> None:
    """Fuzz until libFuzzer has enough."""
    with tempfile.TemporaryDirectory() as path:
        arena = Arena(Path(path))
        atheris.Setup(sys.argv, lambda program: check(arena, program))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
