"""Coverage-guided fuzzing of the parser and the session. Arguments are those of libFuzzer."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["hftp"]):
    import hftp.connection
    import hftp.files
    import hftp.protocol
    import hftp.segments

from tests.fuzz.session import check, write_files


def main() -> None:
    """Fuzz until libFuzzer has enough."""
    with tempfile.TemporaryDirectory() as path:
        write_files(Path(path))
        with hftp.files.DataDirectory(path) as directory:
            atheris.Setup(sys.argv, lambda program: check(directory, program))
            atheris.Fuzz()


if __name__ == "__main__":
    main()
