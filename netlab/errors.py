"""What can go wrong for a user of netlab, and with which exit code each kind ends the command."""

from __future__ import annotations

import enum

from netlab.printable import printable


class ExitCode(enum.IntEnum):
    """How `netlab` ends."""

    OK = 0
    DISAGREES = 1
    USAGE = 2
    NOT_MEASURED = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class NetlabError(Exception):
    """Something to tell the user in one line: what, where, and what to do."""

    exit_code: ExitCode = ExitCode.USAGE


class FileError(NetlabError):
    """A file that somebody wrote says something that netlab can't follow.

    Args:
        source: the file's name, as the user knows it.
        line: 1-based; 0 when the whole file is meant.
        key: the path to the key, such as `binds.localhost.adress`; empty when the whole file is meant.
        problem: what is wrong and what is allowed.
    """

    def __init__(self, source: str, line: int, key: str, problem: str) -> None:
        super().__init__(source, line, key, problem)
        self.source, self.line, self.key, self.problem = source, line, key, problem

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return printable(f"{place}: {self.key}: {self.problem}" if self.key else f"{place}: {self.problem}")


class ExperimentError(FileError):
    """An experiment's file is wrong."""


class InventoryError(FileError):
    """An inventory, or an OpenSSH client configuration that applies to it, is wrong."""


class BackendUnavailableError(NetlabError):
    """This machine can't bring up a lab of that kind.

    Args:
        backend: its name.
        why: the obstacle: what was tried, and what forbade it.
        remedy: the one thing to do about it.
    """

    exit_code = ExitCode.UNAVAILABLE

    def __init__(self, backend: str, why: str, remedy: str) -> None:
        super().__init__(backend, why, remedy)
        self.backend, self.why, self.remedy = backend, why, remedy

    def __str__(self) -> str:
        return f"backend {self.backend} is not available: {self.why}; {self.remedy}"


class LabError(NetlabError):
    """The lab came up and then something in it failed."""

    exit_code = ExitCode.NOT_MEASURED


class AgentError(LabError):
    """The agent on a host did not answer, or answered something else than it was asked for.

    Args:
        host: the host concerned.
        problem: what went wrong there.
    """

    def __init__(self, host: str, problem: str) -> None:
        super().__init__(host, problem)
        self.host, self.problem = host, problem

    def __str__(self) -> str:
        return f"agent on {self.host}: {self.problem}"
