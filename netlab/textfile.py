"""Files that people write: small, UTF-8, and named in every error."""

from __future__ import annotations

from pathlib import Path

from netlab.errors import NetlabError

# Experiments and inventories are a page of text; a file much larger than this is something else.
LIMIT_BYTES = 1 << 20


def read_text(path: Path, kind: str) -> str:
    """Return what a file says.

    Args:
        path: a file, or a pipe such as a shell's `<(...)`.
        kind: what it is meant to be, for errors: "experiment".

    Raises:
        NetlabError: it can't be read, is too large, or is no UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            contents = file.read(LIMIT_BYTES + 1)
    except IsADirectoryError:
        raise NetlabError(f"{path}: is a directory: name a file in it") from None
    except OSError as error:
        raise NetlabError(f"{path}: {error.strerror}") from None
    if len(contents) > LIMIT_BYTES:
        raise NetlabError(f"{path}: larger than {LIMIT_BYTES >> 20} MiB: this is no {kind}")
    try:
        return contents.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise NetlabError(f"{path}: not UTF-8 text (byte {error.start})") from None
