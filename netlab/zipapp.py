"""The HFTP program as one file, for machines on which nothing is installed: the same bytes each time."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

import hftp

NAME = "hftp.pyz"

_MAIN = b"import sys\nfrom hftp.cli import main\nsys.exit(main())\n"
# ZIP begins its calendar here; any fixed time makes two builds alike.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@cache
def hftp_zipapp() -> bytes:
    """Return the zipapp (PEP 441), of this very version, for Python 3.9 and later."""
    package = Path(hftp.__file__).parent
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", _MAIN)
        for path in sorted(package.rglob("*.py")):
            _add(archive, f"hftp/{path.relative_to(package).as_posix()}", path.read_bytes())
    return b"#!/usr/bin/env python3\n" + out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)
