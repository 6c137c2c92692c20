"""A run as JSON, for other programs: every cell with its prediction, its observation, and their grounds."""

from __future__ import annotations

from typing import Any

from netlab import __version__
from netlab.matrix import Matrix
from netlab.model import Cell

# Raised when a field changes its meaning or goes; new fields may come at any time.
FORMAT = 1


def record(matrix: Matrix) -> dict[str, Any]:
    """Return a run as JSON's own types: objects, lists, strings, numbers, booleans and null."""
    return {
        "format": FORMAT,
        "netlab": __version__,
        "experiment": matrix.experiment.name,
        "backend": matrix.backend,
        "kernel": matrix.kernel,
        "seconds": round(matrix.seconds, 3),
        "cells": [cell_record(cell) for cell in matrix.cells],
    }


def cell_record(cell: Cell) -> dict[str, Any]:
    """Return a cell: what was predicted, what was observed, and the grounds of both."""
    predicted, observed = cell.prediction, cell.observation
    return {
        "bind": cell.bind.name,
        "host": cell.bind.host,
        "vantage": cell.vantage,
        "target": cell.target.name,
        "address": cell.target.address,
        "protocol": cell.protocol.value,
        "agrees": cell.agrees,
        "prediction": {
            "verdict": predicted.outcome.verdict.value,
            "detail": predicted.outcome.detail,
            "remedy": predicted.remedy,
            "reason": [
                {"kind": step.kind, "host": step.host, "text": step.text, "rests_on": step.rests_on}
                for step in predicted.reason
            ],
        },
        "observation": {
            "verdict": observed.outcome.verdict.value if observed.outcome is not None else None,
            "detail": observed.outcome.detail if observed.outcome is not None else "",
            "not_measured": observed.not_measured,
            "evidence": list(observed.evidence),
            "seconds": round(observed.seconds, 6),
        },
    }
