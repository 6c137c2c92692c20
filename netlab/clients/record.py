"""A comparison as JSON: everything that was measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from netlab.clients.figures import Comparison
from netlab.clients.words import answer


def record(comparison: Comparison) -> dict[str, Any]:
    """Return the run as values that JSON can carry."""
    return {
        "processors": comparison.processors,
        "seconds": comparison.seconds,
        "cells": [asdict(cell) for cell in comparison.cells],
        "answer": dict(answer(comparison)),
    }
