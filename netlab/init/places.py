"""The labs that come with netlab, as far as a first check has to know them."""

from __future__ import annotations

from netlab.errors import ExperimentError
from netlab.expectations.labs import shipped_labs
from netlab.experiments.schema import ExperimentSection, LabSection
from netlab.init.asked import Place
from netlab.yamlfile import parse


def places() -> dict[str, Place]:
    """Return the labs by name."""
    return {name: _place(name, entry.read_text(encoding="utf-8")) for name, entry in shipped_labs().items()}


def _place(name: str, text: str) -> Place:
    file = parse(f"{name}.yaml", text, ExperimentError)
    whole = "binds" in file.tree
    said = file.validate(ExperimentSection if whole else LabSection, "a lab")
    return Place(said.names, tuple(host for host, section in said.hosts.items() if not section.forwards))
