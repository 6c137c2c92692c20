"""The HFTP program as one file, for machines on which nothing is installed."""

from __future__ import annotations

from functools import cache

from hftp import pyz

NAME = "hftp.pyz"


@cache
def hftp_zipapp() -> bytes:
    """Return the zipapp of this very version, for Python 3.9 and later; the same bytes each time."""
    return pyz.build()
