"""Random topologies, routes, rules and settings: what is predicted is what the kernel does.

Two things depend on what happened before, and are left out: who was learnt by ARP from other traffic, where a
host would not answer a question for its address; and which ICMP errors a router still sends: `ip_error()`
grants each peer a burst of five, and one a second from then on. A third one is chance: which of several
routers answers for an anycast address.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING

import pytest

from netlab.agents import Agents
from netlab.model import BY_TCP, Verdict
from netlab.predict import View
from netlab.predict.routing import is_local
from tests.namespaces import bring_up
from tests.netns.islands import destinations, islands
from tests.netns.measuring import (
    BY_UDP,
    BY_UDP_FROM_DIALLED,
    Measured,
    measure,
    predicted,
    read,
    refused,
    start,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.model import Prediction, Transport

SEEDS = range(4200, 4205)  # some thirty hosts: as many agents dial at the same time
DIALS_PER_HOST = 24
TIMEOUT_S = 5.0
ERRORS_PER_PEER = 4  # of the five that a router sends at once

Dial = tuple[str, str]
FROM_DIALLED = BY_UDP_FROM_DIALLED
TRANSPORTS = {BY_TCP: "tcp", BY_UDP: "udp", FROM_DIALLED: "udp, answers from dialled"}


def asks_in_vain(view: View, prediction: Prediction, island: set[str]) -> bool:
    """Whether a host has the address that is asked for by ARP and would not say so."""
    hops = [step.text.split()[-1] for step in prediction.reason if "nobody on" in step.text]
    return any(is_local(view.facts[host], ip_address(hop)) for hop in hops if "." in hop for host in island)


def is_chance(prediction: Prediction) -> bool:
    """Whether the answer depends on which router takes the question: a SYN to all of them has none."""
    return prediction.outcome.verdict is not Verdict.TIMEOUT and any(
        "anycast" in step.text for step in prediction.reason
    )


def is_told(prediction: Prediction) -> bool:
    """Whether it ends with an ICMP error of a router that limits how many it sends."""
    last = prediction.reason[-1]
    return last.kind == "answer" and last.text.startswith("ICMP ") and "lost" not in last.text


Found = dict[Dial, Measured]


@pytest.fixture(scope="module")
def measured() -> dict[Transport, Found]:
    """Dial in each way, one after the other: in the five seconds between, errors are granted anew."""
    topology, plans, seeds = islands(SEEDS)
    rng = Random(SEEDS[0])
    with bring_up(topology) as lab, Agents(lab) as agents, ExitStack() as running:
        for channel in [start(lab, host, plan, running) for host, plan in plans.items()]:
            refused(channel)  # what the kernel refuses is not in the facts either
        view = View(read(agents, lab.hosts), topology)
        dials = [
            (host, target)
            for host in lab.hosts
            for target in destinations(topology, seeds, host, rng, DIALS_PER_HOST)
        ]
        found = {by: measured_by(agents, view, dials, seeds, by) for by in (BY_TCP, BY_UDP)}
        # Where it makes a difference which address the service answers from.
        elsewhere = [dial for dial, one in found[BY_UDP].items() if "wrong-source" in one.predicted]
        return {**found, FROM_DIALLED: measured_by(agents, view, elsewhere, seeds, FROM_DIALLED)}


def measured_by(
    agents: Agents, view: View, dials: Sequence[Dial], seeds: Mapping[str, int], transport: Transport
) -> Found:
    first: dict[Dial, Prediction] = {}
    second: dict[Dial, Prediction] = {}
    errors: Counter[tuple[str, str]] = Counter()
    for host, target in dials:
        prediction = predicted(view, host, target, transport)
        if asks_in_vain(view, prediction, {other for other in view.facts if seeds[other] == seeds[host]}):
            continue
        if is_chance(prediction):
            continue
        if is_told(prediction):
            errors[prediction.reason[-1].host, host] += 1
            if errors[prediction.reason[-1].host, host] <= ERRORS_PER_PEER:
                first[host, target] = prediction
        else:
            second[host, target] = prediction
    return measure(agents, first, TIMEOUT_S, transport) | measure(agents, second, TIMEOUT_S, transport)


@pytest.mark.parametrize("transport", TRANSPORTS, ids=TRANSPORTS.get)
def test_random_topologies_come_out_as_predicted(
    measured: dict[Transport, Found], transport: Transport
) -> None:
    found = measured[transport]
    wrong = [
        f"{host} dials {target}: {one}"
        for (host, target), one in found.items()
        if one.predicted != one.observed
    ]
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)
    outcomes = Counter(one.observed for one in found.values())
    if transport is FROM_DIALLED:
        assert outcomes["open"] > 20, outcomes
        return
    silence = "timeout" if transport is BY_TCP else "no-answer"
    assert len(found) > 500
    assert min(outcomes["open"], outcomes[silence], outcomes["unreachable (ENETUNREACH)"]) > 50, outcomes
    if transport is BY_UDP:
        assert sum(number for said, number in outcomes.items() if said.startswith("wrong-source")) > 20, (
            outcomes
        )
