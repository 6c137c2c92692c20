#!/usr/bin/env python3
"""A base image from the distribution's packages, where no registry can be reached: `make base-image`.

It is named `netlab-base:<codename>`: the essential packages and Python, as in the official slim image.
Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from distribution import give_up, install, source_lines, this_distribution
from engine import environment

_OPTIONS = (
    "--quiet",
    "--variant=essential",
    # /usr is merged from the start: else it is by a package that wants all of Perl.
    "--include=python3,usr-is-merged",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
    "--dpkgopt=force-unsafe-io",  # it is a temporary directory
    '--customize-hook=rm -r "$1"/etc/apt/sources.list.d/* "$1"/var/cache/* "$1"/var/log/*',
)


def main() -> None:
    """Build the image and give it to the engine."""
    if os.geteuid():
        give_up("a base image needs root", "try: sudo make base-image")
    distribution = this_distribution()
    if not shutil.which("mmdebstrap"):
        install(("mmdebstrap",))
    name = f"netlab-base:{distribution.codename}"
    with tempfile.TemporaryDirectory(prefix="netlab-base-") as directory:
        sources, archive = Path(directory, "sources.list"), Path(directory, "base.tar")
        sources.write_text(source_lines(distribution))
        _run(["mmdebstrap", *_OPTIONS, distribution.codename, str(archive), str(sources)], "apt works here")
        _run(["docker", "import", "--change", 'CMD ["python3"]', str(archive), name], "the engine answers")
    sys.stdout.write(f"{name} is in the engine\n")


def _run(command: list[str], remedy: str) -> None:
    # The same packages give the same archive, whenever it is built.
    variables = {**os.environ, **environment(), "SOURCE_DATE_EPOCH": "0"}
    try:
        done = subprocess.run(
            command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except FileNotFoundError:
        give_up(f"there is no {command[0]}", "try: make engine")
    if done.returncode:
        give_up(f"{command[0]} failed: {done.stdout.strip()[-1000:]}", f"see that {remedy}")


if __name__ == "__main__":
    main()
