"""A machine on which no lab can be: a program is run so that the kernel refuses it new namespaces.

A seccomp filter refuses unshare(2) with EPERM, as those of container engines do. All that the program starts
inherits it.
"""

from __future__ import annotations

import platform
import sys

import pytest

# Source: seccomp(2); struct sock_filter and the BPF_ constants are those of <linux/filter.h>.
_FILTER_AND_EXECUTE = """
import ctypes, os, struct, sys
BPF_LD_W_ABS, BPF_JMP_JEQ_K, BPF_RET_K = 0x20, 0x15, 0x06
ALLOW, REFUSE_EPERM = 0x7FFF0000, 0x00050001
program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
    (BPF_LD_W_ABS, 0, 0, 0),  # the system call's number
    (BPF_JMP_JEQ_K, 0, 1, int(sys.argv[1])),
    (BPF_RET_K, 0, 0, REFUSE_EPERM),
    (BPF_RET_K, 0, 0, ALLOW),
))
code = ctypes.create_string_buffer(program)
filter = struct.pack("HP", 4, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"""

_UNSHARE_NUMBER = {"x86_64": 272, "aarch64": 97, "riscv64": 97}  # <asm/unistd.h>

WHY = "a seccomp filter forbids new namespaces, as a container's default one does"
REMEDY = (
    "start the container with --privileged, or with --security-opt seccomp=unconfined, "
    "apparmor=unconfined and systempaths=unconfined"
)

only_where_the_number_is_known = pytest.mark.skipif(
    platform.machine() not in _UNSHARE_NUMBER, reason="the number of unshare(2) is not known here"
)


def without_namespaces(*command: str) -> list[str]:
    """Return a command that runs another one, which gets no namespaces."""
    return [sys.executable, "-c", _FILTER_AND_EXECUTE, str(_UNSHARE_NUMBER[platform.machine()]), *command]
