"""The command `netlab doctor`."""

from __future__ import annotations

import click

from netlab.errors import ExitCode


@click.command()
def doctor() -> ExitCode:
    """Say which backends work on this machine, and for each that does not, the one thing to do."""
    from netlab.doctor import examine

    diagnoses = examine()
    for diagnosis in diagnoses:
        state = "works" if diagnosis.works else "does not work"
        click.echo(f"{diagnosis.backend}: {state}: {diagnosis.detail}")
        if not diagnosis.works:
            click.echo(f"  {diagnosis.remedy}")
    return ExitCode.OK if any(d.works for d in diagnoses) else ExitCode.UNAVAILABLE
