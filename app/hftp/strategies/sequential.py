"""One client after the other: the server of the first lesson.

The next client waits in the system's queue until this one leaves, however long it is silent. It is the
loop of ``poll`` with room for one: while there is a client, no listening socket is watched.
"""

from __future__ import annotations

from hftp.strategies.poll import Poll


class Sequential(Poll):
    """Attends one client at a time."""

    most_clients = 1
