"""The command `netlab schema`."""

from __future__ import annotations

import json

import click

from netlab.commands.console import check_writable, write
from netlab.errors import ExitCode


@click.command()
@click.argument("file", default="-")
def schema(file: str) -> ExitCode:
    """Write the JSON Schema of netlab.yaml to FILE (standard output), for editors.

    An editor with a YAML language server takes it from a comment at the top of netlab.yaml:
    # yaml-language-server: $schema=netlab.schema.json
    """
    from netlab.expectations.jsonschema import json_schema

    check_writable(file)
    write(file, json.dumps(json_schema(), indent=1) + "\n")
    return ExitCode.OK
