"""The lock of a host: one deployment at a time, and none that outlives its process."""

from __future__ import annotations

import fcntl
import os
import time

from netlab.deploy.there.problems import ProblemError, printable


def take_lock(path: str, who: str, wait_s: float) -> int:
    """Take a lock, and say in its file who has it; wait a little for one who is about to end.

    Args:
        path: of the lock's file; its directory is made.
        who: the person and machine, for others to see.
        wait_s: how long to wait.

    Returns:
        A descriptor: the lock is kept as long as it is open.

    Raises:
        ProblemError: another one has it.

    Source: flock(2): the lock goes with the last descriptor, so with this process.
    """
    deadline = time.monotonic() + wait_s
    while True:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # gone, if that was an undeploy
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same(descriptor, path):  # or it was removed with the deployment meanwhile
                break
        except OSError:
            if time.monotonic() > deadline:
                holder = os.read(descriptor, 256).decode("utf-8", "replace")
                raise ProblemError(f"another deployment is at work: {printable(holder)}") from None
            time.sleep(0.1)
        os.close(descriptor)
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{who}, process {os.getpid()}, since {since}".encode(), 0)
    except OSError:  # a full disk: what makes room there needs the lock, too
        pass
    return descriptor


def _is_same(descriptor: int, path: str) -> bool:
    """Whether a path still names the file that is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
