"""Random topologies, routes, rules and settings: what is predicted is what the kernel does.

Two things depend on what happened before, and are left out: who was learnt by ARP from other traffic, where a
host would not answer a question for its address; and which ICMP errors a router still sends: `ip_error()`
grants each peer a burst of five, and one a second from then on.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING

import pytest

from netlab.agents import Agents
from netlab.backends.netns import NetnsLab
from netlab.errors import BackendUnavailableError
from netlab.predict import View
from netlab.predict.routing import is_local
from tests.netns.islands import destinations, islands
from tests.netns.measuring import measure, predicted, read, refused, start
from tests.requirements import unavailable

if TYPE_CHECKING:
    from netlab.model import Prediction

SEEDS = range(4200, 4205)  # some thirty hosts: as many agents dial at the same time
DIALS_PER_HOST = 24
TIMEOUT_S = 5.0
ERRORS_PER_PEER = 4  # of the five that a router sends at once


def asks_in_vain(view: View, prediction: Prediction, island: set[str]) -> bool:
    """Whether a host has the address that is asked for by ARP and would not say so."""
    hops = [step.text.split()[-1] for step in prediction.reason if "nobody on" in step.text]
    return any(is_local(view.facts[host], ip_address(hop)) for hop in hops if "." in hop for host in island)


def is_told(prediction: Prediction) -> bool:
    """Whether it ends with an ICMP error of a router that limits how many it sends."""
    last = prediction.reason[-1]
    return last.kind == "answer" and last.text.startswith("ICMP ") and "lost" not in last.text


def test_random_topologies_come_out_as_predicted() -> None:
    topology, plans, seeds = islands(SEEDS)
    rng = Random(SEEDS[0])
    first: dict[tuple[str, str], Prediction] = {}
    second: dict[tuple[str, str], Prediction] = {}
    errors: Counter[tuple[str, str]] = Counter()
    try:
        with NetnsLab(topology) as lab, Agents(lab) as agents, ExitStack() as running:
            for channel in [start(lab, host, plan, running) for host, plan in plans.items()]:
                refused(channel)  # what the kernel refuses is not in the facts either
            view = View(read(agents, lab.hosts), topology)
            for host in lab.hosts:
                island = {other for other in lab.hosts if seeds[other] == seeds[host]}
                for target in destinations(topology, seeds, host, rng, DIALS_PER_HOST):
                    prediction = predicted(view, host, target)
                    if asks_in_vain(view, prediction, island):
                        continue
                    if is_told(prediction):
                        errors[prediction.reason[-1].host, host] += 1
                        if errors[prediction.reason[-1].host, host] <= ERRORS_PER_PEER:
                            first[host, target] = prediction
                    else:
                        second[host, target] = prediction
            measured = measure(agents, first, TIMEOUT_S) | measure(agents, second, TIMEOUT_S)
    except BackendUnavailableError as error:
        unavailable("netns", str(error))
    wrong = [
        f"seed {seeds[host]}, {host} dials {target}: {found}"
        for (host, target), found in measured.items()
        if found.predicted != found.observed
    ]
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)
    outcomes = Counter(found.observed for found in measured.values())
    assert len(measured) > 500
    assert min(outcomes["open"], outcomes["timeout"], outcomes["unreachable (ENETUNREACH)"]) > 50, outcomes
