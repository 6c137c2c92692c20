#!/usr/bin/env python3
"""A tree of Debian 11, whose Python is 3.9, the oldest that `hftp.pyz` is for: `make debian-11`.

Its packages are unpacked and not set up: Python runs in it (chroot), and nothing else is wanted of it.
Standard library only, as what else makes images and engines.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from distribution import Distribution, give_up, install, source_lines, this_distribution

_RELEASE = "bullseye"


def main(target: Path) -> None:
    """Make the tree, unless it is there.

    Args:
        target: A directory; it is there when it is whole.
    """
    if target.exists():
        return
    if os.geteuid():
        give_up("a tree of another release needs root", "try: sudo make debian-11")
    distribution = this_distribution()
    if distribution.name != "debian":
        give_up(f"{distribution.name}'s mirrors don't have Debian 11", "run it on Debian")
    if not shutil.which("mmdebstrap"):
        install(("mmdebstrap",))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}-", dir=target.parent) as directory:
        sources, tree = Path(directory, "sources.list"), Path(directory, "tree")
        sources.write_text(_sources(distribution))
        _bootstrap(tree, sources)
        tree.rename(target)


def _sources(distribution: Distribution) -> str:
    """Give the lines of the release proper, from the mirror that this machine uses."""
    suite = f" {distribution.codename} "
    lines = [line for line in source_lines(distribution).splitlines(keepends=True) if suite in line]
    return "".join(lines).replace(suite, f" {_RELEASE} ")


def _bootstrap(tree: Path, sources: Path) -> None:
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        "--include=python3",
        _RELEASE,
        str(tree),
        str(sources),
    ]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        give_up(f"mmdebstrap failed: {done.stdout.strip()[-1000:]}", f"see that the mirror has {_RELEASE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
