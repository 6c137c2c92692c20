"""Ctrl-C, and being told to end, wait until what must not be cut short is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred() -> Iterator[None]:
    """Run the block to its end, then let take effect what came meanwhile.

    In other threads than the main one nothing is deferred: Python runs no signal's handler there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    mine = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    for number in mine:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in mine.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
