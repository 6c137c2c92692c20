"""The commands `netlab ls` and `netlab down`: what killed runs left on the container engine."""

from __future__ import annotations

from typing import Any

import click

from netlab.errors import ExitCode, NetlabError


@click.command("ls")
def list_runs() -> ExitCode:
    """List what runs of netlab have on the container engine, also those that were killed."""
    with _of_engine("engine:find_engine")() as engine:
        leftovers = _of_engine("leftovers:find_leftovers")(engine)
    for left in leftovers:
        click.echo(str(left))
    if not leftovers:
        click.echo("no run of netlab has anything on the engine", err=True)
    return ExitCode.OK


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
def down(runs: tuple[str, ...]) -> ExitCode:
    """Remove what killed runs left on the container engine; or the RUNs that are named, running or not."""
    with _of_engine("engine:find_engine")() as engine:
        leftovers = _of_engine("leftovers:find_leftovers")(engine)
        unknown = set(runs) - {left.run for left in leftovers}
        if unknown:
            raise NetlabError(f"there is no run {', '.join(sorted(unknown))}: 'netlab ls' lists them")
        chosen = [left for left in leftovers if left.run in runs or (left.abandoned and not runs)]
        for left in chosen:
            _of_engine("leftovers:remove")(engine, left)
            click.echo(f"{left.run}: removed")
    if not chosen:
        click.echo("nothing was left behind", err=True)
    return ExitCode.OK


def _of_engine(place: str) -> Any:
    from netlab.backends import load_attribute

    return load_attribute("compose", f"netlab.backends.compose.{place}")
