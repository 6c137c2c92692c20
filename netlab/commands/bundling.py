"""What the commands with `--bundle` share: the recording of a run, and the file that is made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from netlab.commands.console import write_bytes

if TYPE_CHECKING:
    from netlab.bundle.recording import Recorded, Recording
    from netlab.expectations import Checked
    from netlab.matrix import Matrix
    from netlab.measure import Progress


def recording(progress: Progress) -> Recording:
    """Return what records a run while it runs."""
    from netlab.bundle.recording import Recording

    return Recording(progress)


def write_bundle(came: Matrix | Checked, recorded: Recorded, file: str) -> None:
    """Write a run as one zip, and say on standard error what is in it.

    Raises:
        NetlabError: it can't be written.
    """
    from netlab.bundle.contents import bundle, manifest_head

    archive = bundle(came, recorded)
    content = archive.finished(manifest_head(came, datetime.now(UTC).isoformat(timespec="seconds")))
    write_bytes(file, content)
    missing = f", {archive.missing} are missing and it says why" if archive.missing else ""
    click.echo(
        f"{file}: {archive.count} files, {len(content) >> 10} KiB: see its manifest.json{missing}", err=True
    )
