"""The start of a service: what an agent is told, how it went, and why it could not listen. Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from netlab.answers import read_answer

if TYPE_CHECKING:
    from netlab.backends import Program
    from netlab.experiments.plan import Service
    from netlab.model import Bind

# A file, beside those of the service, by which the right one is told from others.
NONCE_FILE = "netlab-nonce"


@dataclass(frozen=True, slots=True)
class ServiceStart:
    """How the start of a service went.

    Attributes:
        listening: whether it came to listen on its port in time.
        exit_code: how it ended, if it did.
        output: the beginning of what it printed.
        gone: whether it has ended, and nothing of it listens any more: what goes into the background ends,
            too, and listens on.
    """

    listening: bool
    exit_code: int | None
    output: str
    gone: bool = False

    @property
    def last_line(self) -> str:
        """The last thing that it said: programs give their reason before they end."""
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else "nothing"


def serve_request(
    service: Service, bind: Bind, program: Program, python: str, nonce: str, timeout_s: float
) -> dict[str, object]:
    """Return what an agent is asked, to start a service: the fields of a `serve` request.

    Args:
        service: what runs.
        bind: where it listens.
        program: what runs the HFTP program on its host.
        python: the host's interpreter.
        nonce: the run's.
        timeout_s: how long it may take until it listens, in seconds.
    """
    return {
        "argv": service.argv(bind, python, program.argv),
        "files": {**service.contents(bind, python, nonce), NONCE_FILE: nonce},
        "tools": {name: base64.b64encode(content).decode() for name, content in program.tools.items()},
        "port": service.port,
        "protocol": service.transport.protocol.value,
        "timeout_s": timeout_s,
    }


def read_service_start(host: str, answer: object) -> ServiceStart:
    """Turn the agent's answer to a `serve` request into a value.

    Args:
        host: whose agent it was, for the error.
        answer: the decoded JSON.

    Raises:
        AgentError: a field is missing or of another form.
    """
    return read_answer(ServiceStart, host, "serve", answer)


# What socket(2), setsockopt(2), bind(2) and listen(2) say about where to listen, as glibc and musl word it;
# most programs print one of these texts, and the others the errno's name.
_LISTEN_ERRORS = {
    "EADDRNOTAVAIL": ("cannot assign requested address", "address not available"),
    "EADDRINUSE": ("address already in use", "address in use"),
    "EACCES": ("permission denied",),
    "EPERM": ("operation not permitted",),
    "ENODEV": ("no such device",),
    "EAFNOSUPPORT": ("address family not supported",),
    "EPROTONOSUPPORT": ("protocol not supported",),
    "EINVAL": ("invalid argument",),
}
_LISTEN_ERROR = re.compile(
    "|".join(rf"\b(?P<{name}>{name}\b|{'|'.join(texts)})" for name, texts in _LISTEN_ERRORS.items()),
    re.IGNORECASE,
)


_ONLY_OF_SOCKETS = {"EADDRNOTAVAIL", "EADDRINUSE", "EAFNOSUPPORT"}
_ABOUT_LISTENING = re.compile(
    r"\b(bind|binding|bound|listen|listening|socket|port|address|device)\b", re.IGNORECASE
)
_CALL = re.compile(r"^ .*\.(bind|listen|setsockopt)\(")


def service_failure(output: str) -> str:
    """Find out from what a service printed why it could not listen.

    Args:
        output: what it printed before it ended.

    Returns:
        An errno's name, such as `EADDRINUSE`: the last one mentioned; empty if there is none. An errno that
        has other causes, too (a file that can't be read), counts only beside a word about listening: in its
        line, or in the statement above it, which a traceback shows.
    """
    lines = [line for line in output.splitlines() if line.strip(" ~^")]  # not what Python underlines with
    found = [
        match.lastgroup or ""
        for above, line in pairwise(["", *lines])
        for match in _LISTEN_ERROR.finditer(line)
        if match.lastgroup in _ONLY_OF_SOCKETS or _ABOUT_LISTENING.search(line) or _CALL.search(above)
    ]
    return found[-1] if found else ""
