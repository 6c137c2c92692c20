"""The UDP server of the docs' example, taken from there: what is tested is what is shown."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

EXAMPLE = Path(__file__).parents[2] / "docs/examples/netlab-udp.yaml"
# What is filled in there by netlab: the run's secret.
NONCE = "{nonce}"


def source(secret: str) -> str:
    """Return the program, which answers every datagram with a secret."""
    example = YAML(typ="safe").load(EXAMPLE.read_text(encoding="utf-8"))
    return str(example["service"]["files"]["server.py"]).replace(NONCE, secret)
