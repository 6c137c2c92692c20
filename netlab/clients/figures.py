"""What was measured: values only."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from hftp.load.figures import KindFigures, Result
from hftp.load.shape import ACTIVE
from netlab.clients.loads import Load


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to attend clients: a strategy of the server, perhaps with several workers.

    Args:
        name: in tables and charts.
        flags: what makes `hftp serve` this.
    """

    name: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What the server's processes took for a load, all of them together.

    Args:
        rss_bytes: resident memory at its peak; what processes share is counted in each.
        pss_bytes: the same with what is shared divided among those that share it; 0 if it could not be read.
        threads: at their peak.
        processes: at their peak.
        switches: context switches, voluntary and not, from the load's beginning to the server's end.
        cpu_s: processor time of the same span, in seconds.
    """

    rss_bytes: int
    pss_bytes: int
    threads: int
    processes: int
    switches: int
    cpu_s: float

    @property
    def memory_bytes(self) -> int:
        """Return the fairest figure there is for the memory taken."""
        return self.pss_bytes or self.rss_bytes


@dataclass(frozen=True, slots=True)
class Cell:
    """One load against one variant.

    Args:
        variant: of the server.
        load: that was put on it.
        result: what the load generator saw; None if it or the server failed.
        cost: what the server took; None likewise.
        failure: why there is no result; empty if there is one.
    """

    variant: Variant
    load: Load
    result: Result | None
    cost: Cost | None
    failure: str = ""

    @property
    def asking(self) -> list[KindFigures]:
        """Return the figures of the clients that ask again and again."""
        return [kind for kind in self.result.kinds if kind.kind in ACTIVE] if self.result else []

    @property
    def starved(self) -> int:
        """Return how many clients that asked again and again had no answer at all."""
        return sum(kind.starved or 0 for kind in self.asking)

    @property
    def waiting_starved(self) -> int:
        """Return how many clients that asked once, late or slowly, had no answer."""
        kinds = self.result.kinds if self.result else []
        return sum(kind.starved or 0 for kind in kinds if kind.kind not in ACTIVE)

    @property
    def asked(self) -> int:
        """Return how many clients asked for something and took the answer."""
        kinds = self.result.kinds if self.result else []
        return sum(kind.clients for kind in kinds if kind.served is not None)

    @property
    def unanswered(self) -> int:
        """Return how many of them had no answer."""
        return self.starved + self.waiting_starved

    @property
    def serves_all(self) -> bool:
        """Return whether everyone who asked had an answer, and a new client afterwards, too."""
        if self.result is None or self.result.recovery_s is None:
            return False
        return not self.unanswered

    def per_request(self, amount: float) -> float | None:
        """Return an amount divided by the number of answers; None if there were none."""
        return amount / self.result.answers if self.result and self.result.answers else None

    @property
    def cpu_us(self) -> float | None:
        """Return the processor time that the server took for a request, in microseconds."""
        return self.per_request(self.cost.cpu_s * 1e6) if self.cost else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole run.

    Args:
        cells: in the order in which they were measured.
        processors: of this machine that the run could use.
        seconds: how long it took.
    """

    cells: tuple[Cell, ...]
    processors: int
    seconds: float

    @property
    def queued_share(self) -> float:
        """Return which share of the time the generator had to wait for a processor, at the median."""
        shares = [cell.result.generator.queued_share for cell in self.cells if cell.result]
        return statistics.median(shares) if shares else 0.0

    @property
    def variants(self) -> list[Variant]:
        """Return what was compared."""
        return list(dict.fromkeys(cell.variant for cell in self.cells))

    @property
    def loads(self) -> list[Load]:
        """Return what it was compared under."""
        return list(dict.fromkeys(cell.load for cell in self.cells))

    def cell(self, variant: Variant, load: Load) -> Cell:
        """Return one cell.

        Raises:
            KeyError: it was not measured.
        """
        for cell in self.cells:
            if (cell.variant, cell.load) == (variant, load):
                return cell
        raise KeyError((variant.name, load.name))
