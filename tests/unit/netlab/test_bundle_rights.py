"""The recorder as a process: what it answers where it may capture, and where it may not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from netlab.answers import read_answer
from netlab.bundle.recording import System
from netlab.session import BOOT
from netlab.travelling import program

# Somebody without any right: nobody.
NOBODY = 65534 if os.geteuid() == 0 else None


def asked(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the recorder as somebody without rights; return what it answers."""
    source = program("netlab.bundle.recorder", "program")
    lines = b"".join(json.dumps(request).encode() + b"\n" for request in requests)
    done = subprocess.run(
        ["/usr/bin/env", sys.executable if NOBODY is None else "/usr/bin/python3", "-I", "-S", "-c", BOOT],
        input=b"%d\n%b%b" % (len(source), source, lines),
        capture_output=True,
        user=NOBODY,
        cwd="/",
        timeout=60,
    )
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(NOBODY is not None and not os.path.exists("/usr/bin/python3"), reason="no Python for all")  # noqa: PTH110
def test_without_rights_it_says_so_and_what_runs_there() -> None:
    start = {"id": 1, "op": "start", "ports": [80], "snap_bytes": 256, "limit_bytes": 1000}
    answers = asked(start, {"id": 2, "op": "stop"}, {"id": 3, "op": "outputs"}, {"id": 4, "op": "x"})
    system = read_answer(System, "here", "start", answers[0]["ok"])
    assert system.why == "it takes root's rights there (CAP_NET_RAW)"
    assert system.kernel == f"Linux {os.uname().release}"
    assert "nothing is captured" in answers[1]["error"]
    assert isinstance(answers[2]["ok"]["outputs"], list)
    assert [answer["id"] for answer in answers] == [1, 2, 3, 4]
    assert "error" in answers[3]
