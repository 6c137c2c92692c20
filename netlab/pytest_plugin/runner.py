"""Runs one program on a host, for a test: what it printed, how it ended.

One file of standard-library Python (3.8 or later), sent and asked as the agent is (`netlab.session`):

    request    {"id": 1, "op": "run", "argv": [...], "stdin": BASE64, "timeout_s": 10}
    answer     {"id": 1, "ok": {"exit_code": 0, "stdout": BASE64, "stderr": BASE64, "timed_out": false}}

The program is the leader of a session of its own. Its process group ends when it does, when its time is over,
and when nobody waits for it any more: when this program's standard input ends, or a signal tells it to.
"""

from __future__ import annotations

import binascii
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import IO, Any

OUTPUT_LIMIT_BYTES = (
    4 * 1024 * 1024
)  # of each stream: an answer stays below the controller's limit for a line
DRAIN_S = 1.0  # for what a program that has ended wrote to a pipe


class Output(threading.Thread):
    """Reads a pipe to its end, and keeps the beginning."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self.kept = bytearray()
        self.start()

    def run(self) -> None:
        """Read: a program that talks a lot must not stand still because nobody listens."""
        while True:
            piece = os.read(self._pipe.fileno(), 1 << 16)
            if not piece:
                return
            self.kept += piece[: OUTPUT_LIMIT_BYTES - len(self.kept)]


def give(pipe: IO[bytes], content: bytes) -> None:
    """Write a program's standard input, as far as it reads."""
    with contextlib.suppress(OSError), pipe:
        pipe.write(content)


def wait(process: subprocess.Popen[bytes], timeout_s: float) -> str:
    """Wait until a program has ended, or nobody wants it any more; say which: `ended`, `late`, `unwanted`."""
    ended, tell = os.pipe()

    def watch() -> None:
        process.wait()
        os.close(tell)

    threading.Thread(target=watch, daemon=True).start()
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(0, select.POLLIN)
    ready = [descriptor for descriptor, _ in poll.poll(timeout_s * 1000)]
    if ended in ready:
        return "ended"
    return "unwanted" if ready else "late"


def end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a program's process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(argv: list[str], stdin: bytes, timeout_s: float) -> dict[str, Any]:
    """Run a program to its end."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)

    def leave(number: int, frame: FrameType | None) -> None:
        end(process)
        os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    outputs = [Output(process.stdout), Output(process.stderr)]
    threading.Thread(target=give, args=(process.stdin, stdin), daemon=True).start()
    how = wait(process, timeout_s)
    end(process)
    if how == "unwanted":
        raise SystemExit(1)
    for output in outputs:
        output.join(DRAIN_S)
    out, err = (binascii.b2a_base64(bytes(output.kept), newline=False).decode() for output in outputs)
    return {
        "exit_code": process.returncode,
        "stdout": out,
        "stderr": err,
        "timed_out": how == "late",
    }


def main() -> None:
    """Answer the request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's
    request = json.loads(sys.stdin.buffer.readline())
    answer: dict[str, Any] = {"id": request["id"]}
    try:
        answer["ok"] = run(request["argv"], binascii.a2b_base64(request["stdin"]), request["timeout_s"])
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        answer["error"] = f"{error.strerror}{where}"
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()
    os._exit(0)  # a thread may still wait for a pipe that a program keeps open that has left its group


if __name__ == "__main__":
    main()
