"""A lab that stays up after a run that failed: told, entered from another terminal, ended, and then gone."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab.backends.netns.running import running_labs
from netlab.errors import ExitCode
from netlab.model import Topology
from tests.namespaces import bring_up
from tests.netns.test_cli import ENVIRONMENT, ONE_CELL, experiment

HANGS_UP = (
    "import socket, sys\n"
    "sock = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
    "while True: sock.accept()[0].close()"
)
NETLAB = (sys.executable, "-m", "netlab")
PLAIN = {name: value for name, value in ENVIRONMENT.items() if name != "CI"}
# A machine that runs other labs beside needs some seconds for a run; none of these times is what is tested.
WITHIN_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def available() -> None:
    with bring_up(Topology((), ())):
        pass


@pytest.fixture
def failing(tmp_path: Path) -> tuple[str, ...]:
    """The words of a run that fails."""
    return ("run", experiment(tmp_path, HANGS_UP), *ONE_CELL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A lab that is kept up, for tests that leave it so."""
    words = ("run", experiment(tmp_path_factory.mktemp("shared"), HANGS_UP), *ONE_CELL)
    with kept(*words) as lab:
        yield lab


class Kept:
    """A run whose lab stays up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        assert process.stderr is not None
        while "it ends by itself" not in self.said:
            line = process.stderr.readline()
            assert line, f"the run ended: {self.said}"
            self.said += line
        found = re.search(r"netlab shell (\S+) --lab (\d+)", self.said)
        assert found, self.said
        self.lab = found[2]

    def processes(self) -> set[int]:
        """Return the processes of the lab, and its controller."""
        namespace = Path(f"/proc/{self.lab}/ns/pid").readlink()
        return {pid for pid in _pids() if _namespace(pid) == str(namespace)} | {self.process.pid}

    def shell(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `netlab shell` in it."""
        return netlab("shell", "--lab", self.lab, *words)

    def end(self, number: int) -> tuple[int, str]:
        """Send the run a signal; return its exit code and what else it said."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, rest


@contextmanager
def kept(*words: str) -> Iterator[Kept]:
    command = [*NETLAB, *words, "--keep-on-fail", "--keep-for", "10"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=PLAIN,
        start_new_session=True,
    ) as process:
        try:
            yield Kept(process)
        finally:
            process.kill()


def netlab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NETLAB, *words], capture_output=True, text=True, env=PLAIN, timeout=WITHIN_S)


def _pids() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def _namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def wait_gone(processes: set[int]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while (left := {pid for pid in processes if _runs(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_lab_of_a_run_that_failed_stays_up_with_its_services(shared: Kept) -> None:
    assert (
        f"the lab stays up (lab {shared.lab}, netns), and its services run: 0.0.0.0 on server-any"
        in shared.said
    )
    assert f"netlab shell server-any --lab {shared.lab}" in shared.said
    assert "its hosts: outsider, peer, remote, router, server-any, " in shared.said
    assert f"'kill {shared.process.pid}' ends it; at " in shared.said
    listening = shared.shell("server-any", "--", sys.executable, "-c", HAS_PORT).stdout
    assert listening == "True\n"
    listed = netlab("ls")
    assert (
        f"{shared.lab}: running, process {shared.process.pid}: 17 hosts on netns"
        in listed.stdout.splitlines()
    )


HAS_PORT = "import pathlib; print(':4C2C ' in pathlib.Path('/proc/net/tcp').read_text())"  # 19500


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_when_it_is_told_to_and_the_exit_code_is_that_of_the_run(
    failing: tuple[str, ...], number: signal.Signals
) -> None:
    with kept(*failing) as lab:
        processes = lab.processes()
        assert len(processes) > 17
        code, rest = lab.end(number)
        assert (code, rest) == (ExitCode.DISAGREES, "the lab is taken down\n")
        wait_gone(processes)


def test_it_ends_by_itself_when_its_time_is_up(failing: tuple[str, ...]) -> None:
    words = [*NETLAB, *failing, "--keep-on-fail", "--keep-for", "0.01"]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=PLAIN, timeout=WITHIN_S
    )
    assert done.returncode == ExitCode.DISAGREES
    assert done.stderr.endswith("the lab is taken down\n")


def test_nothing_is_left_of_it_when_its_keeper_is_killed(failing: tuple[str, ...]) -> None:
    with kept(*failing) as lab:
        processes = lab.processes()
        inside = subprocess.Popen(
            [*NETLAB, "shell", "--lab", lab.lab, "peer", "--", "sleep", "600"], env=PLAIN
        )
        wait_until(lambda: len(lab.processes()) > len(processes))
        processes |= lab.processes()
        lab.process.kill()
        wait_gone(processes)
        assert inside.wait(WITHIN_S) == ExitCode.NOT_MEASURED
    assert netlab("shell", "--lab", lab.lab, "peer").returncode == ExitCode.USAGE


def test_down_ends_it_and_its_keeper_notices(failing: tuple[str, ...]) -> None:
    with kept(*failing) as lab:
        assert netlab("down", lab.lab).stdout == f"{lab.lab}: removed\n"
        assert lab.process.wait(WITHIN_S) == ExitCode.DISAGREES


def test_a_run_that_is_well_keeps_nothing() -> None:
    done = netlab("run", *ONE_CELL, "--keep-on-fail", "--keep-for", "10")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")


def test_where_nobody_could_end_it_the_run_does_not_begin() -> None:
    words = [*NETLAB, "run", "--keep-on-fail"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=PLAIN)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == (
        "netlab: --keep-on-fail: nobody is here to end it (standard input is no terminal): "
        "say --keep-for MINUTES, too\n"
    )
    with terminal([*NETLAB, "run", "--keep-on-fail"], CI="true") as screen:
        assert "nobody is here to end it (CI is set)" in screen.until("too\r\n")


def test_the_exit_code_and_the_streams_of_a_command_are_its_own(shared: Kept) -> None:
    done = shared.shell("peer", "--", "sh", "-c", "echo out; echo err >&2; hostname; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\npeer\n", "err\n")
    assert shared.shell("peer", "--", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL
    none = shared.shell("peer", "--", "no-such-program")
    assert (none.returncode, none.stderr) == (127, "netlab: no-such-program: No such file or directory\n")


def test_what_is_not_there_is_told_with_what_is(shared: Kept) -> None:
    no_host = shared.shell("mars")
    assert no_host.returncode == ExitCode.USAGE
    assert no_host.stderr.startswith(
        f"netlab: no host of lab {shared.lab} is called 'mars': there is outsider, peer, "
    )
    no_lab = netlab("shell", "--lab", "x", "peer").stderr
    assert no_lab.startswith("netlab: no lab is called 'x': there is ")
    assert f"{shared.lab} (process {shared.process.pid}, netns)" in no_lab
    with bring_up(Topology((), ())):
        several = netlab("shell", "peer").stderr
        assert several.startswith("netlab: several labs are up: name one with --lab: ")
        assert f"{shared.lab} (process {shared.process.pid}, netns)" in several


def test_a_lab_is_found_by_what_runs_and_by_nothing_that_is_written() -> None:
    with bring_up(Topology((), ())) as lab:
        assert lab.hosts == ()
        mine = [found for found in running_labs() if found.owner == os.getpid()]
        assert [found.hosts for found in mine] == [()]
    assert not [found for found in running_labs() if found.owner == os.getpid()]


# --- On a terminal ---------------------------------------------------------------------------------------


class Screen:
    """A program on a terminal of its own, and what it wrote there."""

    def __init__(self, descriptor: int, pid: int) -> None:
        self.descriptor, self.pid = descriptor, pid
        self.text = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.descriptor, text.encode())

    def until(self, text: str) -> str:
        """Wait until the program has written a text; return all up to its end, and forget it."""
        deadline = time.monotonic() + WITHIN_S
        while text not in self.text:
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come: {self.text!r}"
            try:
                more = os.read(self.descriptor, 4096).decode(errors="replace")
            except OSError:  # its end
                more = ""
            assert more, f"it ended without {text!r}: {self.text!r}"
            self.text += more
        said, self.text = self.text.split(text, 1)
        return said + text

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self) -> int:
        """Wait for the program's end; return its exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def terminal(command: list[str], **variables: str) -> Iterator[Screen]:
    """Run a program on a terminal, as the leader of its session."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(command[0], command, {**PLAIN, "TERM": "xterm", "SHELL": "/bin/bash", **variables})
    try:
        yield Screen(descriptor, pid)
    finally:
        os.close(descriptor)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="no bash here")
def test_a_shell_on_a_terminal_has_job_control_ctrl_c_and_the_windows_size(shared: Kept) -> None:
    with (
        terminal(["/bin/bash", "--norc"], PS1="outside> ", HOME="/nonexistent") as screen,
    ):
        screen.until("outside> ")
        screen.resize(33, 101)
        screen.type(f"{sys.executable} -m netlab shell --lab {shared.lab} peer -- bash --norc\n")
        screen.until("bash-")
        screen.type("hostname; stty size\n")
        assert "peer\r\n33 101\r\n" in screen.until("33 101\r\n")

        screen.type("sleep 600\n")
        screen.until("sleep 600\r\n")
        wait_until(lambda: _running("sleep 600"))
        screen.type("\x1a")  # Ctrl-Z
        screen.until("Stopped")
        screen.type("jobs; fg\n")
        assert "sleep 600" in screen.until("sleep 600\r\nsleep 600\r\n")
        wait_until(lambda: _in_foreground("sleep 600"))  # what is typed before is for the shell
        screen.type("\x03")  # Ctrl-C
        wait_until(lambda: not _running("sleep 600"))  # Ctrl-C throws away what was typed and not read yet
        screen.type("echo code=$?\n")
        screen.until("code=130\r\n")

        screen.resize(44, 99)
        screen.type("stty size\n")
        screen.until("44 99\r\n")

        screen.type("exit 3\n")
        screen.until("outside> ")
        screen.type("echo back=$?; hostname; jobs\n")
        assert f"back=3\r\n{os.uname().nodename}\r\n" in screen.until(f"{os.uname().nodename}\r\n")
        screen.type("exit\n")


def _running(command: str) -> bool:
    """Whether this user, or a lab, runs that command."""
    return any(_command(pid) == command for pid in _pids())


def _in_foreground(command: str) -> bool:
    """Whether that command runs, and its process group has the terminal (proc_pid_stat(5))."""
    for pid in _pids():
        if _command(pid) == command:
            said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            state, _, group, _, _, foreground, *_ = said
            return state != "T" and group == foreground
    return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="no bash here")
def test_the_terminal_is_usable_after_a_lab_that_ended_under_the_shell(failing: tuple[str, ...]) -> None:
    with (
        kept(*failing) as lab,
        terminal(["/bin/bash", "--norc"], PS1="outside> ", HOME="/nonexistent") as screen,
    ):
        screen.until("outside> ")
        screen.type(f"{sys.executable} -m netlab shell --lab {lab.lab} peer -- bash --norc\n")
        screen.until("bash-")
        lab.process.kill()
        screen.until(f"netlab: lab {lab.lab} is gone, and with it what ran on peer")
        screen.until("outside> ")
        screen.type("stty -a | tr ' ;' '\\n\\n' | grep -cx -e echo -e icanon -e isig; echo left=$?\n")
        assert "left=0\r\n" in screen.until("left=0\r\n")
        screen.type("exit\n")


@pytest.mark.parametrize("key", ["\n", "\x03"], ids=["Enter", "Ctrl-C"])
def test_a_key_at_the_keepers_terminal_ends_it(failing: tuple[str, ...], key: str) -> None:
    with terminal([*NETLAB, *failing, "--keep-on-fail"]) as screen:
        said = screen.until("it ends by itself\r\n")
        assert "predicted open, observed accepted" in said, "the matrix is shown before the wait"
        assert "Enter or Ctrl-C here ends it; at " in said
        screen.type(key)
        screen.until("the lab is taken down\r\n")
        assert screen.end() == ExitCode.DISAGREES
