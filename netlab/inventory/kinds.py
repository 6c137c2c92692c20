"""Which kind of inventory a file is: by its name where that says it, by what is in it otherwise."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Any

from netlab.inventory import ansible_yaml, labfile
from netlab.inventory.keywords import KNOWN


class Kind(Enum):
    """A kind of inventory, in words."""

    LAB = "a lab file"
    SSH = "an SSH configuration"
    ANSIBLE_INI = "an Ansible inventory (INI)"
    ANSIBLE_YAML = "an Ansible inventory (YAML)"


_YAML_SUFFIXES = (".yaml", ".yml", ".json")
_SECTION = re.compile(r"^\s*\[[^\]\n]+\]\s*(?:#.*)?$", re.MULTILINE)
_YAML_KEY = re.compile(r"""["']?[\w.-]+["']?\s*:(?:\s|$)""")
_SSH_LINE = re.compile(r'"?(?P<keyword>[A-Za-z0-9]+)"?(?:[ \t]*=[ \t]*|[ \t]+)\S')


def is_yaml(path: Path, text: str) -> bool:
    """Say whether a file is YAML."""
    if path.suffix in _YAML_SUFFIXES:
        return True
    first = _first_line(text)
    return first.startswith(("---", "%YAML", "{")) or (path.suffix == "" and bool(_YAML_KEY.match(first)))


def kind_of_tree(tree: Any) -> Kind:
    """Say which kind a YAML file is; a lab file in doubt, as its errors say more."""
    if not isinstance(tree, dict) or any(key in tree for key in labfile.KEYS):
        return Kind.LAB
    groups = [value for value in tree.values() if isinstance(value, dict)]
    if "all" in tree or any(key in group for group in groups for key in ansible_yaml.KEYS):
        return Kind.ANSIBLE_YAML
    return Kind.LAB


def kind_of_text(text: str) -> Kind:
    """Say which kind a file is that is no YAML."""
    if _SECTION.search(text):
        return Kind.ANSIBLE_INI
    found = _SSH_LINE.match(_first_line(text))
    return Kind.SSH if found and found["keyword"].lower() in KNOWN else Kind.ANSIBLE_INI


def _first_line(text: str) -> str:
    """Return the first line that says something."""
    lines = (line.strip() for line in text.split("\n"))
    return next((line for line in lines if line and line[0] not in "#;"), "")
