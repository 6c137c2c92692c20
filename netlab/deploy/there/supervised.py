"""The service where no systemd is: our own supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial

from netlab.deploy.there.cron import CRON_MARK, read_crontab, reboot_line, write_crontab
from netlab.deploy.there.files import PIECE_BYTES, remove
from netlab.deploy.there.kernel import argv_of, end, is_gone, is_neighbour, lock_holder, processes, wait_until
from netlab.deploy.there.releases import PROGRAM, SUPERVISOR
from netlab.deploy.there.service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


# Longer than the supervisor gives the server.
STOP_S = 12.0


class Supervised(Service):
    """The service where no systemd is: our own supervisor, in the background.

    Args:
        store: the releases.
    """

    method = "supervised"

    def _supervisor(self) -> int:
        return lock_holder(self._store.path("run", "supervisor.lock"))

    def pid(self) -> int:
        """Return the server's process; 0 if none runs."""
        if not self._supervisor():
            return 0
        return self._state().get("pid") or 0

    def _state(self) -> Json:
        try:
            with open(self._store.path("run", "state.json"), encoding="utf-8") as file:
                state: Json = json.load(file)
        except (OSError, ValueError):
            return {}
        return state

    def since(self) -> float:
        """Return when the server was started, in seconds since the epoch; 0 if none runs."""
        return float(self._state().get("since") or 0) if self._supervisor() else 0.0

    def restarts(self) -> int:
        """Return how often it ended by itself, since it was deployed or the host started."""
        return int(self._state().get("restarts") or 0) if self._supervisor() else 0

    def ended(self) -> str:
        """Return how it ended last."""
        return str(self._state().get("ended") or "")

    def start(self) -> None:
        """Start the current release."""
        remove(self._store.path("run", "state.json"))
        script = self._store.path("current", SUPERVISOR)
        devnull = subprocess.DEVNULL
        # Its own session: it is to outlive this one. It gets none of our descriptors, so not the lock.
        subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.realpath(script), "supervise", self._store.base],
            stdin=devnull,
            stdout=devnull,
            stderr=devnull,
            cwd="/",
            start_new_session=True,
        )

    def stop(self) -> None:
        """End the supervisor and its server, and a server whose supervisor was killed."""
        pid = self._supervisor()
        if pid:
            end(pid, signal.SIGTERM)
            if not wait_until(lambda: self._supervisor() != pid, STOP_S):
                end(pid, signal.SIGKILL)
        for pid in self._orphans():
            end(pid, signal.SIGTERM)
            if not wait_until(partial(is_gone, pid), STOP_S):
                end(pid, signal.SIGKILL)
                wait_until(partial(is_gone, pid), 1.0)
        remove(self._store.path("run", "state.json"))

    def pids(self) -> set[int]:
        """Return the server, and servers whose supervisor was killed."""
        return super().pids() | set(self._orphans())

    def _orphans(self) -> list[int]:
        ours = self._store.path("releases") + os.sep
        return [
            pid
            for pid in processes()
            if any(word.startswith(ours) and word.endswith(PROGRAM) for word in argv_of(pid)[:4])
            and is_neighbour(pid)
        ]

    def enable(self) -> str:
        """Have it started when the host starts; return why that is not possible."""
        line = reboot_line(sys.executable, self._store.path("current", SUPERVISOR), self._store.base)
        table = read_crontab()
        if table is None:
            return "it will not start with the host: this account has neither a systemd unit nor cron"
        kept = [other for other in table if not other.endswith(CRON_MARK)]
        if [*kept, line] != table:
            return write_crontab([*kept, line])
        return ""

    def disable(self) -> None:
        """Take that back."""
        table = read_crontab() or []
        kept = [line for line in table if not line.endswith(CRON_MARK)]
        if kept != table:
            write_crontab(kept)

    def log(self, lines: int, cursor: str) -> Json:
        """Return the last lines of the log, or what came after a cursor."""
        path = self._store.path("log", "server.log")
        if not cursor:
            return self._log_tail(path, lines)
        inode, _, offset = cursor.partition(":")
        pieces = []
        for candidate in (path + ".1", path):
            try:
                with open(candidate, "rb") as file:
                    same = str(os.fstat(file.fileno()).st_ino) == inode
                    if candidate != path and not same:
                        continue
                    file.seek(int(offset) if same else 0)
                    pieces.append(file.read(PIECE_BYTES))
                    cursor = f"{os.fstat(file.fileno()).st_ino}:{file.tell()}"
            except FileNotFoundError:
                continue
        return {"text": b"".join(pieces).decode("utf-8", "replace"), "cursor": cursor}

    def _log_tail(self, path: str, lines: int) -> Json:
        content, cursor = b"", "0:0"
        for candidate in (path + ".1", path):
            try:
                with open(candidate, "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    file.seek(max(0, size - (1 << 20)))
                    content += file.read()
                    cursor = f"{os.fstat(file.fileno()).st_ino}:{file.tell()}"
            except FileNotFoundError:
                continue
        last = content.decode("utf-8", "replace").splitlines(True)[-lines:]
        return {"text": "".join(last), "cursor": cursor}
