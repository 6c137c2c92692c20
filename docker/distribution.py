"""Debian's and Ubuntu's packages, fetched or installed as this machine's own apt is configured.

No mirror is named here: which one to ask, and through which proxy, apt already knows.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple, NoReturn

_FORMAT = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
_ORIGINS = {"debian": "Debian", "ubuntu": "Ubuntu"}


def give_up(problem: str, remedy: str) -> NoReturn:
    """End the program: what is wrong, and what to do about it, in one line."""
    raise SystemExit(f"{problem}; {remedy}")


class Distribution(NamedTuple):
    """What this machine runs.

    Attributes:
        name: `debian` or `ubuntu`.
        codename: such as `bookworm`.
    """

    name: str
    codename: str


def this_distribution() -> Distribution:
    """Read which distribution this machine runs; end the program where it is another one."""
    release = platform.freedesktop_os_release()
    if release["ID"] not in _ORIGINS:
        give_up(f"this is {release['ID']}, not Debian or Ubuntu", "install Docker as its maintainers say")
    return Distribution(release["ID"], release["VERSION_CODENAME"])


def source_lines(distribution: Distribution, *other_codenames: str) -> str:
    """Say where the distribution's packages come from, in the format of sources.list.

    Args:
        distribution: this machine's.
        other_codenames: its other releases, to be had from the same mirrors.

    Returns:
        A line for each archive and release.
    """
    targets = _index_targets(distribution)
    if not targets:  # what a mirror holds is known from its index
        _apt("update")
        targets = _index_targets(distribution)
    if not targets:
        give_up(f"apt knows no mirror of {distribution.name}", "see /etc/apt/sources.list")
    keyring = Path(f"/usr/share/keyrings/{distribution.name}-archive-keyring.gpg")
    signed_by = f"[signed-by={keyring}] " if keyring.exists() else ""
    lines = [
        f"deb {signed_by}{uri} {suite.replace(distribution.codename, codename)} {component}\n"
        for codename in (distribution.codename, *other_codenames)
        for suite, component, uri in targets
    ]
    return "".join(dict.fromkeys(lines))


def fetch(packages: tuple[str, ...], sources: str, directory: Path) -> list[Path]:
    """Download packages, and only these: nothing is installed.

    Args:
        packages: names, with `/codename` where a certain release's is meant.
        sources: from `source_lines()`.
        directory: where to keep them, and a package index of its own.

    Returns:
        The files, in no order.
    """
    for part in ("lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    (directory / "sources.list").write_text(sources)
    options = [
        f"Dir::Etc::SourceList={directory}/sources.list",
        "Dir::Etc::SourceParts=-",
        f"Dir::State::Lists={directory}/lists",
        f"Dir::Cache={directory}/cache",
        "APT::Sandbox::User=root",  # the directory is root's
        "Acquire::Languages=none",
    ]
    options = [word for option in options for word in ("-o", option)]
    for old in directory.glob("*.deb"):
        old.unlink()
    _apt("update", *options)
    _apt("download", *options, *packages, directory=directory)
    return list(directory.glob("*.deb"))


def install(packages: tuple[str, ...]) -> None:
    """Install packages, and what they depend on."""
    # A source that does not answer, of somebody else's packages perhaps, is no reason to give up.
    subprocess.run(["apt-get", "-qq", "update"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _apt("install", "--yes", "--no-install-recommends", *packages)


def _index_targets(distribution: Distribution) -> list[tuple[str, str, str]]:
    asked = ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"]
    rows = [line.split("|") for line in subprocess.check_output(asked, text=True).splitlines()]
    return [
        (codename, component, uri)
        for origin, codename, component, uri in rows
        if origin == _ORIGINS[distribution.name] and codename.split("-")[0] == distribution.codename
    ]


def _apt(command: str, *words: str, directory: Path | None = None) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["apt-get", "-qq", command, *words],
        cwd=directory,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("E:")]
        give_up(
            f"apt-get {command} failed: {' '.join(errors) or done.stdout.strip()}", "see that apt works here"
        )
