"""How soon the wheel says something: `python -m tests.wheel.bench` installs it, and prints the times.

Goals: `netlab --help` in under 0.2 s; three lines of YAML green or red in under 10 s from `pip install` on.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.wheel.installed import Installed, build, install, new_environment
from tests.wheel.test_wheel import three_lines

RUNS = 20
INSTALLS = 3


def main() -> int:
    """Measure, and print a line each."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        wheel = build(folder)
        environments = [new_environment(folder / f"environment{number}") for number in range(INSTALLS)]
        took = [timed(partial(install, wheel, environment)) for environment in environments]
        say("pip install of the wheel and what it needs", took)
        installed = Installed(environments[0])
        ended = partial(end_with, installed, folder)
        say("netlab --help", [timed(partial(ended, 0, "--help")) for _ in range(RUNS)])
        for colour, address, code in (("green", '"{address}"', 0), ("red", "127.0.0.1", 1)):
            (folder / "netlab.yaml").write_text(three_lines(address))
            took = [timed(partial(ended, code, "check")) for _ in range(RUNS // 4)]
            say(f"netlab check, three lines, {colour}", took)
    return 0


def end_with(installed: Installed, folder: Path, wanted: int, *arguments: str) -> None:
    """Run netlab, which has to end with that exit code."""
    code = installed.run(folder, "netlab", *arguments).returncode
    assert code == wanted, f"netlab {' '.join(arguments)} ended with {code}"


def timed(action: Callable[[], object]) -> float:
    """Do something; return the seconds that it took."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def say(what: str, seconds: list[float]) -> None:
    """Print what was measured."""
    print(  # noqa: T201
        f"{what}: median {statistics.median(seconds):.3f} s, most {max(seconds):.3f} s, runs {len(seconds)}"
    )


if __name__ == "__main__":
    sys.exit(main())
