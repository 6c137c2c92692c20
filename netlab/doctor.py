"""Find out which backends work on this machine, and what to do about those that don't."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass

from netlab.errors import BackendUnavailableError, LabError
from netlab.model import Host, Topology


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What became of trying a backend.

    Attributes:
        backend: its name.
        works: whether a lab came up.
        detail: what it rests on (`Linux 6.18, user namespaces`), or why it doesn't work.
        remedy: the one thing to do where it doesn't; otherwise empty.
    """

    backend: str
    works: bool
    detail: str
    remedy: str = ""


def examine() -> tuple[Diagnosis, ...]:
    """Try each backend for real, with a lab of one host, and say what came of it."""
    return tuple(_examine(name, bring_up) for name, bring_up in _TRIALS.items())


def _examine(name: str, bring_up: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(name, True, bring_up())
    except BackendUnavailableError as error:
        return Diagnosis(name, False, error.why, error.remedy)
    except (LabError, TimeoutError) as error:
        return Diagnosis(name, False, str(error), "this looks like a fault of netlab's own: please report it")


def _bring_up_netns() -> str:
    """Bring up a host in namespaces, have it start a program, and say what the lab rests on."""
    from netlab.backends.netns import NetnsLab  # on use, like every backend

    with NetnsLab(Topology(networks=(), hosts=(Host("doctor", links=()),))) as lab:
        program = lab.spawn("doctor", [lab.python("doctor"), "-c", "print('well')"])
        if program.readline(_PROGRAM_WITHIN_S) != b"well\n":
            raise LabError(f"Python does not run on a host: {program.diagnostics()}")
        return f"Linux {_kernel()}, {lab.isolation}"


def _kernel() -> str:
    """Return the kernel's version, such as `6.18`."""
    return ".".join(platform.release().split("-")[0].split(".")[:2])


_PROGRAM_WITHIN_S = 10.0


def _start_sidecar() -> str:
    """Start a program in a container, as the agent is, and say which engine runs it."""
    from netlab.backends import load_attribute

    return str(load_attribute("compose", "netlab.backends.compose.trial:trial")())


# name -> brings up a lab of one host, and returns what it rests on; raises as a backend does.
_TRIALS: dict[str, Callable[[], str]] = {
    "netns": _bring_up_netns,
    "compose": _start_sidecar,
}
