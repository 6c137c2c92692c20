"""HFTP, the Home-made File Transfer Protocol: a server and a client.

Standard library only, Python 3.9 and later, so that it runs on any lab machine.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.client import Client
    from hftp.errors import (
        AnswerError,
        AnswerTimeoutError,
        ConnectError,
        DownloadError,
        HFTPError,
        NameRefusedError,
        NotHFTPError,
        TruncatedError,
        UnknownHostError,
    )

__version__ = "0.1.0"

__all__ = [
    "AnswerError",
    "AnswerTimeoutError",
    "Client",
    "ConnectError",
    "DownloadError",
    "HFTPError",
    "NameRefusedError",
    "NotHFTPError",
    "TruncatedError",
    "UnknownHostError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is: a server needs nothing of the client."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hftp import client, errors

    return getattr(client if name == "Client" else errors, name)
