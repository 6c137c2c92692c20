"""The command `netlab why`."""

from __future__ import annotations

import click

from netlab.commands.console import open_console, progress_bar
from netlab.commands.labs import Chosen, attach, compose_option, inventory_options, tell_failures
from netlab.errors import ExitCode, NetlabError


@click.command()
@click.argument("vantage", metavar="FROM")
@click.argument("destination", metavar="TO:PORT")
@compose_option
@inventory_options
def why(vantage: str, destination: str, project: str | None, chosen: Chosen) -> ExitCode:
    """Say why FROM reaches TO:PORT, or why not: what the facts say, what happens, and what would open it.

    FROM is a host of the lab; `controller` is this machine, `host` the container engine's. TO is a host, or a
    name or an address as FROM resolves it: lab01:19500, [2001:db8::1]:19500.

    Exit code: 0 it came out as predicted, open or not; 1 it did not; 3 it could not be measured.
    """
    from netlab.matrix import exit_code
    from netlab.report.explain import explanation
    from netlab.why import why as ask

    address, port = _address_and_port(destination)
    with progress_bar() as progress:
        lab = attach(project, chosen, progress)
        cell = ask(lab, vantage, address, port, progress)
    tell_failures(lab)
    open_console().print(explanation(cell))
    return exit_code([cell])


def _address_and_port(text: str) -> tuple[str, int]:
    address, colon, port = text.rpartition(":")
    if not (colon and address and port.isdecimal() and 0 < int(port) < 65536):
        raise NetlabError(f"{text}: want TO:PORT, such as lab01:19500 or [2001:db8::1]:19500")
    return address.removeprefix("[").removesuffix("]"), int(port)
