"""Measuring: every load against every variant, interleaved, each on a fresh server."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hftp.load.figures import Result
from netlab.clients.figures import Cell, Comparison, Cost, Variant
from netlab.clients.loads import Load
from netlab.clients.processes import Watch
from netlab.clients.server import HFTP, RunningServer, ServerError

# The file that everyone asks for: larger than all socket buffers, so that who does not read it stops it.
_FILE_BYTES = 256 << 20

# How much longer than its load the generator may take: its start, the server's recovery, the figures.
_GENERATOR_PATIENCE_S = 20.0

_results = TypeAdapter(Result)

Progress = Callable[[str, int, int], None]


def compare(
    variants: Sequence[Variant], loads: Sequence[Load], seconds: float, progress: Progress
) -> Comparison:
    """Measure every cell: a load against each variant in turn, then the next load.

    Args:
        variants: of the server.
        loads: to put on each.
        seconds: how long each load lasts.
        progress: is told what is measured, how many cells are done, and how many there are.
    """
    began = time.monotonic()
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory(prefix="netlab-clients-") as directory:
        _make_file(Path(directory))
        total = len(loads) * len(variants)
        for load in loads:
            for variant in variants:
                progress(f"{variant.name}: {load.name}", len(cells), total)
                cells.append(measure(variant, load, seconds, Path(directory)))
    return Comparison(tuple(cells), len(os.sched_getaffinity(0)), time.monotonic() - began)


def _make_file(directory: Path) -> None:
    """Make a file without contents of its own: it takes no room on a disk, and is sent like any other."""
    path = directory / "file"
    path.touch()
    os.truncate(path, _FILE_BYTES)


def measure(variant: Variant, load: Load, seconds: float, directory: Path) -> Cell:
    """Put a load on a fresh server.

    Args:
        variant: of the server.
        load: to put on it.
        seconds: how long the load lasts.
        directory: what is served.
    """
    lasts_s = load.seconds(seconds)
    try:
        with RunningServer(variant, directory) as server:
            # At two thirds of the load everyone is there, and nobody leaves yet.
            with Watch(server.pid, pss_after_s=lasts_s * 2 / 3) as watch:
                result = _generate(server.port, load, seconds)
            context_switches, cpu_s = server.end()
    except (ServerError, GeneratorError) as error:
        return Cell(variant, load, None, None, str(error))
    peak = watch.peak
    cost = Cost(peak.rss_bytes, peak.pss_bytes, peak.threads, peak.processes, context_switches, cpu_s)
    return Cell(variant, load, result, cost)


class GeneratorError(Exception):
    """The load generator gave no figures."""


def _generate(port: int, load: Load, seconds: float) -> Result:
    """Run the load generator, a process of its own."""
    try:
        ended = subprocess.run(
            [*HFTP, "bench", f"127.0.0.1:{port}", "--json", *load.flags(seconds)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=load.seconds(seconds) + _GENERATOR_PATIENCE_S,
            check=False,
        )
        return _results.validate_json(ended.stdout)
    except subprocess.TimeoutExpired as error:
        raise GeneratorError(f"the load generator had not ended after {error.timeout:.0f} s") from error
    except ValidationError as error:
        raise GeneratorError(ended.stderr.strip() or "the load generator said nothing") from error
