"""The commands `netlab ls` and `netlab down`: labs that are up, and what killed runs left on the engine."""

from __future__ import annotations

from typing import Any

import click

from netlab.errors import BackendUnavailableError, ExitCode, NetlabError


@click.command("ls")
def list_runs() -> ExitCode:
    """List the labs that are up, and what runs of netlab have on the container engine, also killed ones."""
    found = [str(lab) for lab in _netns_labs()]
    try:
        with _of_engine("engine:find_engine")() as engine:
            found += [str(left) for left in _of_engine("leftovers:find_leftovers")(engine)]
    except BackendUnavailableError as error:
        click.echo(f"no container engine was asked: {error.why}", err=True)
    for line in found:
        click.echo(line)
    if not found:
        click.echo("no lab is up, and no run of netlab left anything", err=True)
    return ExitCode.OK


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
def down(runs: tuple[str, ...]) -> ExitCode:
    """Remove what killed runs left on the container engine; or the RUNs that are named, running or not."""
    labs = {lab.id: lab for lab in _netns_labs()}
    for run in runs:
        if run in labs:
            labs[run].end()
            click.echo(f"{run}: removed")
    others = tuple(run for run in runs if run not in labs)
    return _remove_from_engine(others) if others or not runs else ExitCode.OK


def _remove_from_engine(runs: tuple[str, ...]) -> ExitCode:
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


def _netns_labs() -> list[Any]:
    from netlab.backends import load_attribute

    labs: list[Any] = load_attribute("netns", "netlab.backends.netns.running:running_labs")()
    return labs


def _of_engine(place: str) -> Any:
    from netlab.backends import load_attribute

    return load_attribute("compose", f"netlab.backends.compose.{place}")
