"""The JSON Schema of netlab.yaml says what the reader of the file says, and the published one is current."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from netlab.errors import FileError
from netlab.expectations.checkfile import read
from netlab.expectations.jsonschema import json_schema

ROOT = Path(__file__).parents[3]
SCHEMA = json_schema()
SERVICE = "service: {command: [srv, '{address}'], port: 80}\n"
# Of an inventory nothing is looked at here, but for the file.
INVENTORY = "hosts: {lab01: {address: 192.0.2.1}}\n"


def accepts(text: str) -> bool:
    tree = json.loads(json.dumps(YAML(typ="safe").load(text)))
    validator: Any = jsonschema.Draft202012Validator(SCHEMA)
    return bool(validator.is_valid(tree))


def reads(text: str, folder: Path) -> bool:
    (folder / "compose.yaml").write_text("services: {}")
    (folder / "lab.yaml").write_text(INVENTORY)
    try:
        read("netlab.yaml", text, folder)
    except FileError:
        return False
    return True


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_published_one_is_current() -> None:
    published = json.loads((ROOT / "docs" / "netlab.schema.json").read_text(encoding="utf-8"))
    assert published == SCHEMA, "write it anew: netlab schema docs/netlab.schema.json"


@pytest.mark.parametrize(
    "text",
    [
        SERVICE,
        SERVICE + "binds: ['::', 127.0.0.1]",
        SERVICE + "binds: {any: '::', lan: {address: '{lan.ipv4}', port: 81, check: http}}",
        SERVICE + "binds: {itself: }",
        SERVICE + "expect: [allow]",
        SERVICE + "expect: [{deny: outsider}, {allow: [peer, remote]}, {refused: {to: lan-ipv4}}]",
        SERVICE + "expect: [{'accepted (reset)': {bind: any, from: 'network:*', to: ['*-ipv4']}}]",
        SERVICE + "vantages: [peer]",
        SERVICE + "vantages: {peer: , server: {own: 127.0.0.1, lan: {address: '{lan.ipv4}'}}}",
        SERVICE + "groups: {others: peer, all: [peer, remote]}",
        SERVICE + "lab: lan",
        SERVICE
        + "lab: {names: a, networks: {a: {ipv4: 198.18.1.0/24}}, servers: {number: 1, networks: [a]}}",
        SERVICE + "patience_s: 2",
        "service: {port: 80, check: tcp}\nlab: {compose: compose.yaml}\nbinds: {web: }",
        "service: {port: 80, check: {http: {status: [200, 3xx]}}}\nlab: {project: shop}\nbinds: {web: }",
        "service: {port: 80}\nlab: {inventory: lab.yaml}\nbinds: {lab01: }",
    ],
)
def test_what_the_reader_takes_the_schema_takes(text: str, tmp_path: Path) -> None:
    assert reads(text, tmp_path)
    assert accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "service: {}",
        "service: {port: 0, command: [srv]}",
        "service: {port: '80', command: [srv]}",
        "service: {port: 80, command: srv}",
        "service: {port: 80, command: []}",
        "service: {port: 80, command: [srv], chekc: tcp}",
        "service: {port: 80, command: [srv], check: banner}",
        "service: {port: 80, command: [srv], check: {tcp: {}, http: {}}}",
        SERVICE + "expext: []",
        SERVICE + "expect: allow",
        SERVICE + "expect: [maybe]",
        SERVICE + "expect: [{allow: peer, deny: remote}]",
        SERVICE + "expect: [{}]",
        SERVICE + "expect: [{allow: {form: peer}}]",
        SERVICE + "expect: [{allow: []}]",
        SERVICE + "expect: [{allow: }]",
        SERVICE + "expect: [{allow: {}}]",
        SERVICE + "expect: {allow: peer}",
        SERVICE + "binds: []",
        SERVICE + "binds: {}",
        SERVICE + "binds: 127.0.0.1",
        SERVICE + "binds: {any: {adress: '::'}}",
        SERVICE + "vantages: []",
        SERVICE + "vantages: {}",
        SERVICE + "vantages: {peer: {}}",
        SERVICE + "groups: {'a b': peer}",
        SERVICE + "groups: {others: []}",
        SERVICE + "lab: {compose: compose.yaml, project: shop}",
        SERVICE + "lab: [lan]",
        SERVICE + "patience_s: 0",
        SERVICE + "title: 5",
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(text: str, tmp_path: Path) -> None:
    assert not reads(text, tmp_path)
    assert not accepts(text)


def checks_of_the_docs() -> Iterator[tuple[str, str]]:
    """Yield each check that a page shows, whole, and each that lies beside one."""
    for page in sorted(ROOT.glob("docs/**/*.md")):
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if re.search(r"^service:", text, re.MULTILINE) and "headline:" not in text:
                yield f"{page.name}", text
    for file in sorted(ROOT.glob("docs/**/*netlab.yaml")):
        yield file.name, file.read_text(encoding="utf-8")


def test_every_check_in_the_docs_is_one_for_the_schema() -> None:
    shown = [*checks_of_the_docs()]
    assert shown
    assert [page for page, text in shown if not accepts(text)] == []


def test_keys_have_the_words_of_their_docstrings() -> None:
    assert SCHEMA["$defs"]["CheckedServiceSection"]["properties"]["port"]["description"] == (
        "the port that it listens on."
    )
    assert SCHEMA["properties"]["expect"]["description"].startswith("the rules; the last one")
    alternatives = SCHEMA["$defs"]["SelectorSection"]["anyOf"]
    assert "patterns of vantages' names" in alternatives[-1]["properties"]["from"]["description"]
