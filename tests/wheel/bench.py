"""How soon the wheel says something: `python -m tests.wheel.bench` installs it, and prints the times.

Goals: `netlab --help` in under 0.2 s; three lines of YAML green or red in under 10 s from `pip install` on.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.wheel.installed import build, install
from tests.wheel.test_wheel import three_lines

RUNS = 20


def main() -> int:
    """Measure, and print a line each."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        wheel = build(folder)
        started = time.perf_counter()
        installed = install(wheel, folder / "environment")
        say(
            "a new environment, and pip install of the wheel and what it needs",
            [time.perf_counter() - started],
        )
        say("netlab --help", measured(RUNS, lambda: installed.run(folder, "netlab", "--help").returncode))
        for colour, address in (("green", '"{address}"'), ("red", "127.0.0.1")):
            (folder / "netlab.yaml").write_text(three_lines(address))
            wanted = 0 if colour == "green" else 1
            took = measured(RUNS // 4, lambda: installed.run(folder, "netlab", "check").returncode, wanted)
            say(f"netlab check, three lines, {colour}", took)
    return 0


def measured(runs: int, command: Callable[[], int], wanted: int = 0) -> list[float]:
    """Run a command several times; return the seconds that each run took."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        code = command()
        times.append(time.perf_counter() - started)
        assert code == wanted, f"ended with {code}"
    return times


def say(what: str, seconds: list[float]) -> None:
    """Print what was measured."""
    print(  # noqa: T201
        f"{what}: median {statistics.median(seconds):.3f} s, most {max(seconds):.3f} s, runs {len(seconds)}"
    )


if __name__ == "__main__":
    sys.exit(main())
