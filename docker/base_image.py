#!/usr/bin/env python3
"""Images from the distribution's packages, where no registry can be reached: `make base-image machine-image`.

`netlab-base:<codename>` has the essential packages and Python, as the official slim image;
`netlab-machine:<codename>` what a machine of a lab has besides: an SSH daemon, cron, systemd, for tests.
Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from distribution import give_up, install, source_lines, this_distribution
from engine import environment

# /usr is merged from the start: else it is by a package that wants all of Perl.
_BASE = ("python3", "usr-is-merged")
_PACKAGES = {
    "base": _BASE,
    "machine": (
        *(*_BASE, "openssh-server", "cron", "systemd-sysv", "libpam-systemd", "dbus-user-session"),
        *("iproute2", "iptables"),  # for a container engine of its own
    ),
}
_OPTIONS = (
    "--quiet",
    "--variant=essential",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
    "--dpkgopt=force-unsafe-io",  # it is a temporary directory
    '--customize-hook=rm -r "$1"/etc/apt/sources.list.d/* "$1"/var/cache/* "$1"/var/log/*',
    '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*',  # each machine has its own
    # Without it the journal is in memory, and of the accounts only root can read it.
    '--customize-hook=! test -e "$1"/usr/bin/journalctl || mkdir "$1"/var/log/journal',
)


def main() -> None:
    """Build an image and give it to the engine."""
    parser = argparse.ArgumentParser(description="An image from the distribution's packages.")
    parser.add_argument("kind", nargs="?", choices=_PACKAGES, default="base")
    kind = parser.parse_args().kind
    if os.geteuid():
        give_up(f"a {kind} image needs root", f"try: sudo make {kind}-image")
    distribution = this_distribution()
    if not shutil.which("mmdebstrap"):
        install(("mmdebstrap",))
    name = f"netlab-{kind}:{distribution.codename}"
    with tempfile.TemporaryDirectory(prefix="netlab-base-") as directory:
        sources, archive = Path(directory, "sources.list"), Path(directory, "base.tar")
        sources.write_text(source_lines(distribution))
        include = f"--include={','.join(_PACKAGES[kind])}"
        _run(
            ["mmdebstrap", *_OPTIONS, include, distribution.codename, str(archive), str(sources)],
            "apt works here",
        )
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
