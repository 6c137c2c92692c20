"""What the values of flags look like. Each function gives the value, or says in a line what is wrong."""

from __future__ import annotations

from argparse import ArgumentTypeError

# Over 11 days. poll(2) takes milliseconds as an int, so 2,147,483 s at most.
_MOST_SECONDS = 1_000_000


def port(text: str) -> int:
    """Read a port, 0 included."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def directory(text: str) -> str:
    """Read the path of a directory."""
    if not text:
        raise ArgumentTypeError("no directory is named; . is the current one")
    return text


def seconds(text: str) -> float:
    """Read a duration, 0 included, that the system can wait for."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST_SECONDS:
        raise ArgumentTypeError(f"seconds are a number from 0 to {_MOST_SECONDS}, not {text!r}")
    return value


def some_seconds(text: str) -> float:
    """Read a duration that leaves time."""
    value = seconds(text)
    if not value:
        raise ArgumentTypeError("0 seconds leave no time")
    return value


def count(text: str) -> int:
    """Read how many, at least one."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10**9):
        raise ArgumentTypeError(f"it is a number from 1, not {text!r}")
    return int(text)


def size(text: str) -> int:
    """Read a number of bytes, with K, M or G for powers of 1024."""
    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    try:
        return count(text if unit == 1 else text[:-1]) * unit
    except ArgumentTypeError as error:
        raise ArgumentTypeError(
            f"a size is a number of bytes, or one with K, M or G, not {text!r}"
        ) from error
