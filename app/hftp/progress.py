"""A progress bar for a terminal."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import TextIO

# Often enough to look alive, seldom enough to cost nothing.
_REDRAW_SECONDS = 0.1


class Unit(NamedTuple):
    """What is counted.

    Attributes:
        name: Of the unit in which the speed is shown.
        factor: How many of what is counted are one of it.
    """

    name: str
    factor: float


BYTES = Unit("MB", 1e6)
FILES = Unit("files", 1.0)


class ProgressBar:
    """Draws one line, again and again. Draws nothing where the stream is no terminal.

    Args:
        stream: Usually standard error.
        name: What is being fetched.
        unit: Of the numbers that it is told.
    """

    def __init__(self, stream: TextIO, name: str, unit: Unit = BYTES) -> None:
        self._unit = unit
        self._stream = stream
        self._name = name
        self._visible = stream.isatty()
        self._began_at: float | None = None
        self._began_with = 0  # bytes that were there already
        self._drawn_at = 0.0

    def __call__(self, done: int, size: int) -> None:
        """Show how far it is.

        Args:
            done: Bytes that are there.
            size: Bytes that there will be.
        """
        now = time.monotonic()
        if self._began_at is None:
            self._began_at, self._began_with = now, done
        if self._visible and (now - self._drawn_at >= _REDRAW_SECONDS or done == size):
            self._drawn_at = now
            width = shutil.get_terminal_size().columns - 1
            fetched, seconds = done - self._began_with, now - self._began_at
            line = bar_line(self._name, done, size, fetched, seconds, width, self._unit)
            self._stream.write(f"\r{line}")
            self._stream.flush()

    def end(self) -> None:
        """Leave the line as it is, and go to the next."""
        if self._visible and self._drawn_at:
            self._stream.write("\n")


def bar_line(
    name: str, done: int, size: int, fetched: int, seconds: float, width: int, unit: Unit = BYTES
) -> str:
    """Write the line that a progress bar shows.

    Args:
        name: What is being fetched.
        done: Bytes that are there.
        size: Bytes that there will be.
        fetched: Bytes that came in ``seconds``.
        seconds: Since it began.
        width: Columns that it may take.
        unit: Of ``fetched``.

    Returns:
        ``name [=====>    ]  50% 12.3 MB/s``, exactly ``width`` long.
    """
    share = done / size if size else 1.0
    rate = fetched / seconds / unit.factor if seconds > 0 else 0.0
    figures = f" {share:4.0%} {rate:7.1f} {unit.name}/s"
    room = max(0, width - len(figures))
    label = name[: room // 2]
    inner = room - len(label) - 3  # a space and two brackets
    if inner < 4:
        return f"{label}{figures}"[:width].ljust(width)
    filled = int(share * inner)
    bar = ("=" * filled + (">" if filled < inner else "")).ljust(inner)
    return f"{label} [{bar}]{figures}"
