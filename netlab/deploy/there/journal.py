"""The journal of a host: a line for each change, and who made it."""

from __future__ import annotations

import time

from netlab.deploy.there.problems import printable


class Journal:
    """The file in which changes are written down.

    Args:
        path: the file's.

    Attributes:
        who: makes the changes.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.who = "?"

    def write(self, what: str, name: str, detail: str) -> None:
        """Add a line; a full disk must not keep a host from going back.

        Args:
            what: was done: `deployed`.
            name: the release's; empty for none.
            detail: what else there is to say.
        """
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = printable(f"{when} {self.who} {what} {name[:12] or 'nothing'} {detail}") + "\n"
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(line)
        except OSError:
            pass
