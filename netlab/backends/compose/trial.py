"""Whether containers work here, found out by running one."""

from __future__ import annotations

import secrets

from netlab.backends.compose.engine import compose_version, ready_engine
from netlab.backends.compose.leftovers import labels, remove_run
from netlab.backends.compose.sidecar import start_sidecar
from netlab.errors import LabError

# An engine that has just started is slow with its first container.
_WITHIN_S = 30.0


def trial() -> str:
    """Run a program in a sidecar without a network, and say in words what runs it.

    Raises:
        BackendUnavailableError: there is no engine, no Compose, or no image.
        LabError: the program did not run.
    """
    engine = ready_engine()
    run = secrets.token_hex(4)
    try:
        program = start_sidecar(engine, "none", ["python3", "-c", "print('well')"], labels(run))
        try:
            if program.readline(_WITHIN_S) != b"well\n":
                raise LabError(f"Python does not run in the image: {program.diagnostics().strip()}")
        finally:
            program.close()
        return f"Docker {engine.version}, Compose {compose_version(engine)} ({engine.source})"
    finally:
        remove_run(engine, run, settle=False)
        engine.client.close()
