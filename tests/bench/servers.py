"""The servers that are compared, each as a process of its own on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 10.0

# The clock of a process as the scheduler counts: Linux, include/linux/posix-timers_types.h.
_CPUCLOCK_SCHED = 2

# As a lab would run it, and without limits of requests on a connection, which would be measured otherwise.
_NGINX = """
daemon off; master_process off; worker_processes 1; error_log stderr crit; pid {home}/pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600s;
  client_body_temp_path {home}/1; proxy_temp_path {home}/2; fastcgi_temp_path {home}/3;
  uwsgi_temp_path {home}/4; scgi_temp_path {home}/5;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {directory}; }}
}}
"""

_FTP = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
import logging
logging.disable()
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(sys.argv[1])
FTPServer(("127.0.0.1", int(sys.argv[2])), FTPHandler).serve_forever()
"""

# Without pybase64, whether or not it is installed.
_WITHOUT_PYBASE64 = "import sys; sys.modules['pybase64'] = None; from hftp.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Kind:
    """A server that can be started.

    Args:
        name: in tables and charts.
        protocol: `hftp`, `http` or `ftp`.
        command: gives the command line for a directory, a port and a directory of the server's own.
        missing: why it can't be started here; empty if it can.
    """

    name: str
    protocol: str
    command: Callable[[Path, int, Path], list[str]]
    missing: str = ""


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Args:
        kind: what it is.
        pid: of its process.
        port: where it listens, on 127.0.0.1.
    """

    kind: Kind
    pid: int
    port: int


def nginx_program() -> str | None:
    """Return the path of nginx: NGINX, or where distributions put it."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    return os.environ.get("NGINX") or shutil.which("nginx", path=path)


def kinds() -> dict[str, Kind]:
    """Return every server that is compared, also those that are missing here."""
    python = [sys.executable]
    no_base64 = _missing_package("pybase64")
    no_nginx = "" if nginx_program() else "nginx is not installed (apt install nginx-light)"

    def serve(*program: str) -> Callable[[Path, int, Path], list[str]]:
        return lambda d, _, __: [*python, *program, "serve", "-a", "127.0.0.1", "-p", "0", "-d", str(d)]

    def bare(*flags: str) -> Callable[[Path, int, Path], list[str]]:
        return lambda d, _, __: [*python, "-m", "tests.bench.bare_loop", str(d), *flags]

    found = [
        Kind("hftp", "hftp", serve("-m", "hftp"), no_base64),
        Kind("hftp, stdlib base64", "hftp", serve("-c", _WITHOUT_PYBASE64)),
        Kind("bare loop", "hftp", bare("--pybase64"), no_base64),
        Kind("bare loop, stdlib base64", "hftp", bare()),
        Kind("nginx", "http", _nginx_command, no_nginx),
        Kind("http.server", "http", _http_server_command),
        Kind("pyftpdlib", "ftp", _ftp_command, _missing_package("pyftpdlib")),
    ]
    return {kind.name: kind for kind in found}


def _missing_package(name: str) -> str:
    return "" if importlib.util.find_spec(name) else f"{name} is not installed (pip install {name})"


def _ftp_command(directory: Path, port: int, _: Path) -> list[str]:
    return [sys.executable, "-c", _FTP, str(directory), str(port)]


def _nginx_command(directory: Path, port: int, home: Path) -> list[str]:
    configuration = home / "nginx.conf"
    configuration.write_text(_NGINX.format(home=home, port=port, directory=directory))
    return [nginx_program() or "nginx", "-p", str(home), "-c", str(configuration)]


def _http_server_command(directory: Path, port: int, _: Path) -> list[str]:
    flags = ["--bind", "127.0.0.1", "--directory", str(directory), "--protocol", "HTTP/1.1", str(port)]
    return [sys.executable, "-m", "http.server", *flags]


@contextlib.contextmanager
def running(kind: Kind, directory: Path) -> Iterator[Running]:
    """Start a server, wait until it listens, and end it afterwards.

    Args:
        kind: which.
        directory: what it serves.
    """
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as home:
        port = 0 if kind.protocol == "hftp" else _free_port()
        process = subprocess.Popen(
            kind.command(directory, port, Path(home)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if kind.protocol == "hftp" else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'app'}{os.pathsep}{ROOT}"},
            text=True,
            process_group=0,
        )
        try:
            port = port or _told_port(process)
            _wait_listening(port)
            yield Running(kind, process.pid, port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def _told_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    return int(line.split()[2].rpartition(":")[2])


def _wait_listening(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, of threads that have ended, too, in seconds.

    Source:
        clock_getcpuclockid(3), whose number is MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED).
    """
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
