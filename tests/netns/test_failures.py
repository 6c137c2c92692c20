"""Faults that people run into, planted as docs/failures.md has them: told as it says, mended as told."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from netlab.errors import ExitCode
from tests.certificates import Authority
from tests.requirements import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE = (Path(__file__).parents[2] / "docs" / "failures.md").read_text(encoding="utf-8")
PYTHON = sys.executable

File = dict[str, Any]


# --- What the page says ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A file that plants several faults, and what is told of each."""

    text: str
    messages: tuple[str, ...]


def sections() -> dict[str, Section]:
    """Return the sections by their titles; the message above the first one is one of its messages."""
    before, *parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    found = {}
    for part in parts:
        title, _, rest = part.partition("\n")
        blocks = re.findall(r"^```(\w*)\n(.*?)\n```$", before + rest, re.DOTALL | re.MULTILINE)
        (text,) = (block for language, block in blocks if language == "yaml")
        messages = (block for language, block in blocks if not language)
        found[title], before = Section(text, tuple(messages)), ""
    return found


TITLES = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
each = pytest.mark.parametrize("title", TITLES)


# --- What netlab says --------------------------------------------------------------------------------------


def check(folder: Path, text: str) -> tuple[int, list[str]]:
    """Check a file; return the exit code, and the messages of the cells that fail."""
    (folder / "netlab.yaml").write_text(text, encoding="utf-8")
    ended = subprocess.run(
        [PYTHON, "-m", "netlab", "check", "--json", "-"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
    )
    if ended.returncode == ExitCode.UNAVAILABLE:
        unavailable("netns", ended.stderr)
    assert ended.stdout, ended.stderr
    return ended.returncode, [
        cell["message"] for cell in json.loads(ended.stdout)["cells"] if cell["message"]
    ]


@functools.cache
def told(title: str) -> tuple[str, ...]:
    """Plant the faults of a section, once for all tests; return what netlab says of each."""
    if "nft" in sections()[title].text and not shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin:/bin"):
        unavailable("services", "nft is not installed (nftables)")
    with tempfile.TemporaryDirectory() as folder:
        certify(Path(folder), "expired.pem", "www.example.test", until_days=-1)
        certify(Path(folder), "misnamed.pem", "old.example.test")
        code, messages = check(Path(folder), sections()[title].text)
    assert code == ExitCode.DISAGREES
    return tuple(messages)


def certify(folder: Path, name: str, *names: str, until_days: float = 30) -> None:
    (folder / name).write_text(Authority("tests").sign(*names, since_days=-40, until_days=until_days))


def steady(message: str) -> str:
    """Leave out what differs from run to run and from machine to machine: ports, times, dates, paths."""
    message = re.sub(r"\.101:\d+ ->|(?<=from )[0-9.]+:\d{5};|[0-9.]+ m?s\b|\d{4}-\d\d-\d\d", "", message)
    return re.sub(r"/\S+/python\S*:", "python:", message)


def shows(shown: str, message: str) -> bool:
    """Whether a message is what the page shows, in which `...` stands for lines that are left out."""
    left_out = r"   \d+ .*(?:\n   \d+ .*)*"
    lines = (left_out if line == "   ..." else re.escape(line) for line in steady(shown).splitlines())
    return re.fullmatch("\n".join(lines), steady(message)) is not None


@each
def test_what_is_told_of_each_fault_is_what_the_page_shows(title: str) -> None:
    shown = sections()[title].messages
    for message in told(title):
        assert sum(shows(one, message) for one in shown) == 1, message
    assert len(told(title)) == len(shown)


def test_there_are_twelve_faults_and_more() -> None:
    assert sum(len(section.messages) for section in sections().values()) >= 12


# --- What to change ----------------------------------------------------------------------------------------


def listen_on(file: File, bind: str, match: re.Match[str]) -> None:
    file["binds"][bind] = match[1]


def take_port(file: File, bind: str, match: re.Match[str]) -> None:
    file["binds"][bind]["port"] = int(match[1])


def take_another_port(file: File, bind: str, match: re.Match[str]) -> None:
    file["binds"][bind]["port"] = file["service"]["port"] + 1


def be_what_is_checked(file: File, bind: str, match: re.Match[str]) -> None:
    """Start the service itself instead of what was there."""
    del file["binds"][bind]["command"]


def let_through(file: File, bind: str, match: re.Match[str]) -> None:
    protocol = file["service"].get("protocol", "tcp")
    rule = f"nft insert rule inet filter input ip daddr {match[1]} {protocol} dport {match[2]} accept\n"
    file["service"]["files"]["filtered"] = file["service"]["files"]["filtered"].replace("exec", rule + "exec")


def answer_or_let_through(file: File, bind: str, match: re.Match[str]) -> None:
    """See whether it is the service itself that passes over the question; if not, look for the filter."""
    if "wants-more" in file["binds"][bind]["command"]:
        be_what_is_checked(file, bind, match)
    else:
        let_through(file, bind, match)


def give_route(file: File, bind: str, match: re.Match[str]) -> None:
    lab, of = file["lab"], match[1]
    host = lab["hosts"].get(of, lab["servers"])
    (network,) = (
        name for name, it in lab["networks"].items() if ip_address(match[2]) in ip_network(it["ipv4"])
    )
    host["routes"] = [{"to": network, "via": "router"}]


def dial(file: File, bind: str, match: re.Match[str]) -> None:
    file["vantages"]["peer"][match[1]] = match[2]


def start_what_is_behind(file: File, bind: str, match: re.Match[str]) -> None:
    command = (
        "{python} -m http.server --bind 127.0.0.1 9000 & "
        "until {python} -c 'import socket; socket.create_connection((\"127.0.0.1\", 9000))'; do :; done; "
        "exec {python} {data}/proxy.py"
    )
    file["binds"][bind]["command"] = ["sh", "-c", command]


def ask_for_what_is_there(file: File, bind: str, match: re.Match[str]) -> None:
    file["binds"][bind]["check"]["http"]["path"] = "/"


def renew(file: File, bind: str, match: re.Match[str]) -> None:
    """Name another file: it is there when this is tried."""
    file["binds"][bind]["command"][-1] = "good.pem"


# What a message names, and what somebody who reads it does then. The first that is in it counts.
REMEDIES: Mapping[str, Callable[[File, str, re.Match[str]], None]] = {
    r"to open it: bind ([0-9.]+)": listen_on,
    r"there is 0\.0\.0\.0:(\d+): is that its port\?": take_port,
    r"take a port from (\d+) on": take_port,
    r"Address already in use[^$]*, or take another port$": take_another_port,
    r"No module named http\.serve$": be_what_is_checked,
    r"connect ([0-9.]+):(\d+): [^$]* let it through in the packet filter": let_through,
    r"ask ([0-9.]+):(\d+): [^$]* let it through in the packet filter": let_through,
    r"ask ([0-9.]+):(\d+): no answer[^$]* answers such a question; if it does, let": answer_or_let_through,
    r"answer by the socket that it is asked by$": be_what_is_checked,
    r"give (\S+) a (?:way back|route) to (\S+)": give_route,
    r"dials (\S+) [^$]*dial an address of server-any \(([0-9.]+)": dial,
    r"the connection was (?:reset|closed)[^$]*if it is a proxy, the server behind it$": start_what_is_behind,
    r"see whether what listens on \S+ hangs": be_what_is_checked,
    r"not an HTTP server[^$]*if it is another program, take another port$": be_what_is_checked,
    r"HTTP 404 to GET /health, expected 200\n": ask_for_what_is_there,
    r": (?:expired|not for 'www\.example\.test')\n": renew,
}


@each
def test_who_does_what_the_messages_name_gets_through(title: str, tmp_path: Path) -> None:
    file = YAML(typ="safe").load(sections()[title].text)
    for message in told(title):
        match, remedy = next(
            (found, remedy) for words, remedy in REMEDIES.items() if (found := re.search(words, message))
        )
        remedy(file, message.partition(":")[0], match)
    certify(tmp_path, "good.pem", "www.example.test")
    code, messages = check(tmp_path, json.dumps(file))
    assert messages == []
    assert code == ExitCode.OK
