"""What a host's /etc says: its names are the topology's, and nothing of the machine's shows through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.backends.netns.syscalls import MS_BIND, MS_NODEV, MS_NOSUID, MS_REC, mount

if TYPE_CHECKING:
    from netlab.model import Host

ETC = Path("/etc")

# Where the machine's nscd listens, if it runs: glibc would ask it for names before it reads /etc/hosts.
_HIDDEN = ("/run/nscd", "/var/run/nscd")

# The same on every host.
_COMMON = {
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
    "gai.conf": "",  # the order of addresses is RFC 6724's, not the machine's
    "host.conf": "multi on\n",  # all of a name's addresses count, not the first only
}
NAMES = ("hosts", "hostname", *_COMMON)


def files(host: Host) -> dict[str, str]:
    """Return the files of the host's own in /etc: name to text.

    Source: hosts(5), nsswitch.conf(5), gai.conf(5), host.conf(5).
    """
    return {
        "hosts": "".join(f"{entry.address}\t{' '.join(entry.names)}\n" for entry in host.names),
        "hostname": f"{host.name}\n",
        **_COMMON,
    }


def complete(scratch: str) -> None:
    """See to it that each of `NAMES` is a file in /etc that can be mounted on.

    Where one is absent, or a link to nowhere (/etc/resolv.conf often is, in containers), the directory is
    replaced, in this process's mount namespace, by one with an empty file for it and else the same contents.

    Args:
        scratch: a directory to build it in.

    Raises:
        OSError: a mount was refused.
    """
    missing = [name for name in NAMES if not (ETC / name).is_file()]
    if not missing:
        return
    tmpfs(scratch)
    copy = Path(scratch, "etc")
    copy.mkdir()
    for entry in ETC.iterdir():
        if entry.name not in missing:
            _show(entry, copy / entry.name)
    for name in missing:
        (copy / name).touch()
    mount(str(copy), str(ETC), flags=MS_BIND | MS_REC)


def furnish(host: Host, scratch: str) -> None:
    """Give this process's mount namespace the host's files in /etc, and a `scratch` directory of its own.

    Args:
        host: whose files.
        scratch: where temporary files go; everything in it vanishes with the host.

    Raises:
        OSError: a mount was refused.
    """
    tmpfs(scratch)
    private = Path(scratch, ".etc")
    private.mkdir()
    for name, text in files(host).items():
        source = private / name
        source.write_text(text)
        mount(str(source), str(ETC / name), flags=MS_BIND)
    for directory in _HIDDEN:
        if Path(directory).is_dir():
            tmpfs(directory)


def tmpfs(target: str) -> None:
    """Cover a directory with an empty one in memory, which anyone may write to.

    Source: tmpfs, in filesystems(5).

    Raises:
        OSError: the mount was refused.
    """
    mount("netlab", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")


def _show(entry: Path, place: Path) -> None:
    """Make a file, directory or link appear at another place, too."""
    if entry.is_symlink():
        place.symlink_to(entry.readlink())
        return
    if entry.is_dir():
        place.mkdir()
    else:
        place.touch()
    mount(str(entry), str(place), flags=MS_BIND | MS_REC)
