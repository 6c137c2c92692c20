"""A session with agents that are real processes of this machine, and with programs that are no agents."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from netlab.errors import AgentError, LabError
from netlab.facts import read_facts
from netlab.session import BOOT, AgentSession
from netlab.travelling import program
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PORT = 19500


class ProcessChannel:
    """A process of this machine."""

    def __init__(self, argv: Sequence[str]) -> None:
        with tempfile.TemporaryFile() as errors:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0
            )
            self.errors = os.dup(errors.fileno())
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.received = b""

    def send(self, data: bytes) -> None:
        try:
            while data:
                data = data[self.stdin.write(data) :]
        except BrokenPipeError as error:
            raise LabError("the program is gone") from error

    def readline(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.received:
            ready, _, _ = select.select([self.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            data = os.read(self.stdout.fileno(), 65536)
            if not data:
                return b""
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        return line + b"\n"

    def diagnostics(self) -> str:
        return os.pread(self.errors, 4096, 0).decode()

    def close(self) -> None:
        if self.stdin.closed:
            return
        self.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stdout.close()
        os.close(self.errors)


class ThisMachine:
    """A lab of one host, without networks: this machine."""

    hosts = ("here",)

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self.last: ProcessChannel | None = None

    def spawn(self, host: str, argv: Sequence[str]) -> ProcessChannel:
        try:
            self.last = ProcessChannel(argv)
        except OSError as error:
            raise LabError(f"{argv[0]}: {error.strerror}") from error
        return self.last

    def python(self, host: str) -> str:
        return self._python

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def session() -> Iterator[AgentSession]:
    with AgentSession(ThisMachine(), "here") as session:
        yield session


def impostor(directory: Path, script: str) -> AgentSession:
    """Start a session with a shell script in Python's place."""
    program = directory / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return AgentSession(ThisMachine(str(program)), "here")


# The script takes the source, whose length is in the first line, and one request.
TAKE = 'read length; head -c "$length" >/dev/null; read request'


# --- the session -----------------------------------------------------------------------------------------


def test_several_calls_one_after_the_other(session: AgentSession) -> None:
    for _ in range(3):
        assert session.call("hello", timeout_s=10)["hostname"] == os.uname().nodename


def test_an_error_of_the_agent_leaves_the_session_usable(session: AgentSession) -> None:
    with pytest.raises(AgentError, match=r"^agent on here: dance: op: expected one of hello, facts"):
        session.call("dance", timeout_s=10)
    assert session.call("hello", timeout_s=10)


def test_a_program_that_cannot_be_started_is_told_in_one_line() -> None:
    with pytest.raises(AgentError, match=r"^agent on here: it could not be started: /no/python: No such"):
        AgentSession(ThisMachine("/no/python"), "here")


def test_an_agent_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    script = f'{TAKE}; echo "a traceback" >&2; echo "MemoryError: none left" >&2'
    with (
        closing(impostor(tmp_path, script)) as session,
        pytest.raises(AgentError, match=r"it ended instead of answering hello: MemoryError: none left$"),
    ):
        session.call("hello", timeout_s=10)


def test_an_agent_that_is_gone_is_told_when_it_is_asked() -> None:
    lab = ThisMachine()
    with AgentSession(lab, "here") as session:
        session.call("hello", timeout_s=10)
        assert lab.last
        lab.last.process.kill()
        lab.last.process.wait()
        with pytest.raises(AgentError, match="it is gone"):
            session.call("hello", timeout_s=10)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("echo hello", "its answer to hello is not JSON: b'hello"),
        ("echo '[]'", "it answered something else than hello"),
        ("""echo '{"id": 7, "ok": {}}'""", "it answered something else than hello"),
        ("""echo '{"id": 1}'""", "its answer to hello has neither `ok` nor `error`"),
        ("""echo '{"id": 1, "ok": []}'""", "its answer to hello has neither `ok` nor `error`"),
        ("head -c 17000000 /dev/zero; echo", "its answer to hello has 17000001 bytes, more than 16777216"),
        ("sleep 1", "no answer to hello within 0.2 s"),
    ],
)
def test_what_is_no_answer_ends_the_session(tmp_path: Path, answer: str, problem: str) -> None:
    with closing(impostor(tmp_path, f"{TAKE}; {answer}")) as session:
        timeout_s = 0.2 if "sleep" in answer else 10
        with pytest.raises(AgentError) as caught:
            session.call("hello", timeout_s=timeout_s)
        assert str(caught.value).startswith(f"agent on here: {problem}")
        with pytest.raises(AgentError, match=r"^agent on here: "):
            session.call("hello", timeout_s=timeout_s)


def test_a_closed_session_says_so(session: AgentSession) -> None:
    session.close()
    session.close()
    with pytest.raises(AgentError, match="the session is closed"):
        session.call("hello", timeout_s=10)


# --- the agent, as any machine runs it -------------------------------------------------------------------


def exchange(*lines: bytes, source: bytes = program("netlab.agent", "program")) -> list[dict[str, Any]]:
    """Give raw lines to an agent and return its answers; it must end well when they do."""
    given = b"%d\n%b" % (len(source), source) + b"".join(lines)
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BOOT], input=given, capture_output=True, timeout=20, check=True
    )
    assert ran.stderr == b""
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"hello\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"null\n",
        b'{"id": 5}\n',
        b'{"id": 5, "op": ["hello"]}\n',
        b'{"id": 5, "op": "__init__"}\n',
        b'{"id": 5, "op": "facts"}\n',
        b'{"id": 5, "op": "facts", "names": ["a\\u0000b"]}\n',
        b'{"id": 5, "op": "facts", "names": [7]}\n',
        b'{"id": 5, "op": "serve", "argv": [], "files": {}, "port": 1, "timeout_s": 1}\n',
        b'{"id": 5, "op": "serve", "argv": ["true"], "files": {"../a": ""}, "port": 1, "timeout_s": 1}\n',
        b'{"id": 5, "op": "serve", "argv": ["true"], "files": {"a": 1}, "port": 1, "timeout_s": 1}\n',
        b'{"id": 5, "op": "serve", "argv": ["true"], "files": {}, "port": true, "timeout_s": 1}\n',
        b'{"id": 5, "op": "serve", "argv": ["true"], "files": {}, "port": 1, "timeout_s": NaN}\n',
        b'{"id": 5, "op": "serve", "argv": ["/no/such"], "files": {}, "port": 1, "timeout_s": 1}\n',
        b'{"id": 5, "op": "serve", "argv": ["\\ud800"], "files": {}, "port": 1, "timeout_s": 1}\n',
        b'{"id": 5, "op": "serve", "argv": ["true"], "files": {"a": "\\ud800"}, "port": 1, "timeout_s": 1}\n',
        b'{"id": 5, "op": "probe", "probes": [{}], "timeout_s": 1}\n',
        b'{"id": 5, "op": "probe", "probes": {}, "timeout_s": 1}\n',
        b'{"id": 5, "op": "probe", "probes": [{"id": "a", "address": "::1", "port": 70000}], '
        b'"timeout_s": 1}\n',
        b'{"id": 5, "op": "probe", "timeout_s": 1, "probes": [{"id": "a", "address": "::1", "port": 9, '
        b'"check": {"kind": "smtp"}}]}\n',
        b"[" * 100_000 + b"\n",
        b'{"a": ' * 100_000 + b"\n",
        b"9" * 10_000 + b"\n",
    ],
    ids=range(26),
)
def test_no_request_ends_the_agent(line: bytes) -> None:
    mistaken, hello = exchange(line, b'{"id": 6, "op": "hello"}\n')
    assert set(mistaken) == {"id", "error"}
    assert mistaken["error"]
    assert "\n" not in mistaken["error"]
    assert (hello["id"], set(hello["ok"])) == (6, {"python", "kernel", "hostname"})


def test_a_line_without_end_is_refused_and_the_next_one_answered() -> None:
    mistaken, hello = exchange(b"x" * (40 << 20) + b"\n", b'{"id": 6, "op": "hello"}\n')
    assert "a line that is too long" in mistaken["error"]
    assert hello["ok"]


def test_a_request_that_was_cut_short_is_not_followed() -> None:
    assert exchange(b'{"id": 1, "op": "hello"}') == []


def test_a_mistake_in_a_request_is_answered_with_the_field_and_what_is_allowed() -> None:
    (answer,) = exchange(
        b'{"id": 1, "op": "probe", "timeout_s": 3, "probes": [{"id": "a", "address": "x", "port": 0}]}\n'
    )
    assert answer["error"] == "port: expected a port, 1 to 65535, got 0"


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_the_agent_runs_on_every_python_since_3_8(version: str) -> None:
    python = find_python(version)
    with AgentSession(ThisMachine(python), "here") as session:
        assert session.call("hello", timeout_s=10)["python"].startswith(f"{version}.")
        facts = read_facts("here", session.call("facts", {"names": ["localhost"]}, timeout_s=10))
        assert facts.names["localhost"].addresses
        check = {"kind": "tcp"}
        probe = {"id": "a", "address": "127.0.0.1", "port": 1, "check": check}
        answer = session.call("probe", {"probes": [probe], "timeout_s": 1}, timeout_s=10)
        assert answer["results"][0]["attempts"][0]["errno"] == "ECONNREFUSED"
        argv = ["sh", "-c", "cat {data}/a; exit 3"]
        fields = {"argv": argv, "files": {"a": "content"}, "port": PORT, "timeout_s": 5}
        served = session.call("serve", fields, timeout_s=10)
        assert served == {"listening": False, "exit_code": 3, "output": "content", "gone": True}


def find_python(version: str) -> str:
    """Return a Python of that version: one on PATH, or one that pyenv installed."""
    places = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for candidate in (shutil.which(f"python{version}"), *places):
        if (
            candidate
            and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return str(candidate)
    return unavailable(f"python{version}", "it is neither on PATH nor among pyenv's")


# --- the service under test ------------------------------------------------------------------------------

LISTEN = """
import os, signal, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(os.getpid(), sys.argv[2], flush=True)
time.sleep(60)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + LISTEN


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def serve(session: AgentSession, program: str, timeout_s: float = 10) -> dict[str, Any]:
    port = free_port()
    argv = [sys.executable, "-c", program, str(port), "{data}"]
    fields = {"argv": argv, "files": {"a": "content"}, "port": port, "timeout_s": timeout_s}
    return session.call("serve", fields, timeout_s=20)


def pid_and_directory(answer: dict[str, Any]) -> tuple[int, Path]:
    pid, directory = answer["output"].split()
    return int(pid), Path(directory)


@pytest.mark.parametrize("program", [LISTEN, STUBBORN], ids=["obedient", "stubborn"])
def test_the_end_of_the_session_ends_the_service_and_removes_its_directory(program: str) -> None:
    with AgentSession(ThisMachine(), "here") as session:
        pid, directory = pid_and_directory(serve(session, program))
        assert (directory / "a").read_text() == "content"
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not Path(f"/proc/{pid}").exists()
    assert not directory.exists()


def test_a_signal_to_the_agent_ends_the_service_too() -> None:
    lab = ThisMachine()
    with AgentSession(lab, "here") as session:
        pid, directory = pid_and_directory(serve(session, LISTEN))
        assert lab.last
        lab.last.process.send_signal(signal.SIGTERM)
        assert lab.last.process.wait(10) == 128 + signal.SIGTERM
    assert not Path(f"/proc/{pid}").exists()
    assert not directory.exists()


def test_ctrl_c_in_the_controllers_terminal_is_not_the_agents_affair(session: AgentSession) -> None:
    session.call("hello", timeout_s=10)
    lab = ThisMachine()
    with AgentSession(lab, "here") as session:
        session.call("hello", timeout_s=10)
        assert lab.last
        lab.last.process.send_signal(signal.SIGINT)
        assert session.call("hello", timeout_s=10)


def test_children_that_the_service_leaves_behind_end_with_it() -> None:
    program = f"import os\nif os.fork(): os._exit(0)\n{LISTEN}"
    with AgentSession(ThisMachine(), "here") as session:
        port = free_port()
        # A shell that waits, with a listener in the background that outlives it.
        script = f'"$0" -c "$1" {port} {{data}} & sleep 1'
        argv = ["sh", "-c", script, sys.executable, program.partition("\n")[2].partition("\n")[2]]
        answer = session.call(
            "serve", {"argv": argv, "files": {}, "port": port, "timeout_s": 10}, timeout_s=20
        )
        assert answer["listening"]
        pid, _ = pid_and_directory(answer)
        time.sleep(1.2)
        assert Path(f"/proc/{pid}").exists()
    assert ended_soon(pid)


def ended_soon(pid: int) -> bool:
    """Whether a killed process is gone within a second, or only waits for its parent to take note."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_what_a_service_leaves_in_its_directory_goes_with_it() -> None:
    program = "import os, sys; os.chdir(sys.argv[2]); os.makedirs('b/c'); os.symlink('/etc', 'link')" + LISTEN
    with AgentSession(ThisMachine(), "here") as session:
        _, directory = pid_and_directory(serve(session, program))
        assert (directory / "b" / "c").is_dir()
    assert not directory.exists()
    assert Path("/etc/passwd").exists()


def test_a_service_that_ends_at_once_tells_how(session: AgentSession) -> None:
    answer = serve(session, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert not answer["listening"]
    assert answer["exit_code"] == 7
    assert sorted(answer["output"].split()) == ["err", "out"]


def test_a_service_that_is_killed_tells_by_which_signal(session: AgentSession) -> None:
    answer = serve(session, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert answer["exit_code"] == -signal.SIGKILL


def test_a_service_that_never_listens_is_waited_for_in_vain(session: AgentSession) -> None:
    answer = serve(session, "import time; print('idle', flush=True); time.sleep(60)", timeout_s=0.5)
    assert answer == {"listening": False, "exit_code": None, "output": "idle\n", "gone": False}


def test_a_listener_that_was_there_before_does_not_count(session: AgentSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        argv = [sys.executable, "-c", LISTEN, str(port), "{data}"]
        answer = session.call(
            "serve", {"argv": argv, "files": {}, "port": port, "timeout_s": 10}, timeout_s=20
        )
    assert not answer["listening"]
    assert "Address already in use" in answer["output"]


def test_a_service_that_talks_without_end_is_quoted_from_its_beginning(session: AgentSession) -> None:
    answer = serve(session, "print('é' * 100_000)")
    assert answer["output"].startswith("é" * 2000)
    assert len(answer["output"].encode()) <= 4100


def test_probes_leave_no_descriptor_or_thread_in_the_agent() -> None:
    lab = ThisMachine()
    with AgentSession(lab, "here") as session, socket.create_server(("127.0.0.1", 0)) as silent:
        check = {"kind": "banner", "expect": "SSH"}
        ports = [silent.getsockname()[1], free_port()]
        probes = [
            {"id": str(number), "address": "127.0.0.1", "port": ports[number % 2], "check": check}
            for number in range(80)
        ]
        session.call("hello", timeout_s=10)
        before = resources(lab)
        session.call("probe", {"probes": probes, "timeout_s": 0.2}, timeout_s=10)
        session.call("facts", {"names": ["localhost"] * 3}, timeout_s=10)
        assert resources(lab) == before


def test_an_interpreter_of_another_version_compiles_the_sources_and_one_of_this_does_not() -> None:
    source, asked = program("netlab.agent", "program"), b'{"id": 1, "op": "hello"}\n'
    ours = repr((sys.implementation.cache_tag, MAGIC_NUMBER)).encode()
    elsewhere = source.replace(ours, b"('cpython-38', b'')")
    assert elsewhere != source
    assert exchange(asked, source=elsewhere) == exchange(asked, source=source)
    no_source = source.replace(b"class Agent:", b"class Agent!")
    assert exchange(asked, source=no_source) == exchange(asked, source=source)
    with pytest.raises(subprocess.CalledProcessError):
        exchange(asked, source=no_source.replace(ours, b"('cpython-38', b'')"))


def resources(lab: ThisMachine) -> tuple[int, int]:
    """Count the descriptors and threads of the agent."""
    assert lab.last
    process = Path(f"/proc/{lab.last.process.pid}")
    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


def test_the_agent_does_without_the_modules_that_are_slow_to_import() -> None:
    script = "import sys; exec(sys.stdin.read(), {'__name__': 'agent'}); print(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        input=program("netlab.agent", "program").decode(),
        capture_output=True,
        text=True,
        check=True,
    )
    slow = {
        "typing",
        "pathlib",
        "contextlib",
        "subprocess",
        "tempfile",
        "shutil",
        "asyncio",
        "dataclasses",
        "ctypes",
    }
    assert slow.isdisjoint(ran.stdout.split())
