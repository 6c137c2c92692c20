"""The service under test: a program, what it is given, and what it printed."""

from __future__ import annotations

import binascii
import os
import re
import signal
import time

from netlab.agent.directories import make_private_directory, make_unlinked_file, remove_tree, write_file
from netlab.agent.listeners import inodes_listening

OUTPUT_BYTES = 4096  # of the service: enough for why it did not start
STOP_PATIENCE_S = 0.5  # between SIGTERM and SIGKILL; an agent may itself be given a second to end


class Service:
    """The program under test: a process group, a private directory, and what it printed.

    Args:
        argv: the program and its arguments, in which `{data}` stands for the directory, and `{tools}` for one
            inside it; a backslash before any `{word}` is taken away, and that word stays.
        files: what to put there: name -> content, with the same to be filled in.
        tools: what to put into `{tools}`: name -> base64.

    Raises:
        OSError: the directory can't be made, or the program can't be started.
    """

    def __init__(self, argv: list[str], files: dict[str, str], tools: dict[str, str]) -> None:
        self._directory = make_private_directory()
        places = {"data": self._directory, "tools": os.path.join(self._directory, ".tools")}
        self._output = -1
        self._pid = 0
        try:
            self._output = make_unlinked_file(self._directory)
            for name, content in files.items():
                write_file(os.path.join(self._directory, name), filled(content, places).encode())
            os.mkdir(places["tools"], 0o700)
            for name, content in tools.items():
                write_file(os.path.join(places["tools"], name), binascii.a2b_base64(content))
            self._pid = self._spawn([filled(item, places) for item in argv])
        except BaseException:
            self.stop()
            raise

    def _spawn(self, argv: list[str]) -> int:
        return os.posix_spawnp(
            argv[0],
            argv,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, self._output, 1),
                (os.POSIX_SPAWN_DUP2, self._output, 2),
            ],
            setpgroup=0,
            # Python ignores SIGPIPE, and this agent SIGINT: the program is to find them as from a shell.
            setsigdef=[signal.SIGPIPE, signal.SIGINT],
        )

    def exit_code(self) -> int | None:
        """Return how it ended, a signal as a negative number; None while it runs.

        The process stays a zombie until `stop`, so that its group's number can't pass to another meanwhile.
        """
        ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def output(self) -> str:
        """Return the beginning of what it printed, to either stream."""
        return os.pread(self._output, OUTPUT_BYTES, 0).decode("utf-8", "replace")

    def stop(self) -> None:
        """End the process group, gently first, and remove the directory. Safe to repeat."""
        if self._pid:
            os.killpg(self._pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_PATIENCE_S
            while self.exit_code() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            os.killpg(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        remove_tree(self._directory)


def filled(item: str, places: dict[str, str]) -> str:
    r"""Return an argument, or a file's content, with the directories' paths in it, and `{x}` for `\{x}`."""

    def value(found: re.Match[str]) -> str:
        word = found[0].lstrip("\\")
        return word if found[1] else places.get(word[1:-1], word)

    return re.sub(r"(\\?)\{[A-Za-z][\w.-]*\}", value, item)


def wait_listening(
    service: Service, port: int, protocol: str, before: frozenset[int], timeout_s: float
) -> bool:
    """Wait until the service listens on a port where those `before` did already, or has ended; return which.

    It listens when two looks in a row show the same new sockets: it may open several, one after the other.
    The pauses grow with the wait: many agents wait at once, and each look costs time that the services need
    to start.
    """
    started = time.monotonic()
    seen: frozenset[int] = frozenset()
    while True:
        ended = service.exit_code() is not None
        new = inodes_listening(port, protocol) - before
        waited_s = time.monotonic() - started
        if ended or waited_s > timeout_s:
            return bool(new)
        if new and new == seen:
            return True
        seen = new
        time.sleep(min(0.05, 0.005 + (0 if new else waited_s / 10)))
