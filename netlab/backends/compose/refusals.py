"""What Compose and the engine say when a project does not come up, in one line with what to do about it.

Tested on what they really say, from several versions: tests/data/compose/refusals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# What is said before the reason, and says nothing.
_PREFIXES = re.compile(
    r"^(Error response from daemon: |Error starting userland proxy: |failed to create network \S+: "
    r"|dependency failed to start: |failed to set up container networking: "
    r"|driver failed programming external connectivity on endpoint \S+ \([0-9a-f]+\): )"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a project did not come up.

    Attributes:
        reason: what was said, without what says nothing.
        remedy: what to do; empty where that is not known.
        elsewhere: whether it may come up with other addresses and ports.
        container: the one whose last lines tell more; empty where there is none.
    """

    reason: str
    remedy: str = ""
    elsewhere: bool = False
    container: str = ""

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


def explain(said: str) -> Refusal:
    """Say what Compose's standard error means: its last line is the reason."""
    reason = last_line(said)
    for pattern, make in _KNOWN:
        if found := re.search(pattern, reason):
            return make(reason, found)
    return Refusal(reason)


def last_line(said: str) -> str:
    """Return the last line that says something, without the prefixes that don't."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reason = lines[-1] if lines else "it said nothing"
    while (shorter := _PREFIXES.sub("", reason)) != reason:
        reason = shorter
    return "".join(c if c.isprintable() else "?" for c in reason)


def _no_image(reason: str, found: re.Match[str]) -> Refusal:
    name = found[1] or found[2]
    ours = name.split(":")[0] in ("hftp-server", "hftp-client")
    remedy = "make it with 'make images'" if ours else f"pull or build it first: 'docker pull {name}'"
    return Refusal(f"there is no image {name}", remedy)


_Maker = Callable[[str, "re.Match[str]"], Refusal]

_KNOWN: tuple[tuple[str, _Maker], ...] = (
    (r"No such image: (\S+)|pull access denied for ([^\s,]+)", _no_image),
    (
        r"[Pp]ool overlaps",
        lambda _, __: Refusal(
            "its addresses overlap those of another network",
            "'netlab ls' and 'docker network ls' tell whose",
            elsewhere=True,
        ),
    ),
    (
        r"port is already allocated",
        lambda reason, _: Refusal(reason, "another container publishes it: see 'docker ps'", elsewhere=True),
    ),
    (
        r"address already in use",
        lambda reason, _: Refusal(reason, "another program listens there: see 'ss -tlnp'", elsewhere=True),
    ),
    (
        r"container (\S+) (is unhealthy|exited \(\d+\))",
        lambda reason, found: Refusal(reason, container=found[1]),
    ),
    (
        r"Cannot connect to the Docker daemon|error during connect|connection refused|broken pipe|EOF$",
        lambda reason, _: Refusal(
            reason, "the engine is gone: when it is back, 'netlab down' removes what is left"
        ),
    ),
)
