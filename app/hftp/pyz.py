"""hftp.pyz: server and client as one file that any Python from 3.9 on runs (PEP 441).

The same sources give the same bytes, on any machine: files in one order, dated 1980, not compressed (what
zlib makes differs between its versions). ``python -m hftp.pyz FILE`` writes it.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

_PACKAGE = Path(__file__).parent

_SHEBANG = b"#!/usr/bin/env python3\n"

_MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("hftp needs Python 3.9 or later, not " + sys.version.split()[0])

from hftp.cli import main

sys.exit(main())
"""

# The first moment that a ZIP file can express (APPNOTE.TXT, 4.4.6).
_DATE = (1980, 1, 1, 0, 0, 0)


def build() -> bytes:
    """Return the file's contents, made of the package that this module is in."""
    out = io.BytesIO()
    out.write(_SHEBANG)
    with zipfile.ZipFile(out, "w") as archive:
        _add(archive, "__main__.py", _MAIN.encode())
        for source in sorted(_PACKAGE.glob("**/*.py")):
            name = source.relative_to(_PACKAGE).as_posix()
            _add(archive, f"{_PACKAGE.name}/{name}", source.read_bytes())
    return out.getvalue()


def write(target: Path) -> None:
    """Write the file.

    Args:
        target: Its path; what was there is replaced when the new one is whole.
    """
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(build())
    part.chmod(0o755)
    part.replace(target)


def _add(archive: zipfile.ZipFile, name: str, contents: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3  # Unix, wherever it is built
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, contents)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
