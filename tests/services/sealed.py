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
    for target, options in list(mounts()):
        if not _is_kept(target):
            subprocess.run(["mount", "-o", f"remount,bind,ro,{options}", target], check=True)
    for directory in filter(os.path.isdir, _WRITTEN):
        try:
            descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY)
        except OSError as error:
            assert error.errno == errno.EROFS, error
        else:
            os.close(descriptor)
            raise AssertionError(f"{directory} can be written to")


def mounts() -> Iterator[tuple[str, str]]:
    """Yield where something is mounted, and its options but for `rw` and `ro`.

    Source: proc_pid_mountinfo(5).
    """
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        _, _, _, _, target, options, *_ = line.split(" ")
        others = [option for option in options.split(",") if option not in ("rw", "ro")]
        yield target.encode().decode("unicode_escape"), ",".join(others)


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
