"""The command `netlab init`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netlab.commands.console import check_writable, write
from netlab.errors import ExitCode, NetlabError

if TYPE_CHECKING:
    from netlab.init import Start

# What is proposed; the Python that runs netlab has it, so that the first check works anywhere.
_COMMAND = "python3 -m http.server --bind {address} {port}"
_CHECKS = ("tcp", "http", "tls", "hftp")


@click.command()
@click.argument("file", default="netlab.yaml")
@click.option("--from-compose", "compose", metavar="FILE", help="From the services of a Compose file.")
@click.option(
    "--from-port", "listening", type=click.IntRange(1, 65535), help="From what listens here on a TCP port."
)
@click.option("--command", help="What starts the server, with {address} and {port}.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port that it listens on.")
@click.option("--check", type=click.Choice(_CHECKS), help="How its answer is recognised.")
@click.option("--lab", help="Where it is tried: a lab that comes with netlab.")
@click.option("--bind", "binds", multiple=True, help="An address that it listens on. Repeatable.")
@click.option("--allow", multiple=True, metavar="HOST", help="Who should get through. Repeatable; nobody.")
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
def init(
    file: str,
    compose: str | None,
    listening: int | None,
    command: str | None,
    port: int | None,
    check: str | None,
    lab: str | None,
    binds: tuple[str, ...],
    allow: tuple[str, ...],
    force: bool,
) -> ExitCode:
    """Write a first FILE (netlab.yaml) for `netlab check`, and its schema for editors beside it.

    Without --from-compose and --from-port it asks. What an option answers is not asked; without a terminal
    nothing is, and what no option says is as proposed.

    Exit code: 0; 2 for a wrong option, a file that is there already, or nothing to write about.
    """
    from netlab.init import text_of

    asked = {"--port": port, "--check": check, "--lab": lab, "--bind": binds, "--allow": allow}
    if compose and listening:
        raise click.UsageError("take one: --from-compose or --from-port")
    if (compose or listening) and (answered := [option for option, value in asked.items() if value]):
        raise click.UsageError(f"{answered[0]} goes without --from-compose and --from-port: edit {file} then")
    if compose and command:
        raise click.UsageError("--command goes without --from-compose: Compose starts the services")
    _check_free(file, force=force)
    if compose:
        start = _from_compose(compose, file)
    elif listening:
        start = _from_port(listening, command, file)
    else:
        start = _ask(command, port, check, lab, binds, allow)
    _write(file, text_of(start), start)
    return ExitCode.OK


def _check_free(file: str, *, force: bool) -> None:
    """Refuse a file that is there, before anything is asked."""
    check_writable(file)
    if file == "-":
        raise NetlabError("FILE is a file: its schema is written beside it")
    if Path(file).exists() and not force:
        raise NetlabError(f"{file} is there already: --force writes over it, another name leaves it")


def _write(file: str, text: str, start: Start) -> None:
    """Write the file and its schema, once it is known that `netlab check` reads it.

    Raises:
        NetlabError: a file can't be written, or what was derived is no check.
    """
    from netlab.expectations.checkfile import read
    from netlab.expectations.jsonschema import json_schema
    from netlab.init.writing import SCHEMA_FILE

    read(file, text, Path(file).parent)
    schema = Path(file).parent / SCHEMA_FILE
    write(file, text)
    write(str(schema), json.dumps(json_schema(), indent=1) + "\n")
    many = "s" if len(start.binds) > 1 else ""
    click.echo(f"{file}: {len(start.binds)} bind{many}; {schema}: its schema, for editors", err=True)
    for note in start.notes:
        click.echo(f"  {note}", err=True)
    named = "" if file == "netlab.yaml" else f" {file}"
    click.echo(f"Read it, change what should be otherwise, then: netlab check{named}", err=True)


def _from_compose(compose: str, file: str) -> Start:
    from netlab.init.compose_file import from_compose
    from netlab.textfile import read_text

    text = read_text(Path(compose), "Compose file")
    return from_compose(compose, text, _relative(compose, Path(file).parent))


def _relative(path: str, folder: Path) -> str:
    """Return a file's path as a file in a folder names it: relative, where it is below that folder."""
    found = Path(path).resolve()
    home = folder.resolve()
    return str(found.relative_to(home)) if found.is_relative_to(home) else str(found)


def _from_port(port: int, command: str | None, file: str) -> Start:
    from netlab.init.asked import words_of
    from netlab.init.listening import from_port

    return from_port(port, words_of(command) if command is not None else (), Path(file).parent)


def _ask(
    command: str | None,
    port: int | None,
    check: str | None,
    lab: str | None,
    binds: tuple[str, ...],
    allow: tuple[str, ...],
) -> Start:
    from netlab.init.asked import Answers, from_answers
    from netlab.init.places import places

    there = places()
    command = command or _answer("What starts your server? {address} and {port} are filled in", _COMMAND)
    port = port or _answer("On which port does it listen?", 8000, type=click.IntRange(1, 65535))
    check = check or _answer("How is its answer recognised?", "tcp", type=click.Choice(_CHECKS))
    lab = lab or _answer("In which lab is it tried?", "lan", type=click.Choice([*there]))
    binds = binds or _several("On which addresses should it be tried?", ("0.0.0.0",))
    others = there[lab].others if lab in there else ()
    allow = allow or _several(f"Who should get through, of {', '.join(others)}? (or nobody)", others[:1])
    allowed = () if allow == ("nobody",) else allow
    return from_answers(Answers(command, port, check, lab, tuple(dict.fromkeys(binds)), allowed), there)


def _answer(question: str, proposed: Any, **how: Any) -> Any:
    """Ask on the terminal, if there is one; otherwise take what is proposed."""
    if not sys.stdin.isatty():
        return proposed
    return click.prompt(question, default=proposed, err=True, **how)


def _several(question: str, proposed: tuple[str, ...]) -> tuple[str, ...]:
    said = str(_answer(question, ", ".join(proposed)))
    return tuple(word for word in said.replace(",", " ").split() if word)
