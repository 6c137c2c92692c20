"""How one server attends several clients: each strategy is a module, imported when it is chosen.

All of them drive the same server (``hftp.serving``) and the same peers (``hftp.peer``); each file shows
what it alone changes.
"""

from __future__ import annotations

import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hftp.strategies.strategy import Strategy

# Name: class. The module has the name of the strategy.
_CLASSES = {
    "sequential": "Sequential",
    "threads": "Threads",
    "processes": "Processes",
    "poll": "Poll",
    "epoll": "Epoll",
    "asyncio": "Asyncio",
}

NAMES = tuple(_CLASSES)

# The best that this system has.
DEFAULT = "epoll" if hasattr(select, "epoll") else "poll"


def make(name: str) -> Strategy:
    """Make a strategy.

    Args:
        name: One of ``NAMES``.

    Returns:
        A new one, for one server.
    """
    module = __import__(f"hftp.strategies.{name}", fromlist=[_CLASSES[name]])
    strategy: Strategy = getattr(module, _CLASSES[name])()
    return strategy
