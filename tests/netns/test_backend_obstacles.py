"""Where a lab of namespaces can't be, netlab says what is in the way. The machines are made so here."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from netlab.doctor import examine
from netlab.model import Topology
from tests.netns.test_backend import bring_up, in_namespaces

EXAMINE = """
import json
from dataclasses import astuple
from netlab.doctor import examine
print(json.dumps([astuple(diagnosis) for diagnosis in examine()]))
"""

# Installs a seccomp filter that refuses unshare(2) with EPERM, as container engines do.
# Source: seccomp(2); struct sock_filter and the BPF_ constants are those of <linux/filter.h>.
FILTER_AND_EXAMINE = (
    """
import ctypes, struct, sys
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
"""
    + EXAMINE
)

UNSHARE_NUMBER = {"x86_64": 272, "aarch64": 97, "riscv64": 97}  # <asm/unistd.h>


@pytest.fixture(autouse=True)
def _works_here() -> None:
    """Need a machine that can have labs, to make one of it that can't."""
    with bring_up(Topology((), ())):
        pass


def test_the_doctor_finds_that_labs_come_up_here() -> None:
    (netns,) = [diagnosis for diagnosis in examine() if diagnosis.backend == "netns"]
    assert netns.works
    assert netns.detail.startswith(f"Linux {platform.release().split('.')[0]}.")
    assert netns.detail.endswith((", user namespaces", ", root"))
    assert netns.remedy == ""


@pytest.mark.parametrize(
    ("setup", "why", "remedy"),
    [
        (
            "for kind in user net; do echo 0 > /proc/sys/user/max_${kind}_namespaces; done",
            "user.max_net_namespaces is 0 here",
            "raise it: sudo sysctl user.max_net_namespaces=15000",
        ),
        (
            "echo 1 > /proc/sys/user/max_net_namespaces",
            "there are as many namespaces as the user.max_*_namespaces sysctls allow (host doctor",
            "raise them: sudo sysctl user.max_net_namespaces=15000",
        ),
        (
            "PATH=$PATH:/bin; mount --bind /dev/null $(readlink -f $(command -v unshare)); PATH=/bin",
            "there is no program `unshare`",
            "install util-linux",
        ),
        (
            "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys",
            "/proc/sys is read-only here",
            "start the container with --privileged",
        ),
    ],
    ids=["no namespaces allowed", "too few namespaces allowed", "no unshare", "read-only /proc/sys"],
)
def test_an_obstacle_is_named_with_the_one_thing_to_do(setup: str, why: str, remedy: str) -> None:
    backend, works, detail, to_do = json.loads(in_namespaces(f'{setup}; exec "$@"', EXAMINE))[0]
    assert (backend, works) == ("netns", False)
    assert detail.startswith(why)
    assert to_do.startswith(remedy)


def test_root_does_without_user_namespaces_where_they_are_not_allowed() -> None:
    setup = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    _, works, detail, _ = json.loads(in_namespaces(setup, EXAMINE))[0]
    assert works
    assert detail.endswith(", root")


@pytest.mark.skipif(
    platform.machine() not in UNSHARE_NUMBER, reason="the number of unshare(2) is not known here"
)
def test_a_seccomp_filter_is_named() -> None:
    run = subprocess.run(
        [sys.executable, "-c", FILTER_AND_EXAMINE, str(UNSHARE_NUMBER[platform.machine()])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(run.stdout)[0] == [
        "netns",
        False,
        "a seccomp filter forbids new namespaces, as a container's default one does",
        "start the container with --privileged, or with --security-opt seccomp=unconfined, "
        "apparmor=unconfined and systempaths=unconfined",
    ]
