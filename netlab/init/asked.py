"""A first `netlab.yaml` from answers: what starts the server, where it listens, who may. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netlab.errors import NetlabError
from netlab.init.secrets import MASK, masked
from netlab.init.start import Row, Rule, Start, targets, versions_reached

# What is dialled of a server that nobody else gets to, when somebody should: the reason is worth a red cell.
_EVERY_VERSION = (4,)


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked, answered.

    Attributes:
        command: what starts the server, as a shell would take it.
        port: the port that it listens on.
        check: how its answer is recognised.
        lab: the name of a lab.
        binds: the addresses to try.
        allowed: who should get through.
    """

    command: str
    port: int
    check: str
    lab: str
    binds: tuple[str, ...]
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What of a lab decides what is written.

    Attributes:
        network: the one whose addresses names stand for.
        others: who dials, besides the server's own host.
    """

    network: str
    others: tuple[str, ...]


def from_answers(answers: Answers, places: Mapping[str, Place]) -> Start:
    """Return the check that the answers mean.

    Args:
        answers: of a person, or of options.
        places: the labs that there are.

    Raises:
        NetlabError: an answer can't be followed.
    """
    if answers.lab not in places:
        raise NetlabError(f"no lab is called {answers.lab!r}: there is {', '.join(places)}")
    place = places[answers.lab]
    for name in answers.allowed:
        if name not in place.others:
            raise NetlabError(
                f"nobody in {answers.lab} is called {name!r}: there is {', '.join(place.others)}"
            )
    words, hidden = masked(words_of(answers.command))
    note = (
        f"{hidden} of the command's words looked like secrets and were not written down: where {MASK} "
        "stands, have it read a file or a variable instead."
    )
    return Start(
        origin="from answers",
        lab=answers.lab,
        port=answers.port,
        binds=tuple(Row(address, {"address": address}) for address in answers.binds),
        vantages=(),
        rules=tuple(_rules(answers, place)),
        command=words,
        check=answers.check,
        notes=(note,) if hidden else (),
    )


def words_of(command: str) -> list[str]:
    """Split a command as a shell would.

    Raises:
        NetlabError: a quote is open, or there is nothing.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise NetlabError(f"--command {command!r}: {error}") from None
    if not words:
        raise NetlabError("--command: what starts the server? It is empty")
    return words


def _rules(answers: Answers, place: Place) -> Iterator[Rule]:
    """Yield who should get through, by what the server's name and its addresses are."""
    denied = tuple(name for name in place.others if name not in answers.allowed)
    if denied:
        yield Rule("deny", {"from": denied})
    if not answers.allowed:
        return
    for versions, binds in _by_versions(answers.binds).items():
        of = {"bind": binds} if len(binds) < len(answers.binds) else {}
        to = targets(place.network, versions or _EVERY_VERSION)
        yield Rule("allow", {**of, "from": answers.allowed, "to": to})


def _by_versions(binds: Sequence[str]) -> dict[frozenset[int], tuple[str, ...]]:
    by_versions: dict[frozenset[int], tuple[str, ...]] = {}
    for address in binds:
        versions = versions_reached(address)
        by_versions[versions] = (*by_versions.get(versions, ()), address)
    return by_versions
