"""Hosts of which the same is to be said, named together: `lab[01:40]`, as inventories write it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

# So many are named one by one.
FEW = 4
_NUMBERED = re.compile(r"(.*?)([0-9]+)")


def listed(items: Iterable[str]) -> str:
    """Return items as in `one, two and three`."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def number_of(count: int, word: str) -> str:
    """Return how many there are: `1 cell`, `2 cells`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def named(hosts: Collection[str]) -> str:
    """Return hosts as in `lab[01:39], guest and controller`."""
    return listed(_runs(hosts) if len(hosts) > FEW else hosts)


def among(hosts: Collection[str], others: Collection[str]) -> str:
    """Return hosts by whom they leave out, where that is shorter.

    Args:
        hosts: at least one.
        others: these and those that they are among: all but the host that is talked about.
    """
    left_out = [host for host in others if host not in hosts]
    if len(hosts) <= max(FEW, len(left_out)):
        return named(hosts)
    return "everywhere else" + (f" but {named(left_out)}" if left_out else "")


def counted(hosts: Collection[str]) -> str:
    """Return hosts and how many they are: `lab[01:40] (40 hosts)`."""
    return f"{named(hosts)} ({len(hosts)} hosts)" if len(hosts) > FEW else named(hosts)


def _runs(hosts: Iterable[str]) -> list[str]:
    """Write names that are numbered one after the other as a range."""
    runs: list[list[str]] = []
    for host in hosts:
        if runs and host == _next(runs[-1][-1]):
            runs[-1].append(host)
        else:
            runs.append([host])
    return [text for run in runs for text in (run if len(run) < 3 else [_range(run)])]


def _next(host: str) -> str | None:
    numbered = _NUMBERED.fullmatch(host)
    if numbered is None:
        return None
    base, number = numbered.groups()
    return f"{base}{int(number) + 1:0{len(number)}}"


def _range(run: Sequence[str]) -> str:
    first, last = (_NUMBERED.fullmatch(host) for host in (run[0], run[-1]))
    assert first is not None
    assert last is not None
    return f"{first[1]}[{first[2]}:{last[2]}]"
