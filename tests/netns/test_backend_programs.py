"""Programs on the hosts of a netns lab: started clean, heard out, ended for sure."""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.errors import LabError
from netlab.model import Host, Topology
from tests.namespaces import bring_up
from tests.netns.test_backend import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.backends.netns import NetnsLab
    from netlab.backends.netns.channel import PipeChannel

TOPOLOGY = Topology((), tuple(Host(name, ()) for name in ("a", "b")))


@pytest.fixture(scope="module")
def lab() -> Iterator[NetnsLab]:
    with bring_up(TOPOLOGY) as lab:
        yield lab


def start(lab: NetnsLab, source: str) -> PipeChannel:
    return lab.spawn("a", [lab.python("a"), "-c", source])


def alive(namespace: str) -> dict[int, str]:
    """Return the processes of a PID namespace, as this machine numbers them, and their states."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "ns/pid").readlink() == Path(namespace):
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    found[int(entry.name)] = state
            except OSError:
                continue  # it ended, or is another user's
    return found


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_a_programs_exit_code_is_told(lab: NetnsLab, source: str, code: int) -> None:
    with_end = start(lab, source)
    assert with_end.wait(10) == code
    assert with_end.readline(10) == b""


def test_what_is_sent_arrives_and_what_is_answered_comes_line_by_line(lab: NetnsLab) -> None:
    channel = lab.spawn("a", ["cat"])
    channel.send(b"one\ntwo\n")
    channel.send(b"three")
    assert channel.readline(10) == b"one\n"
    assert channel.readline(10) == b"two\n"
    with pytest.raises(TimeoutError):
        channel.readline(0.05)
    channel.send(b" and a half\n")
    assert channel.readline(10) == b"three and a half\n"
    channel.close()
    assert channel.readline(10) == b""


def test_a_last_line_without_newline_counts(lab: NetnsLab) -> None:
    channel = start(lab, "print('no newline', end='')")
    assert [channel.readline(10), channel.readline(10)] == [b"no newline", b""]


def test_a_megabyte_goes_in_and_out_while_nobody_reads_meanwhile(lab: NetnsLab) -> None:
    source = "import sys; n = len(sys.stdin.buffer.read(1 << 20)); print('x' * n)"
    channel = start(lab, source)
    channel.send(b"y" * (1 << 20))
    assert channel.readline(10) == b"x" * (1 << 20) + b"\n"


def test_a_hundred_thousand_lines_arrive_in_order(lab: NetnsLab) -> None:
    channel = start(lab, "import sys; sys.stdout.write(''.join(f'{n}\\n' for n in range(100000)))")
    lines = list(iter(lambda: channel.readline(10), b""))
    assert lines == [b"%d\n" % n for n in range(100_000)]


def test_a_program_that_floods_standard_error_goes_on_and_its_last_words_are_kept(lab: NetnsLab) -> None:
    source = "import sys; sys.stderr.write('x' * 5_000_000 + ' the end'); print('done')"
    channel = start(lab, source)
    assert channel.readline(10) == b"done\n"
    assert channel.readline(10) == b""
    assert channel.diagnostics().endswith(" the end")
    assert len(channel.diagnostics()) == 4096


def test_sending_to_a_program_that_has_ended_says_what_it_said(lab: NetnsLab) -> None:
    channel = start(lab, "raise SystemExit('I am out of here')")
    channel.wait(10)
    with pytest.raises(LabError, match="reads no more; it said: I am out of here"):
        channel.send(b"anything")


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["no-such-program"], "a: no-such-program: can't be started: No such file or directory"),
        (["/dev/null"], "a: /dev/null: can't be started: Permission denied"),
        (["a\0b"], "can't be started: embedded null byte"),
        ([], "a: no program to start"),
    ],
)
def test_a_program_that_cannot_be_started_is_told_in_one_line(
    lab: NetnsLab, argv: list[str], problem: str
) -> None:
    with pytest.raises(LabError) as raised:
        lab.spawn("a", argv)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_host_that_is_not_there_is_told_with_those_that_are(lab: NetnsLab) -> None:
    with pytest.raises(LabError, match="no host is called 'c': there is a, b"):
        lab.spawn("c", ["true"])


def test_fifty_programs_start_at_once_from_ten_threads(lab: NetnsLab) -> None:
    def echo(number: int) -> str:
        return output(lab, "ab"[number % 2], f"import socket; print(socket.gethostname(), {number})")

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(echo, range(50))) == [f"{'ab'[n % 2]} {n}\n" for n in range(50)]


def test_a_program_starts_clean(lab: NetnsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "is not yours")
    source = """
import json, os, signal
ignored = [s for s in signal.valid_signals() if signal.getsignal(s) == signal.SIG_IGN]
blocked = list(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
fds = [int(fd) for fd in os.listdir("/proc/self/fd")]
print(json.dumps([sorted(os.environ), ignored, blocked, fds, os.getsid(0) == os.getpid(), os.getcwd()]))
"""
    environment, ignored, blocked, fds, own_session, directory = json.loads(output(lab, "a", source))
    given = ["HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "TMPDIR"]
    assert [name for name in environment if not name.startswith("LC_")] == given
    assert set(ignored) == {signal.SIGPIPE, signal.SIGXFSZ}  # as every Python sets them for itself
    assert blocked == []
    assert fds == [0, 1, 2, 3]  # 3 is the listed directory's own
    assert own_session
    assert directory == str(Path.cwd())  # a command may name files beside its experiment


def test_closing_ends_a_program_that_would_rather_stay_and_what_it_started(lab: NetnsLab) -> None:
    source = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    print(os.readlink("/proc/self/ns/pid"))
time.sleep(60)
"""
    channel = start(lab, source)
    namespace = channel.readline(10).decode().strip()
    before = len(alive(namespace))
    began = time.monotonic()
    channel.close()
    assert time.monotonic() - began < 30
    assert wait_until(lambda: len(alive(namespace)) == before - 2)
    channel.close()  # safe to repeat


def test_closing_a_program_ends_it_with_sigterm_if_that_will_do(lab: NetnsLab) -> None:
    channel = lab.spawn("a", ["sleep", "60"])
    channel.close()
    assert channel.wait(0) == -signal.SIGTERM


def test_orphans_leave_no_zombies(lab: NetnsLab) -> None:
    source = """
import os
print(os.readlink("/proc/self/ns/pid"))
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
        os._exit(0)
"""
    channel = start(lab, source)
    namespace = channel.readline(10).decode().strip()
    channel.wait(10)
    assert wait_until(lambda: "Z" not in alive(namespace).values())


def test_after_a_lab_nothing_of_it_is_left_in_this_process() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    descriptors_before, threads_before = descriptors(), set(threading.enumerate())
    with bring_up(TOPOLOGY) as lab:
        channels = [lab.spawn("a", ["sleep", "60"]) for _ in range(10)]
        channels[0].close()
        assert descriptors() > descriptors_before
    assert descriptors() <= descriptors_before
    assert set(threading.enumerate()) <= threads_before
    assert channels[5].readline(1) == b""
    with pytest.raises(LabError, match="ended with the lab"):
        channels[5].wait(1)


def test_a_lab_that_is_down_starts_nothing() -> None:
    with bring_up(TOPOLOGY) as lab:
        pass
    with pytest.raises(LabError, match="the lab is down"):
        lab.spawn("a", ["true"])


def test_a_lab_can_be_brought_up_again() -> None:
    with bring_up(TOPOLOGY) as lab:
        pass
    with lab:
        assert output(lab, "b", "print('again')") == "again\n"
        with pytest.raises(LabError, match="up already"), lab:
            pass


def wait_until(condition: object, within_s: float = 5.0) -> bool:
    """Wait for a condition: whether it came true in time."""
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
