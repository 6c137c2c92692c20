"""Answers requests: begin to capture, read what services wrote, end and hand it over."""

from __future__ import annotations

import binascii
import errno
import json
import os
import signal
import sys

from netlab.bundle.recorder.capture import Capture
from netlab.bundle.recorder.outputs import read_outputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


class Recorder:
    """Answers requests."""

    def __init__(self) -> None:
        self._capture: Capture | None = None
        self._operations = {"start": self.start, "outputs": self.outputs, "stop": self.stop}

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a request, whatever it is."""
        answer: Json = {"id": None}
        try:
            request = json.loads(line)
            answer["id"] = request.get("id")
            answer["ok"] = self._operations[request["op"]](request)
        except Exception as error:
            answer["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        return json.dumps(answer).encode() + b"\n"

    def start(self, request: Json) -> Json:
        """Begin to capture, if that is allowed here; and say what runs here."""
        why = ""
        try:
            self._capture = Capture(
                frozenset(request["ports"]), request["snap_bytes"], request["limit_bytes"]
            )
        except OSError as error:
            rights = error.errno in (errno.EPERM, errno.EACCES)
            why = "it takes root's rights there (CAP_NET_RAW)" if rights else f"{error.strerror}"
        system = os.uname()
        return {
            "why": why,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "kernel": f"{system.sysname} {system.release}",
            "machine": system.machine,
            "system": system_name(),
        }

    def outputs(self, request: Json) -> Json:
        """Say what services wrote so far."""
        return {"outputs": read_outputs()}

    def stop(self, request: Json) -> Json:
        """End the capture, and hand it over."""
        if self._capture is None:
            raise RuntimeError("nothing is captured")
        dropped = self._capture.stop()
        file = self._capture.file
        self._capture = None
        content = binascii.b2a_base64(file.content, newline=False).decode()
        return {"pcapng": content, "packets": file.packets, "left_out": file.left_out, "dropped": dropped}


def system_name() -> str:
    """Return what the operating system calls itself: os-release(5)."""
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip("\"'")
    except OSError:
        pass
    return ""


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the controller
    recorder = Recorder()
    try:
        for line in iter(sys.stdin.buffer.readline, b""):
            sys.stdout.buffer.write(recorder.answer(line))
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
