"""What a run was made with: netlab itself, its libraries, and the programs and the system below them."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version

from netlab import __version__

_DISTRIBUTION = "hftp-netlab"
_ASK_WITHIN_S = 10.0


def versions() -> dict[str, str]:
    """Return the versions of what runs on this machine, by name; `absent` for what isn't there."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "") if _has_os_release() else ""
    return {
        "netlab": __version__,
        "Python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()} ({platform.version()})",
        "system": system or platform.platform(),
        "machine": platform.machine(),
        "C library": " ".join(platform.libc_ver()) or "unknown",
        "util-linux": _said_by("unshare", "--version"),
        "iproute2": _said_by("ip", "-V"),
        **{name: _library(name) for name in sorted(_libraries())},
    }


def _has_os_release() -> bool:
    try:
        platform.freedesktop_os_release()
    except OSError:
        return False
    return True


def _libraries() -> set[str]:
    """Return the names of the libraries that netlab asks for, the optional ones included."""
    try:
        wanted = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return set()
    names = (re.match(r"[\w.-]+", said) for said in wanted if "dev" not in said.partition(";")[2])
    return {found[0] for found in names if found and found[0] != _DISTRIBUTION}


def _library(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _said_by(program: str, option: str) -> str:
    """Return the first line of what a program says of its version."""
    path = shutil.which(program)
    if path is None:
        return "absent"
    try:
        said = subprocess.run(
            [path, option],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ASK_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "does not answer"
    return next(iter((said.stdout + said.stderr).splitlines()), "")
