"""Why a machine can't bring up a lab of namespaces, and what to do about it.

Theory of operation

A `Refusal` is what went wrong, `Surroundings` are what the machine says about namespaces: both are plain
values. The first rule of `_RULES` that matches them words the `Obstacle`. No rule matches where it is the
topology that the kernel refused, not the lab as such.

Sources: user_namespaces(7), namespaces(7), seccomp(2); Ubuntu's and Debian's notes on their sysctls.
"""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


class Step(enum.Enum):
    """Where bringing up a lab can fail."""

    PROGRAM = enum.auto()  # finding unshare
    UNSHARE = enum.auto()  # the lab's own namespaces
    START = enum.auto()  # the lab init's Python
    IPV6 = enum.auto()  # the kernel has none
    NAMESPACES = enum.auto()  # a host's namespaces
    FILES = enum.auto()  # a host's mounts
    PARAMETERS = enum.auto()  # a host's sysctls
    LINKS = enum.auto()  # bridges and veth pairs
    ADDRESSES = enum.auto()  # addresses and routes


@dataclass(frozen=True, slots=True)
class Refusal:
    """What went wrong.

    Attributes:
        step: in which step.
        code: the errno; 0 if unknown.
        said: what was being done and what came of it, for people.
    """

    step: Step
    code: int
    said: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the machine says about namespaces.

    Attributes:
        euid: who we are.
        filtered: whether a seccomp filter watches our system calls.
        kinds: of namespace that the kernel has: names in /proc/self/ns.
        switches: those of the sysctls `kernel.*` that exist: name to value.
        limits: user.max_*_namespaces: name to value.
    """

    euid: int = 1000
    filtered: bool = False
    kinds: frozenset[str] = frozenset({"mnt", "net", "pid", "user", "uts"})
    switches: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why not, and the one thing to do."""

    why: str
    remedy: str


CLONE = "kernel.unprivileged_userns_clone"  # Debian
APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"  # Ubuntu, since 23.10
_FORBIDDEN = frozenset({errno.EPERM, errno.EACCES})
_ENOUGH_NAMESPACES = 15000
# A container's defaults stand in the way three times: told one by one, they'd send the user round thrice.
_FREE_CONTAINER = (
    "start the container with --privileged, or with --security-opt "
    "seccomp=unconfined, apparmor=unconfined and systempaths=unconfined"
)


def explain(refusal: Refusal, surroundings: Surroundings) -> Obstacle | None:
    """Say which obstacle a refusal comes from; None if the machine is not to blame."""
    return next((found for rule in _RULES if (found := rule(refusal, surroundings))), None)


def refusal_of_unshare(said: str) -> Refusal:
    """Read what `unshare`, or the Python that it started, wrote last on standard error."""
    if not said.startswith("unshare:"):
        return Refusal(Step.START, 0, said or "it ended without a word")
    codes = (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EINVAL, errno.ENOSYS, errno.EUSERS)
    return Refusal(Step.UNSHARE, next((code for code in codes if said.endswith(os.strerror(code))), 0), said)


def read_surroundings() -> Surroundings:
    """Read what this machine says about namespaces."""
    limits = {f"user.{path.name}": _number(path) for path in Path("/proc/sys/user").glob("max_*_namespaces")}
    switches = {name: _number(Path("/proc/sys", name.replace(".", "/"))) for name in (CLONE, APPARMOR)}
    with suppress(OSError):
        return Surroundings(
            euid=os.geteuid(),
            filtered="\nSeccomp:\t2\n" in Path("/proc/self/status").read_text(),
            kinds=frozenset(path.name for path in Path("/proc/self/ns").iterdir()),
            switches={name: value for name, value in switches.items() if value is not None},
            limits={name: value for name, value in limits.items() if value is not None},
        )
    return Surroundings(euid=os.geteuid())


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


# --- The rules, the surest first -------------------------------------------------------------------------


def _no_program(refusal: Refusal, _: Surroundings) -> Obstacle | None:
    if refusal.step is not Step.PROGRAM:
        return None
    return Obstacle(
        "there is no program `unshare`", "install util-linux (apk add util-linux, apt install util-linux)"
    )


def _no_ipv6(refusal: Refusal, _: Surroundings) -> Obstacle | None:
    if refusal.step is not Step.IPV6:
        return None
    return Obstacle(
        refusal.said, "start the kernel without ipv6.disable=1, or load the module: sudo modprobe ipv6"
    )


def _not_built_in(refusal: Refusal, surroundings: Surroundings) -> Obstacle | None:
    missing = [kind for kind in ("user", "net", "pid", "mnt", "uts") if kind not in surroundings.kinds]
    if refusal.step is not Step.UNSHARE or not missing:
        return None
    option = {"mnt": "NAMESPACES"}.get(missing[0], f"{missing[0].upper()}_NS")
    return Obstacle(
        f"this kernel has no {missing[0]} namespaces",
        f"use a kernel built with CONFIG_{option}, as the distributions' are",
    )


def _limit_reached(refusal: Refusal, surroundings: Surroundings) -> Obstacle | None:
    if refusal.step not in {Step.UNSHARE, Step.NAMESPACES} or refusal.code not in {
        errno.ENOSPC,
        errno.EUSERS,
    }:
        return None
    zero = [name for name in sorted(surroundings.limits) if surroundings.limits[name] == 0]
    if zero:
        return Obstacle(f"{zero[0]} is 0 here", f"raise it: sudo sysctl {zero[0]}={_ENOUGH_NAMESPACES}")
    return Obstacle(
        f"there are as many namespaces as the user.max_*_namespaces sysctls allow ({refusal.said})",
        f"raise them: sudo sysctl user.max_net_namespaces={_ENOUGH_NAMESPACES} (`sysctl user` lists all)",
    )


def _switched_off(refusal: Refusal, surroundings: Surroundings) -> Obstacle | None:
    off = surroundings.switches.get(CLONE) == 0
    if (
        refusal.step is not Step.UNSHARE
        or refusal.code not in _FORBIDDEN
        or surroundings.euid == 0
        or not off
    ):
        return None
    return Obstacle(f"{CLONE} is 0: only root may make user namespaces", f"allow it: sudo sysctl {CLONE}=1")


def _seccomp(refusal: Refusal, surroundings: Surroundings) -> Obstacle | None:
    refused = refusal.code in _FORBIDDEN | {errno.ENOSYS}
    if refusal.step not in {Step.UNSHARE, Step.NAMESPACES} or not refused or not surroundings.filtered:
        return None
    return Obstacle(
        "a seccomp filter forbids new namespaces, as a container's default one does",
        _FREE_CONTAINER,
    )


def _apparmor(refusal: Refusal, surroundings: Surroundings) -> Obstacle | None:
    restricts = surroundings.switches.get(APPARMOR) == 1
    if refusal.code not in _FORBIDDEN or surroundings.euid == 0 or not restricts:
        return None
    return Obstacle(
        f"AppArmor restricts user namespaces ({APPARMOR} is 1)",
        f"allow them: sudo sysctl {APPARMOR}=0 (or give `unshare` an AppArmor profile with `userns,`)",
    )


def _read_only_parameters(refusal: Refusal, _: Surroundings) -> Obstacle | None:
    if refusal.step is not Step.PARAMETERS or refusal.code not in _FORBIDDEN | {errno.EROFS}:
        return None
    return Obstacle(
        f"/proc/sys is read-only here ({refusal.said})",
        _FREE_CONTAINER,
    )


def _no_mounts(refusal: Refusal, _: Surroundings) -> Obstacle | None:
    if refusal.step is not Step.FILES or refusal.code not in _FORBIDDEN:
        return None
    return Obstacle(
        f"a security policy forbids mounts, even in a namespace of our own ({refusal.said})",
        _FREE_CONTAINER,
    )


def _no_such_links(refusal: Refusal, _: Surroundings) -> Obstacle | None:
    if refusal.step is not Step.LINKS or refusal.code != errno.EOPNOTSUPP:
        return None
    return Obstacle(
        f"this kernel has no bridges or no veth pairs ({refusal.said})", "sudo modprobe -a bridge veth"
    )


def _forbidden_somehow(refusal: Refusal, surroundings: Surroundings) -> Obstacle | None:
    if refusal.step is not Step.UNSHARE:
        return None
    who = "even for root" if surroundings.euid == 0 else "for this user"
    return Obstacle(
        f"the kernel refuses new namespaces {who} ({refusal.said})",
        "run netlab as root on the machine itself, or its container with --privileged",
    )


_RULES: tuple[Callable[[Refusal, Surroundings], Obstacle | None], ...] = (
    _no_program,
    _no_ipv6,
    _not_built_in,
    _limit_reached,
    _switched_off,
    _seccomp,
    _apparmor,
    _read_only_parameters,
    _no_mounts,
    _no_such_links,
    _forbidden_somehow,
)
