"""`hftp bench`: each kind of client gets what it should, and what goes wrong is counted and said."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from hftp.cli import main
from hftp.exits import Exit
from hftp.load.figures import Generator, Latency, latency_of
from hftp.load.run import find_target, measure_recovery, run_load
from hftp.load.shape import ACTIVE, TROUBLE, Shape, Target, divide
from hftp.load.words import duration, report
from tests.hftp.serving import RunningServer, open_descriptors, running_server
from tests.hftp.serving import hftp as run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hftp.load.figures import KindFigures, Result

SHORT = 0.4


@pytest.fixture
def server(data: Path) -> Iterator[RunningServer]:
    """The default server: what is tested here is the client."""
    with running_server(data) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for a server that will not recover."""
    monkeypatch.setattr("hftp.load.run.RECOVERY_PATIENCE_SECONDS", 0.1)


def load(server: RunningServer, counts: dict[str, int], name: str = "mib", seconds: float = SHORT) -> Result:
    """Put so many clients of each kind on a server."""
    shape = Shape(
        active={kind: counts[kind] for kind in ACTIVE if kind in counts},
        trouble={kind: counts[kind] for kind in TROUBLE if kind in counts},
        seconds=seconds,
    )
    return run_load(find_target(server.host, server.port, 5.0, name), shape)


def figures(result: Result, kind: str) -> KindFigures:
    return next(figures for figures in result.kinds if figures.kind == kind)


@pytest.mark.parametrize("kind", ACTIVE)
def test_every_active_client_is_served(server: RunningServer, kind: str) -> None:
    result = load(server, {kind: 7})
    seen = figures(result, kind)
    assert (seen.clients, seen.served, seen.starved, seen.lost, seen.wrong) == (7, 7, 0, 0, [])
    assert seen.fewest > 1  # it asked again
    assert seen.answers == result.answers
    assert result.requests_per_s == pytest.approx(result.answers / result.seconds)


@pytest.mark.parametrize("kind", ["raw", "base64"])
def test_bytes_are_those_of_the_file(server: RunningServer, kind: str) -> None:
    seen = figures(load(server, {kind: 1}), kind)
    whole = seen.answers * 64 * 1024
    assert whole - 1 <= seen.bytes <= whole + 64 * 1024 + 1


def test_slices_of_a_file_that_is_shorter_are_the_whole_file(server: RunningServer) -> None:
    result = load(server, {"raw": 1, "base64": 1}, name="f")
    assert (figures(result, "raw").wrong, figures(result, "base64").wrong) == ([], [])
    assert figures(result, "raw").answers


def test_trouble_is_made_and_the_others_are_served(server: RunningServer) -> None:
    kinds = {"small": 3, "idle": 4, "never-reading": 1, "trickling": 2, "vanishing": 3}
    result = load(server, kinds, name="huge", seconds=2.5)
    assert figures(result, "small").served == 3
    assert (figures(result, "idle").served, figures(result, "idle").answers) == (4, 4)
    assert figures(result, "trickling").served == 2
    assert (figures(result, "never-reading").held, figures(result, "never-reading").served) == (1, None)
    assert figures(result, "vanishing").answers > 10
    assert result.recovery_s is not None


def test_nothing_is_left_of_a_load(server: RunningServer) -> None:
    before = open_descriptors()
    load(server, {"small": 20, "idle": 20, "vanishing": 5})
    assert open_descriptors() == before


def test_it_ends_after_so_many_answers(server: RunningServer) -> None:
    target = find_target(server.host, server.port, 5.0, "f")
    result = run_load(target, Shape(active={"small": 2}, seconds=60, count=100))
    assert 100 <= result.answers <= 110
    assert result.seconds < 60


@contextlib.contextmanager
def listening(backlog: int = 64) -> Iterator[tuple[socket.socket, Target]]:
    """A port, and a load's target there, whatever answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        host, port = listener.getsockname()
        yield listener, Target(host, port, socket.AF_INET, "f", 41)


def test_who_gets_no_answer_starves_and_the_wait_counts(impatient: None) -> None:
    """Nobody accepts: the system completes the connections, and no answer ever comes."""
    with listening() as (_, target):
        result = run_load(target, Shape({"small": 3}, {"idle": 2}, SHORT))
    small, idle = figures(result, "small"), figures(result, "idle")
    assert (small.served, small.starved, small.held) == (0, 3, 3)
    assert (idle.served, idle.starved) == (0, 2)
    assert small.latency.p50 is None
    assert small.latency.worst == pytest.approx(SHORT, rel=0.5)
    assert result.recovery_s is None


def test_a_server_that_attends_one_client_starves_the_others(data: Path) -> None:
    with running_server(data, "--strategy", "sequential") as server:
        result = load(server, {"small": 4})
    seen = figures(result, "small")
    assert (seen.served, seen.starved, seen.fewest) == (1, 3, 0)
    assert seen.most == result.answers
    assert result.latency.worst == pytest.approx(SHORT, rel=0.5)
    assert result.recovery_s is not None


def test_nobody_listens_any_more(impatient: None) -> None:
    with listening() as (_, target):
        pass
    result = run_load(target, Shape({"small": 2}, {"vanishing": 1}, SHORT))
    assert figures(result, "small").starved == 2
    assert figures(result, "small").lost >= 4  # tried again


@pytest.mark.parametrize("kind", [*ACTIVE, "idle"])
@pytest.mark.parametrize("answer", [b"101 BAD REQUEST\r\n", b"0 OK\r\n42\r\nand more", b"HTTP/1.0 400\r\n"])
def test_a_wrong_answer_is_reported(kind: str, answer: bytes, impatient: None) -> None:
    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    sock.recv(4096)
                    sock.sendall(answer)

    with listening() as (listener, target):
        thread = threading.Thread(target=serve)
        thread.start()
        shape = Shape({kind: 1} if kind in ACTIVE else {}, {kind: 1} if kind in TROUBLE else {}, SHORT)
        result = run_load(target, shape)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    seen = figures(result, kind)
    assert seen.answers == 0
    assert seen.lost
    if kind != "base64" or not answer.startswith(b"0 OK"):  # of base64, only the length is checked
        assert seen.wrong[0] == ascii(answer.decode())


def test_a_new_client_is_timed(server: RunningServer) -> None:
    recovery_s = measure_recovery(find_target(server.host, server.port, 5.0, "f"))
    assert recovery_s is not None
    assert 0 < recovery_s < 5


# Figures


def test_clients_are_divided_by_weight() -> None:
    assert divide(100, {"small": 8, "raw": 1, "base64": 1}) == {"small": 80, "raw": 10, "base64": 10}
    assert divide(1, {"small": 8, "raw": 1, "base64": 1}) == {"small": 1}
    assert divide(3, {"small": 1, "raw": 1}) == {"small": 2, "raw": 1}
    assert divide(2, {"raw": 0, "base64": 3}) == {"base64": 2}


@pytest.mark.parametrize("clients", range(1, 40))
def test_no_client_is_lost_in_dividing(clients: int) -> None:
    assert sum(divide(clients, {"small": 7, "raw": 2, "connect": 3}).values()) == clients


def test_latencies_are_those_of_the_nearest_rank() -> None:
    assert latency_of([0.1 * n for n in range(1, 101)]) == Latency(5.0, 9.9, 10.0)
    assert latency_of([3.0], waiting=[5.0]) == Latency(3.0, 3.0, 5.0)
    assert latency_of([]) == Latency(None, None, None)


@pytest.mark.parametrize(
    ("generator", "was_bottleneck"),
    [
        (Generator(0.5, 0.1, 0.6, 0.001), False),
        (Generator(0.95, 0.0, 0.5, 0.001), True),
        (Generator(0.5, 0.45, 0.5, 0.001), True),
        (Generator(0.5, 0.0, 0.97, 0.001), True),
    ],
)
def test_a_busy_generator_says_so(generator: Generator, was_bottleneck: bool) -> None:
    assert generator.was_bottleneck == was_bottleneck


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0000851, "85 us"),
        (0.00125, "1.25 ms"),
        (0.0125, "12.5 ms"),
        (0.125, "125 ms"),
        (3.4, "3.40 s"),
    ],
)
def test_a_time_has_three_figures(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


# The command


def test_the_report_has_a_row_a_kind(server: RunningServer) -> None:
    lines = list(report(load(server, {"small": 2, "never-reading": 1})))
    assert "requests/s" in lines[0]
    assert [line.split()[0] for line in lines[3:5]] == ["never-reading", "small"]
    assert "new client had its answer after" in lines[-2]
    assert "load generator" in lines[-1]


def test_json_has_it_all(server: RunningServer) -> None:
    at = f"{server.host}:{server.port}"
    ended = run("bench", at, "-c", "4", "--mix", "small=3,raw", "--slice", "1K", "-t", "0.3", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    result = json.loads(ended.stdout)
    assert result["server"] == at
    assert {kind["kind"]: kind["clients"] for kind in result["kinds"]} == {"small": 3, "raw": 1}
    assert result["generator"]["cpu_share"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-c", "0"], "a number from 1"),
        (["--mix", "large=1"], "KIND=WEIGHT"),
        (["--mix", "small=0"], "nobody would ask"),
        (["--slice", "64X"], "a size is"),
        (["-t", "0"], "leave no time"),
        (["-t", "3601"], "3600 seconds at most"),
        (["-c", "30000"], "no more ports"),
    ],
)
def test_what_can_not_be_is_a_usage_error(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "127.0.0.1:1", *arguments])
    assert ended.value.code == Exit.USAGE
    assert said in capsys.readouterr().err


def test_a_server_without_a_file_can_not_be_measured(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in server.directory.iterdir():
        path.unlink()
    assert main(["bench", f"{server.host}:{server.port}"]) == Exit.FAILED
    assert "lists no file" in capsys.readouterr().err
