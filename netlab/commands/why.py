"""The command `netlab why`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.commands.console import open_console, progress_bar
from netlab.commands.labs import Chosen, attach, compose_option, inventory_options, tell_failures
from netlab.errors import ExitCode, NetlabError
from netlab.printable import printable

if TYPE_CHECKING:
    from netlab.why import Destination


@click.command()
@click.argument("vantage", metavar="FROM")
@click.argument("destination", metavar="TO:PORT")
@click.option(
    "--check",
    metavar="CHECK",
    help="How the right server is recognised, as in netlab.yaml: http, '{dns: {name: example.test}}'.",
)
@click.option(
    "--answers-from",
    type=click.Choice(["routed", "dialled"]),
    help="Of a UDP server: which source address it answers from.",
)
@compose_option
@inventory_options
def why(
    vantage: str,
    destination: str,
    check: str | None,
    answers_from: str | None,
    project: str | None,
    chosen: Chosen,
) -> ExitCode:
    """Say why FROM reaches TO:PORT, or why not: what the facts say, what happens, and what would open it.

    FROM is a host of the lab; `controller` is this machine, `host` the container engine's. TO is a host, or a
    name or an address as FROM resolves it: lab01:19500, [2001:db8::1]:19500. TO:53/udp asks by UDP: without
    --check any answer will do, to a DNS question on port 53, to the time on 123, to an empty line on others.

    Exit code: 0 it came out as predicted, open or not; 1 it did not; 3 it could not be measured.
    """
    from netlab.matrix import exit_code
    from netlab.report.explain import explanation
    from netlab.why import why as ask

    to = _destination(destination, check, answers_from)
    with progress_bar() as progress:
        lab = attach(project, chosen, progress)
        cell = ask(lab, vantage, to, progress)
    tell_failures(lab)
    open_console().print(explanation(cell))
    return exit_code([cell])


def _destination(text: str, check: str | None, answers_from: str | None) -> Destination:
    """Return what is dialled.

    Raises:
        NetlabError: it, or the check, can't be followed.
    """
    from netlab.experiments.said import read_check, read_transport, value_of
    from netlab.why import Destination

    where, _, protocol = text.partition("/")
    address, colon, port = where.rpartition(":")
    said = colon and address and port.isdecimal() and 0 < int(port) < 65536
    if not said or protocol not in ("", "tcp", "udp"):
        wanted = "want TO:PORT, such as lab01:19500, lab01:53/udp or [2001:db8::1]:19500"
        raise NetlabError(printable(f"{text}: {wanted}"))
    transport = read_transport(text, protocol or "tcp", answers_from)
    recognised = None
    if check is not None:
        recognised = read_check("--check", value_of("--check", check), Path(), transport.protocol)
    return Destination(address.removeprefix("[").removesuffix("]"), int(port), transport, recognised)
