"""Whether a release serves, as seen on the host itself."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time

from netlab.deploy.there.checks import ask
from netlab.deploy.there.kernel import listening_inodes, sockets_of
from netlab.deploy.there.problems import ProblemError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.deploy.there.releases import Store
    from netlab.deploy.there.service import Service

# How long a server may take to listen and answer, on a host that fifty others are busy beside.
HEALTHY_WITHIN_S = 15.0


def health(store: Store, service: Service, name: str) -> str:
    """Return what is wrong with a release that should run; empty if it serves.

    It must answer at every address, and the socket must be that of the process that runs this release.

    Args:
        store: where releases are kept.
        service: what runs it.
        name: the release's ID.
    """
    try:
        serve = store.manifest(name)["serve"]
    except (OSError, ValueError, KeyError):
        return "its files are damaged"
    pid = service.pid()
    if not pid:
        return f"it does not run ({service.ended() or 'it was never started'})"
    other = service.runs(pid, name)
    if other:
        return other
    if not sockets_of(pid) & listening_inodes(serve["port"]):
        return f"it does not listen on port {serve['port']}"
    for address in serve["addresses"]:
        problem = ask(address, serve["port"])
        if problem:
            return problem
    return ""


def try_out(service: Service, name: str) -> str:
    """Run a release beside the one that runs, on a free port of 127.0.0.1; return what is wrong with it."""
    out, devnull = subprocess.PIPE, subprocess.DEVNULL
    argv = service.trial(name)
    with subprocess.Popen(argv, stdin=devnull, stdout=out, stderr=subprocess.STDOUT, cwd="/") as server:
        assert server.stdout is not None
        try:
            said = read_announcement(server.stdout.fileno(), HEALTHY_WITHIN_S)
            port = re.search(r"listening on \S*:(\d+)", said)
            if not port:
                lines = [line.strip() for line in said.splitlines() if line.strip()]
                last = printable(lines[-1]) if lines else "it says nothing"
                return f"tried out beside the old one, it does not serve: {last}"
            problem = ask("127.0.0.1", int(port[1]))
            return f"tried out beside the old one: {problem}" if problem else ""
        finally:
            service.end_trial(name)
            server.kill()


def read_announcement(descriptor: int, patience_s: float) -> str:
    """Return what a server prints until it says where it listens, or ends, or patience does."""
    said = b""
    deadline = time.monotonic() + patience_s
    while b"listening on" not in said.rpartition(b"\n")[0]:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(descriptor, 4096) if readable else b""
        if not piece:
            break
        said += piece
    return said.decode("utf-8", "replace")


def with_last_words(service: Service, problem: str) -> str:
    """Add to a problem what the server printed last."""
    try:
        lines = service.log(20, "")["text"].splitlines()
    except (ProblemError, OSError):
        return problem
    said = [line.strip() for line in lines if " supervisor: " not in line and line.strip()]
    return f"{problem}; its last words: {printable(said[-1])}" if said else problem
