"""The agent's program: requests in, answers out, and one service that outlives a request."""

from __future__ import annotations

import json
import os
import signal
import sys

from netlab.agent.asked import (
    PROTOCOLS,
    RequestError,
    is_argv,
    is_bool,
    is_files,
    is_objects,
    is_port,
    is_protocol,
    is_seconds,
    is_text,
    is_texts,
    is_tools,
    required,
)
from netlab.agent.concurrency import concurrently
from netlab.agent.dialling import dial, validate
from netlab.agent.errorqueue import errno_name
from netlab.agent.interfaces import read_interfaces, wait_settled
from netlab.agent.listeners import inodes_listening, read_listeners
from netlab.agent.names import resolution
from netlab.agent.routes import read_routes, read_rules
from netlab.agent.service import Service, wait_listening
from netlab.agent.sysctls import read_sysctls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import BinaryIO

    from netlab.agent.shapes import Json


LINE_LIMIT_BYTES = 16 * 1024 * 1024  # a request names some hundreds of targets: far below


class Agent:
    """Answers requests; holds the service, the only thing that outlives one."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._listening = False
        self._sockets: Callable[[], frozenset[int]] = frozenset  # at which it listens now
        self._operations = {
            "hello": self.hello,
            "facts": self.facts,
            "serve": self.serve,
            "served": self.served,
            "probe": self.probe,
        }

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a request, whatever it is."""
        answer: Json = {"id": None}
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise RequestError("a request is a JSON object")
            answer["id"] = request.get("id")
            known = ", ".join(self._operations)
            op = required(
                request, "op", lambda value: is_text(value) and value in self._operations, "one of " + known
            )
            answer["ok"] = self._operations[op](request)
        except RequestError as error:
            answer["error"] = str(error)
        except Exception as error:
            # Nothing that a request, or the kernel, comes up with may end the agent: the controller is told.
            answer["error"] = one_line(error)
        return json.dumps(answer).encode() + b"\n"

    def hello(self, request: Json) -> Json:
        """Say who is there."""
        system = os.uname()
        python = ".".join(str(part) for part in sys.version_info[:3])
        return {"python": python, "kernel": system.release, "hostname": system.nodename}

    def facts(self, request: Json) -> Json:
        """Read what decides who reaches what: the form is `netlab.facts.Facts`."""
        names = required(request, "names", is_texts, "a list of names")
        request.setdefault("datagrams", False)
        datagrams = required(request, "datagrams", is_bool, "true or false")
        system = os.uname()
        wait_settled()
        interfaces = read_interfaces()
        devices = {link["index"]: link["name"] for link in interfaces}
        return {
            "hostname": system.nodename,
            "kernel": system.release,
            "interfaces": interfaces,
            "routes": read_routes(devices),
            "rules": read_rules(),
            "listeners": read_listeners(devices),
            "names": dict(zip(names, concurrently(resolution, names))),
            "sysctls": read_sysctls(list(devices.values())),
            "datagram_sockets": read_listeners(devices, "udp") if datagrams else [],
        }

    def serve(self, request: Json) -> Json:
        """Start the service under test, instead of the one before, and wait until it listens.

        One that does not in time is left running: it may be what the experiment is about.
        """
        argv = required(request, "argv", is_argv, "a program and its arguments")
        files = required(request, "files", is_files, "an object from file names to texts")
        request.setdefault("tools", {})
        tools = required(request, "tools", is_tools, "an object from file names to base64")
        port = required(request, "port", is_port, "a port, 1 to 65535")
        request.setdefault("protocol", "tcp")
        protocol = required(request, "protocol", is_protocol, PROTOCOLS)
        timeout_s = required(request, "timeout_s", is_seconds, "seconds, up to 3600")
        self.close()
        before = inodes_listening(port, protocol)
        self._service = Service(argv, files, tools)
        self._listening = wait_listening(self._service, port, protocol, before, timeout_s)
        self._sockets = lambda: inodes_listening(port, protocol) - before
        return self.served(request)

    def served(self, request: Json) -> Json:
        """Say how the start of the service went, and whether it has ended since."""
        if self._service is None:
            raise RequestError("no service was started")
        exit_code = self._service.exit_code()
        return {
            "listening": self._listening,
            "exit_code": exit_code,
            "output": self._service.output(),
            "gone": exit_code is not None and not self._sockets(),
        }

    def probe(self, request: Json) -> Json:
        """Dial everything in the list, at the same time."""
        probes = required(request, "probes", is_objects, "a list of objects")
        timeout_s = required(request, "timeout_s", is_seconds, "seconds, up to 3600")
        for probe in probes:
            probe.setdefault("protocol", "tcp")
            validate(probe)
        return {"results": concurrently(lambda probe: dial(probe, timeout_s), probes)}

    def close(self) -> None:
        """End the service, if there is one."""
        if self._service is not None:
            self._service.stop()
            self._service = None


def one_line(error: Exception) -> str:
    """Write an exception in one line."""
    if isinstance(error, OSError) and error.errno:
        where = f" ({error.filename})" if error.filename else ""
        return f"{errno_name(error.errno)}: {error.strerror}{where}"
    return " ".join(f"{type(error).__name__}: {error}".split())


def requests(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a stream up to its end; one without an end was cut short, and is none."""
    while True:
        line = stream.readline(LINE_LIMIT_BYTES)
        if len(line) == LINE_LIMIT_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LINE_LIMIT_BYTES)
            line = b'{"op": "a line that is too long"}\n'
        if not line.endswith(b"\n"):
            return
        yield line


def leave(number: int, frame: FrameType | None) -> None:
    """End on a signal as on the end of the requests: with the service."""
    raise SystemExit(128 + number)


def main() -> None:
    """Answer requests until there are no more."""
    # Ctrl-C in a terminal reaches the whole process group; when to end is the controller's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
    agent = Agent()
    try:
        for line in requests(sys.stdin.buffer):
            sys.stdout.buffer.write(agent.answer(line))
            sys.stdout.buffer.flush()
    except BrokenPipeError:  # nobody reads the answers any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        agent.close()
