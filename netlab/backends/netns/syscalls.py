"""The system calls that Python 3.11 has no function for: mount, unshare, setns (3.12 has two)."""

from __future__ import annotations

import ctypes
import os

# <linux/sched.h>
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# <linux/mount.h>
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_BIND = 0x1000
MS_REC = 0x4000

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(kinds: int) -> None:
    """Put this process into new namespaces of those kinds (CLONE_NEW flags).

    Source: unshare(2).

    Raises:
        OSError: the kernel refused.
    """
    _check(_libc.unshare(kinds))


def setns(namespace_fd: int, kind: int) -> None:
    """Put this process into an existing namespace, which must be of that kind (a CLONE_NEW flag).

    Source: setns(2).

    Raises:
        OSError: the kernel refused.
    """
    _check(_libc.setns(namespace_fd, kind))


def end_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent ends.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))


def mount(source: str, target: str, filesystem: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`.

    Source: mount(2).

    Raises:
        OSError: the kernel refused; its filename is the target.
    """
    arguments = (os.fsencode(text) for text in (source, target, filesystem))
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(options)), target)


def _check(result: int, path: str | None = None) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
