"""Run a command where it can write no file and where every process that it leaves is seen.

    unshare --mount --pid --fork --mount-proc python -m tests.services.sealed COMMAND ...

Whoever calls has a mount and a PID namespace to themselves. Every file system becomes read-only, but for the
kernel's own. Standard output gets JSON.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from netlab.backends.netns.syscalls import MS_BIND, MS_NODEV, MS_NOSUID, mount

# <linux/mount.h>
MS_RDONLY, MS_REMOUNT = 0x1, 0x20
_FLAGS = {
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": 0x8,
    "noatime": 0x400,
    "nodiratime": 0x800,
    "relatime": 0x200000,
}
# The kernel's: they keep no file. What is mounted below /dev may (/dev/shm).
_KEPT = ("/proc", "/sys", "/dev")
# Where programs write what they leave.
_WRITTEN = ("/etc", "/run", "/tmp", "/var/lib", "/var/log", "/var/tmp", "/dev/shm")


def main() -> None:
    """Seal the machine, run the command, and write what came of it."""
    seal()
    # Not pipes: they end with the last process that has them, and whoever waits for that finds none left.
    out, err = (os.memfd_create(name) for name in ("stdout", "stderr"))
    code = subprocess.run(sys.argv[1:], stdout=out, stderr=err, check=False).returncode
    json.dump({"code": code, "stdout": _text(out), "stderr": _text(err), "left": left()}, sys.stdout)


def seal() -> None:
    """Make every file system read-only, and see to it that it is."""
    for target, flags in list(mounts()):
        if not _is_kept(target):
            mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
    for directory in filter(os.path.isdir, _WRITTEN):
        try:
            descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY)
        except OSError as error:
            assert error.errno == errno.EROFS, error
        else:
            os.close(descriptor)
            raise AssertionError(f"{directory} can be written to")


def mounts() -> Iterator[tuple[str, int]]:
    """Yield where something is mounted, and its flags, which nobody but who mounted it may take away.

    Source: proc_pid_mountinfo(5); mount_namespaces(7).
    """
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        _, _, _, _, target, options, *_ = line.split(" ")
        flags = sum(_FLAGS.get(option, 0) for option in options.split(","))
        yield target.encode().decode("unicode_escape"), flags


def left() -> list[str]:
    """Return the commands of the processes that still run, but for this one, the first of its namespace."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:  # what they leave to the first one when they end
            pass
    others = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and entry.name != "1"]
    return [
        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") for entry in others
    ]


def _is_kept(target: str) -> bool:
    return target in _KEPT or target.startswith(("/proc/", "/sys/"))


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 24, 0).decode()


if __name__ == "__main__":
    main()
