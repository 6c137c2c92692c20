"""Rules that a file could as well leave out: they could not fail, or not be met. Pure.

Most are slips of the pen, and would pass for an expectation that is held: `deny: {from: [peer, remoet]}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.expectations.rules import (
    Expectation,
    Rule,
    Surroundings,
    expectation_of,
    is_about,
    matches,
    names_of_target,
    names_of_vantage,
)
from netlab.experiments.plan import Dial
from netlab.model import Protocol, Verdict
from netlab.yamlfile import Path, did_you_mean

# What comes of dials by one protocol only (`netlab.judging`).
_ONLY_BY = {
    Verdict.ACCEPTED: Protocol.TCP,
    Verdict.TIMEOUT: Protocol.TCP,
    Verdict.NO_ANSWER: Protocol.UDP,
    Verdict.WRONG_SOURCE: Protocol.UDP,
}

Problem = tuple[Path, str]


def pointless(
    rules: Sequence[Rule], dials: Sequence[Dial], around: Surroundings, protocols: Mapping[str, Protocol]
) -> Iterator[Problem]:
    """Yield where a rule is pointless, in the list of rules, and why.

    Args:
        rules: the general ones first.
        dials: all that there are.
        around: what `network:` and `group:` stand for.
        protocols: by which each bind's service is dialled.
    """
    there = _names(dials, around)
    decisions = {dial: expectation_of(rules, dial, around) for dial in dials}
    for index, rule in enumerate(rules):
        wants, its = rule.expectation.wants, [dial for dial in dials if is_about(rule, dial, around)]
        for key, patterns in (("bind", rule.binds), ("from", rule.vantages), ("to", rule.targets)):
            for problem in _unmatched(key, patterns or (), there[key]):
                yield (index, wants, key), problem
        if not its:
            yield (
                (index,),
                f"no dial has such a bind, vantage and target at once: {wants} would always be met",
            )
        elif not _is_default(rule) and not any(_wants(decisions[dial], wants) for dial in its):
            yield (
                (index,),
                f"later rules contradict {wants} wherever it holds: put it after them, or leave it out",
            )
        yield from (((index,), problem) for problem in _never(wants, {protocols[d.bind.name] for d in its}))


def _names(dials: Iterable[Dial], around: Surroundings) -> dict[str, tuple[str, ...]]:
    """Return what there is to be named below each key of a rule."""
    names: dict[str, dict[str, None]] = {"bind": {}, "from": {}, "to": {}}
    for dial in dials:
        names["bind"][dial.bind.name] = None
        names["from"].update(dict.fromkeys(names_of_vantage(dial, around)))
        names["to"].update(dict.fromkeys(names_of_target(dial, around)))
    return {key: tuple(sorted(found, key=lambda name: ":" in name)) for key, found in names.items()}


def _unmatched(key: str, patterns: Iterable[str], names: Sequence[str]) -> Iterator[str]:
    kind = {"bind": "bind", "from": "vantage", "to": "target"}[key]
    for pattern in patterns:
        if not any(matches(pattern, name) for name in names):
            hint = did_you_mean(pattern, names)
            yield f"no {kind} is called {pattern!r}{hint}: there is {', '.join(names)}"


def _wants(decision: Expectation | None, wants: str) -> bool:
    return decision is not None and decision.wants == wants


def _is_default(rule: Rule) -> bool:
    """Whether it is about everything: it holds for what is yet to come, too."""
    return all(of is None or "*" in of for of in (rule.binds, rule.vantages, rule.targets))


def _never(wants: str, protocols: set[Protocol]) -> Iterator[str]:
    """Say that an outcome never comes of any of the protocols."""
    verdict = next((verdict for verdict in _ONLY_BY if wants.partition(" (")[0] == verdict), None)
    if verdict is not None and protocols and _ONLY_BY[verdict] not in protocols:
        (protocol,) = protocols
        possible = [other for other in Verdict if _ONLY_BY.get(other, protocol) is protocol]
        yield f"{verdict} never comes of {protocol.upper()}: there is {', '.join(possible)}"
