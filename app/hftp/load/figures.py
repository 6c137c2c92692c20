"""What came of a load, in numbers. They are plain values, so that JSON can carry them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hftp.load.client import Tally

# From this share of the time on, what the server could do is hidden by what the generator could.
BOTTLENECK_SHARE = 0.9


@dataclass(frozen=True)
class Latency:
    """Times from requests to the ends of their answers, in seconds; None where there were no answers.

    Attributes:
        worst: The longest anyone waited, whether or not an answer came in the end.
    """

    p50: float | None
    p99: float | None
    worst: float | None


@dataclass(frozen=True)
class KindFigures:
    """What the clients of one kind have seen.

    Attributes:
        kind: Its name, as in ``shape``.
        clients: How many there were.
        served: How many of them got an answer; None for those that take none.
        starved: How many asked and got none; None likewise.
        held: How many still had a connection at the end.
        lost: How often the server ended or refused a connection.
        answers: To all of them; how often they vanished, for those that vanish.
        fewest: Answers to the client that got fewest.
        most: Answers to the client that got most.
        bytes: Of the file (after base64), in all.
        latency: Of the answers.
        wrong: Beginnings of answers that were not as they should be.
    """

    kind: str
    clients: int
    served: int | None
    starved: int | None
    held: int
    lost: int
    answers: int
    fewest: int
    most: int
    bytes: float
    latency: Latency
    wrong: list[str]


@dataclass(frozen=True)
class Generator:
    """What the load generator itself took.

    Attributes:
        cpu_share: Processor time it used, as a share of the time that passed.
        queued_share: Time it was ready and had no processor; 0 where the system does not tell.
        busy_share: Time that its loop was not waiting for the server.
        longest_turn_s: How long an answer may have waited here before it was seen, in seconds.
    """

    cpu_share: float
    queued_share: float
    busy_share: float
    longest_turn_s: float

    @property
    def was_bottleneck(self) -> bool:
        """Whether it, and not the server, may have set the pace."""
        return max(self.cpu_share + self.queued_share, self.busy_share) >= BOTTLENECK_SHARE


@dataclass(frozen=True)
class Result:
    """What came of a load.

    Attributes:
        server: Its address.
        seconds: How long the load lasted.
        answers: To active clients, in all.
        requests_per_s: Answers a second.
        bytes_per_s: Of the file, after base64.
        latency: Of all answers to active clients.
        kinds: One for each kind of client.
        recovery_s: When all had left, how long a new client waited for its answer; None: not in time.
        generator: What measuring took.
        bottleneck: Whether the generator may have set the pace.
    """

    server: str
    seconds: float
    answers: int
    requests_per_s: float
    bytes_per_s: float
    latency: Latency
    kinds: list[KindFigures]
    recovery_s: float | None
    generator: Generator
    bottleneck: bool


def latency_of(latencies: Sequence[float], waiting: Sequence[float] = ()) -> Latency:
    """Summarise times.

    Args:
        latencies: Of answers, in seconds, in any order.
        waiting: How long those have waited that had no answer when the load ended.

    Returns:
        The percentiles of the answers (nearest rank); the worst of both.
    """
    ordered = sorted(latencies)
    worst = max([*ordered[-1:], *waiting], default=None)
    if not ordered:
        return Latency(None, None, worst)
    return Latency(_percentile(ordered, 50), _percentile(ordered, 99), worst)


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Give the smallest value that so many percent of all do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def figures_of(tally: Tally, now: float) -> KindFigures:
    """Make figures of what one kind has seen.

    Args:
        tally: Of that kind.
        now: When the load ended, by the loop's clock.
    """
    answers = [client.answers for client in tally.clients]
    takes_answers = tally.kind not in ("never-reading", "vanishing")
    served = sum(1 for count in answers if count) if takes_answers else None
    return KindFigures(
        kind=tally.kind,
        clients=len(answers),
        served=served,
        starved=None if served is None else len(answers) - served,
        held=sum(client.connected for client in tally.clients),
        lost=tally.lost,
        answers=sum(answers),
        fewest=min(answers),
        most=max(answers),
        bytes=tally.received * tally.share,
        latency=latency_of(tally.latencies, waiting_times(tally, now)),
        wrong=[ascii(text.decode("latin-1")) for text in tally.wrong],
    )


def waiting_times(tally: Tally, now: float) -> list[float]:
    """Tell how long each client has waited that has no answer yet, in seconds."""
    return [now - client.asked_at for client in tally.clients if client.asked_at]
