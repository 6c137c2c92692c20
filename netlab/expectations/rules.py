"""Rules: what is expected of which cells. Pure.

The last rule that is about a cell decides, so that a file reads from the general to its exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address

from netlab.experiments.plan import Dial
from netlab.model import IPAddress, Outcome, Topology, Verdict

ALLOW, DENY = "allow", "deny"

_ERRNO = "E[A-Z0-9]+"
# The details that verdicts have (`netlab.judging`): `accepted (reset)`.
DETAILS = {
    Verdict.ACCEPTED: "reset|closed|silent",
    Verdict.WRONG_SOURCE: "port|[0-9A-Fa-f.:]+",
    Verdict.UNREACHABLE: _ERRNO,
    Verdict.UNRESOLVED: "EAI_[A-Z]+|EAI -?[0-9]+",
    Verdict.NOT_BOUND: _ERRNO,
}
# `allow`, `deny`, a verdict, or a verdict with its detail.
WANTED = re.compile(
    "|".join([ALLOW, DENY, *(v + (rf"( \(({DETAILS[v]})\))?" if v in DETAILS else "") for v in Verdict)])
)

# The service was there, and the dial did not get to it. A port that something else answers on is not denied,
# nor is one that takes a datagram and answers from elsewhere; and of a service that could not listen nothing
# is known.
_DENIED = frozenset(Verdict) - {
    Verdict.OPEN,
    Verdict.ACCEPTED,
    Verdict.WRONG_SERVICE,
    Verdict.WRONG_SOURCE,
    Verdict.NOT_BOUND,
}

_NETWORK, _GROUP = "network:", "group:"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should come of a dial, and who says so.

    Attributes:
        wants: `allow`, `deny`, a verdict, or a verdict and its detail.
        source: the file.
        line: of the rule, 1-based.
    """

    wants: str
    source: str
    line: int

    @property
    def text(self) -> str:
        """What is wanted, in words: `refused`; `deny (not reached)`."""
        return {ALLOW: "allow (open)", DENY: "deny (not reached)"}.get(self.wants, self.wants)

    @property
    def wants_open(self) -> bool:
        """Whether the dial should get through."""
        return self.wants in (ALLOW, Verdict.OPEN)

    def met_by(self, outcome: Outcome) -> bool:
        """Whether an outcome is what is wanted. A verdict alone is met whatever its detail."""
        if self.wants == ALLOW:
            return outcome.verdict is Verdict.OPEN
        if self.wants == DENY:
            return outcome.verdict in _DENIED
        return self.wants in (str(outcome), str(outcome.verdict))


@dataclass(frozen=True, slots=True)
class Rule:
    """An expectation, and the patterns of the cells that it is about; None where any will do.

    Attributes:
        vantages: names, `network:PATTERN`, `group:PATTERN`.
        targets: names, `network:PATTERN`.
    """

    expectation: Expectation
    binds: tuple[str, ...] | None = None
    vantages: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What `network:` and `group:` stand for.

    Attributes:
        topology: the lab's.
        groups: the vantages of each group, by its name.
    """

    topology: Topology
    groups: Mapping[str, tuple[str, ...]]

    def networks_of(self, host: str) -> tuple[str, ...]:
        """Return the networks that a host is on."""
        return tuple(link.network for link in self.topology.host(host).links)

    def networks_with(self, address: str) -> tuple[str, ...]:
        """Return the networks whose prefixes an address is in; none for a name."""
        try:
            wanted: IPAddress = ip_address(address)
        except ValueError:
            return ()
        return tuple(
            network.name
            for network in self.topology.networks
            if any(prefix is not None and wanted in prefix for prefix in (network.ipv4, network.ipv6))
        )


def expectation_of(rules: Sequence[Rule], dial: Dial, around: Surroundings) -> Expectation | None:
    """Return what is expected of a dial: by the last rule that is about it; None if none is."""
    for rule in reversed(rules):
        if is_about(rule, dial, around):
            return rule.expectation
    return None


def is_about(rule: Rule, dial: Dial, around: Surroundings) -> bool:
    """Whether a rule is about a dial."""
    return (
        _any_matches(rule.binds, (dial.bind.name,))
        and _any_matches(rule.vantages, names_of_vantage(dial, around))
        and _any_matches(rule.targets, names_of_target(dial, around))
    )


def names_of_vantage(dial: Dial, around: Surroundings) -> tuple[str, ...]:
    """Return all that a rule may call the one who dials; the server's own host is also called by its name."""
    names = (dial.vantage, dial.host)
    return (
        *names,
        *(_NETWORK + network for network in around.networks_of(dial.host)),
        *(_GROUP + group for group, members in around.groups.items() if {*names} & {*members}),
    )


def names_of_target(dial: Dial, around: Surroundings) -> tuple[str, ...]:
    """Return all that a rule may call what is dialled."""
    return (
        dial.target.name,
        *(_NETWORK + network for network in around.networks_with(dial.target.address)),
    )


def _any_matches(patterns: Sequence[str] | None, names: Sequence[str]) -> bool:
    if patterns is None:
        return True
    return any(matches(pattern, name) for pattern in patterns for name in names)


def matches(pattern: str, name: str) -> bool:
    """Whether a name has a pattern's form; `*` alone is about hosts, not about words with a colon."""
    for word in (_NETWORK, _GROUP):
        if name.startswith(word) != pattern.startswith(word):
            return False
    return fnmatchcase(name, pattern)
