"""From what a machine says about namespaces to what is in the way: a table."""

from __future__ import annotations

import errno
import os

import pytest

from netlab.backends.netns.obstacles import (
    APPARMOR,
    CLONE,
    Refusal,
    Step,
    Surroundings,
    explain,
    read_surroundings,
    refusal_of_unshare,
)

EPERM = refusal_of_unshare("unshare: unshare failed: Operation not permitted")
UID_MAP = refusal_of_unshare("unshare: write failed /proc/self/uid_map: Operation not permitted")
ENOSPC = refusal_of_unshare("unshare: unshare failed: No space left on device")
EINVAL = refusal_of_unshare("unshare: unshare failed: Invalid argument")
ALL = frozenset({"mnt", "net", "pid", "user", "uts"})


@pytest.mark.parametrize(
    ("refusal", "surroundings", "why", "remedy"),
    [
        (
            Refusal(Step.PROGRAM, errno.ENOENT, "no unshare"),
            Surroundings(),
            "there is no program `unshare`",
            "install util-linux",
        ),
        (
            UID_MAP,
            Surroundings(switches={APPARMOR: 1}),
            f"AppArmor restricts user namespaces ({APPARMOR} is 1)",
            f"allow them: sudo sysctl {APPARMOR}=0 (or give `unshare` an AppArmor profile",
        ),
        (
            Refusal(Step.FILES, errno.EACCES, "host a: files: Permission denied"),
            Surroundings(switches={APPARMOR: 1}),
            "AppArmor restricts user namespaces",
            "allow them: sudo sysctl",
        ),
        (
            EPERM,
            Surroundings(switches={CLONE: 0}),
            f"{CLONE} is 0: only root may make user namespaces",
            f"allow it: sudo sysctl {CLONE}=1",
        ),
        (
            ENOSPC,
            Surroundings(limits={"user.max_user_namespaces": 0, "user.max_net_namespaces": 100}),
            "user.max_user_namespaces is 0 here",
            "raise it: sudo sysctl user.max_user_namespaces=15000",
        ),
        (
            Refusal(Step.NAMESPACES, errno.ENOSPC, "host h9: namespaces: No space left on device"),
            Surroundings(limits={"user.max_net_namespaces": 8}),
            "there are as many namespaces as the user.max_*_namespaces sysctls allow (host h9",
            "raise them: sudo sysctl user.max_net_namespaces=15000",
        ),
        (
            EPERM,
            Surroundings(euid=0, filtered=True, switches={APPARMOR: 1}),
            "a seccomp filter forbids new namespaces",
            "start the container with --privileged",
        ),
        (
            EINVAL,
            Surroundings(kinds=ALL - {"user"}),
            "this kernel has no user namespaces",
            "use a kernel built with CONFIG_USER_NS",
        ),
        (
            EINVAL,
            Surroundings(kinds=ALL - {"net"}),
            "this kernel has no net namespaces",
            "use a kernel built with CONFIG_NET_NS",
        ),
        (
            Refusal(Step.IPV6, 0, "this kernel has no IPv6, which the lab's networks use"),
            Surroundings(),
            "this kernel has no IPv6",
            "start the kernel without ipv6.disable=1",
        ),
        (
            Refusal(Step.PARAMETERS, errno.EROFS, "host a: kernel parameters: Read-only file system"),
            Surroundings(euid=0),
            "/proc/sys is read-only here",
            "start the container with --privileged",
        ),
        (
            Refusal(Step.FILES, errno.EACCES, "host a: files: Permission denied (/etc/hosts)"),
            Surroundings(euid=0),
            "a security policy forbids mounts",
            "start the container with --privileged",
        ),
        (
            Refusal(Step.LINKS, errno.EOPNOTSUPP, "network lan: Operation not supported"),
            Surroundings(),
            "this kernel has no bridges or no veth pairs (network lan",
            "sudo modprobe -a bridge veth",
        ),
        (
            EPERM,
            Surroundings(),
            "the kernel refuses new namespaces for this user (unshare: unshare failed: ",
            "run netlab as root on the machine itself",
        ),
        (
            EPERM,
            Surroundings(euid=0),
            "the kernel refuses new namespaces even for root",
            "run netlab as root on the machine itself",
        ),
    ],
)
def test_a_refusal_is_explained_by_what_the_machine_says(
    refusal: Refusal, surroundings: Surroundings, why: str, remedy: str
) -> None:
    obstacle = explain(refusal, surroundings)
    assert obstacle is not None
    assert obstacle.why.startswith(why)
    assert obstacle.remedy.startswith(remedy)


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(
            Step.ADDRESSES,
            errno.ENETUNREACH,
            "host a: route via 198.18.1.1: Network is unreachable",
        ),
        Refusal(Step.LINKS, errno.ERANGE, "host a: a-name-too-long- on lan: Numerical result out of range"),
        Refusal(Step.START, 0, "MemoryError"),
    ],
)
def test_a_machine_that_is_not_to_blame_is_not_blamed(refusal: Refusal) -> None:
    assert explain(refusal, Surroundings(euid=0, filtered=True, switches={APPARMOR: 1, CLONE: 0})) is None


@pytest.mark.parametrize(
    ("said", "step", "code"),
    [
        ("unshare: unshare failed: Operation not permitted", Step.UNSHARE, errno.EPERM),
        ("unshare: cannot change root filesystem propagation: Permission denied", Step.UNSHARE, errno.EACCES),
        ("unshare: unrecognized option '--kill-child'", Step.UNSHARE, 0),
        ("ModuleNotFoundError: No module named 'pyroute2'", Step.START, 0),
        ("", Step.START, 0),
    ],
)
def test_the_last_words_of_unshare_are_understood(said: str, step: Step, code: int) -> None:
    refusal = refusal_of_unshare(said)
    assert (refusal.step, refusal.code) == (step, code)
    assert refusal.said


def test_the_machine_is_asked_what_it_says_about_namespaces() -> None:
    surroundings = read_surroundings()
    assert surroundings.euid == os.geteuid()
    assert "mnt" in surroundings.kinds
    assert all(name.startswith("user.max_") for name in surroundings.limits)
