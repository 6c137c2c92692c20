"""`make bench`: what must hold, beside its references, in one interleaved run.

python -m tests.bench [--smoke] [--rounds N] [--only KEY ...] [--json FILE] [--charts DIRECTORY]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.bench.chart import draw
from tests.bench.goals import FULL, GOALS, SMOKE, Goal, Scale, prepare
from tests.bench.report import Sample, Samples, machine, record, table
from tests.bench.servers import Running, cpu_s, kinds, running


def main(arguments: list[str] | None = None) -> int:
    """Measure, and say what holds.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    options = _parser().parse_args(arguments)
    goals = [goal for goal in GOALS if not options.only or goal.key in options.only]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    scale = SMOKE if options.smoke else FULL
    samples = measure(goals, replace(scale, rounds=options.rounds or scale.rounds))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(table(samples))
    console.print(machine())
    if options.json:
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        Path(options.json).write_text(json.dumps(record(samples), indent=1) + "\n", encoding="utf-8")
    if options.charts:
        draw(samples, Path(options.charts))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure what must hold.")
    parser.add_argument("--smoke", action="store_true", help="once and small: does it work at all?")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how often ({FULL.rounds})")
    parser.add_argument("--only", nargs="+", choices=[goal.key for goal in GOALS], metavar="KEY")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--charts", metavar="DIRECTORY")
    return parser


def measure(goals: list[Goal], scale: Scale) -> Samples:
    """Measure every goal on every server, in turn, and the whole again so many times.

    Args:
        goals: what is measured.
        scale: how much.

    Returns:
        For each goal and server the figures, a round each; none for a server that is missing.
    """
    known = kinds()
    samples: Samples = {goal: {name: [] for name in goal.contenders} for goal in goals}
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as directory:
        prepare(Path(directory), scale)
        for turn in range(scale.rounds):
            for _, group in itertools.groupby(goals, key=lambda goal: goal.group or goal.key):
                together = list(group)
                sys.stderr.write(f"\r\x1b[Kround {turn + 1} of {scale.rounds}: {together[0].title}")
                # Every other round in the other order: none is always the first.
                for name in together[0].contenders[:: -1 if turn % 2 else 1]:
                    if not known[name].missing:
                        with running(known[name], Path(directory)) as server:
                            for goal in together:
                                samples[goal][name].append(_sample(goal, server, scale))
    sys.stderr.write("\r\x1b[K")
    return samples


def _sample(goal: Goal, server: Running, scale: Scale) -> Sample:
    before_s = cpu_s(server.pid)
    figure = goal.measure(server, scale)
    return Sample(figure, cpu_s(server.pid) - before_s)


if __name__ == "__main__":
    sys.exit(main())
