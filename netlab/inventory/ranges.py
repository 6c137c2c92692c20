"""Names that stand for several machines: `lab[01:40]`, `rack[a:f]`, `lab[01:40:2]`, as in Ansible."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Sequence

from netlab.inventory.names import shown

# Enough for a /20 network; more in one file is a slip in a range.
MOST_MACHINES = 4096

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_BOUNDS = re.compile(
    r"(?P<first>[0-9]{1,9}|[A-Za-z])?:(?P<last>[0-9]{1,9}|[A-Za-z])(?::(?P<step>[0-9]{1,9}))?"
)


def has_range(text: str) -> bool:
    """Say whether a name stands for several."""
    return "[" in text or "]" in text


def expand(text: str) -> tuple[str, ...]:
    """Return the names that a pattern stands for; the last range varies fastest.

    Raises:
        ValueError: a range can't be followed.
    """
    parts: list[Sequence[str]] = []
    end, total = 0, 1
    for found in _RANGE.finditer(text):
        parts += [[text[end : found.start()]], _values(found[1])]
        end, total = found.end(), total * len(parts[-1])
        if total > MOST_MACHINES:
            raise ValueError(f"{shown(text)} means more than {MOST_MACHINES} machines")
    if has_range(_RANGE.sub("", text)):
        raise ValueError(f"{shown(text)} has a bracket without its other")
    parts.append([text[end:]])
    return tuple(map("".join, itertools.product(*parts)))


def _values(bounds: str) -> Sequence[str]:
    found = _BOUNDS.fullmatch(bounds)
    if found is None:
        raise ValueError(
            f"{shown(f'[{bounds}]')} is no range: write [first:last] or [first:last:step], such as [01:40]"
        )
    first, last, step = found["first"] or "0", found["last"], int(found["step"] or 1)
    if first.isdigit() != last.isdigit():
        raise ValueError(f"[{bounds}] goes from a number to a letter")
    if step == 0:
        raise ValueError(f"[{bounds}] has a step of 0")
    if first.isdigit():
        return _numbers(bounds, first, last, step)
    letters = string.ascii_letters
    return _some(bounds, letters[letters.index(first) : letters.index(last) + 1 : step])


def _numbers(bounds: str, first: str, last: str, step: int) -> Sequence[str]:
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    if width and width != len(last):
        raise ValueError(f"[{bounds}] starts with {width} digits and ends with {len(last)}")
    numbers = range(int(first), int(last) + 1, step)
    if len(numbers) > MOST_MACHINES:
        raise ValueError(f"[{bounds}] means more than {MOST_MACHINES} machines")
    return _some(bounds, [str(number).zfill(width) for number in numbers])


def _some(bounds: str, values: Sequence[str]) -> Sequence[str]:
    if not values:
        raise ValueError(f"[{bounds}] is empty: its first is after its last")
    return values
