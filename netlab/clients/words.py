"""The answer, in sentences: computed from the figures, so that another machine may get another one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from operator import itemgetter

from hftp.load.words import duration
from netlab.clients.figures import Cell, Comparison, Cost, Variant
from netlab.clients.loads import CALM, TROUBLES, Load

# Figures of one run on a busy machine that are as near to each other as this say nothing about an order.
ALIKE = 0.9

# From this share of its time on, what the generator waits for a processor is a part of what it measures.
BUSY = 0.15

# Trouble counts as felt when the others' slowest percent waits this much longer than without it.
FELT = 2.0


def answer(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield what the figures say: a question, and the sentences that answer it."""
    yield "Who attends several clients?", " ".join(_about_starving(comparison))
    yield "How fast?", " ".join(_about_speed(comparison))
    yield "What does a client cost?", " ".join(_about_cost(comparison))
    if any(load in comparison.loads for load in TROUBLES):
        yield "Who bears trouble?", " ".join(_about_trouble(comparison))
    yield "And afterwards?", " ".join(_about_recovery(comparison))
    yield "So which?", " ".join(_choice(comparison))
    if caveats := list(_caveats(comparison)):
        yield "But", " ".join(caveats)


def _cells(comparison: Comparison, variant: Variant) -> list[Cell]:
    return [cell for cell in comparison.cells if cell.variant == variant]


def _named(names: Iterable[str]) -> str:
    *first, last = list(names)
    return f"{', '.join(first)} and {last}" if first else last


def _about_starving(comparison: Comparison) -> Iterator[str]:
    good = [variant.name for variant in comparison.variants if _serves_all(comparison, variant)]
    if good:
        every = "Every one" if len(good) == len(comparison.variants) > 1 else _named(good)
        yield f"{every} gave everyone an answer under each load."
    for variant in comparison.variants:
        if variant.name not in good:
            yield from _first_failure(comparison, variant)


def _serves_all(comparison: Comparison, variant: Variant) -> bool:
    return all(cell.serves_all for cell in _cells(comparison, variant))


def _first_failure(comparison: Comparison, variant: Variant) -> Iterator[str]:
    cells = _cells(comparison, variant)
    failed = [cell for cell in cells if cell.result is None]
    starving = [cell for cell in cells if cell.unanswered]
    for cell in failed[:1]:
        yield f"{variant.name} could not be measured under {cell.load.name}: {cell.failure}."
    if starving:
        worst = max(starving, key=lambda cell: cell.unanswered / cell.asked)
        loads = _named(cell.load.name for cell in starving)
        yield (
            f"{variant.name} left clients without any answer under {loads}; at worst {worst.unanswered} of "
            f"{worst.asked} ({worst.load.name})."
        )


def _about_speed(comparison: Comparison) -> Iterator[str]:
    for load in comparison.loads:
        if load.trouble:
            continue
        rates = _ranking(
            (cell.variant.name, cell.result.requests_per_s)
            for cell in comparison.cells
            if cell.load == load and cell.result and not cell.starved
        )
        if not rates:
            yield f"With {load.name} nobody served all."
            continue
        best = rates[0][1]
        first = [name for name, rate in rates if rate >= ALIKE * best]
        rest = [f"{name} {rate / best:.2f}" for name, rate in rates if rate < ALIKE * best]
        others = f"; of that rate, {_named(rest)}" if rest else ""
        alike = " (too near to tell apart)" if len(first) > 1 else ""
        yield f"With {load.name}: {_named(first)}{alike}, {best:,.0f} requests a second{others}."
    yield from _about_work(comparison)


def _about_work(comparison: Comparison) -> Iterator[str]:
    """Say what a request costs the server with the largest crowd."""
    crowd = _crowds(comparison)[-1]
    costs = sorted((_work_us(cell), cell.variant.name) for cell in comparison.cells if cell.load == crowd)
    shown = [f"{name} {cost:,.0f}" for cost, name in costs if cost < math.inf]
    if shown:
        yield f"Of its processor time a request takes, with {crowd.name}, in microseconds: {_named(shown)}."


def _crowds(comparison: Comparison) -> list[Load]:
    return [load for load in comparison.loads if not load.trouble]


def _work_us(cell: Cell) -> float:
    return math.inf if cell.cpu_us is None else cell.cpu_us


def _ranking(rates: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(rates, key=itemgetter(1), reverse=True)


def _about_cost(comparison: Comparison) -> Iterator[str]:
    few, many = _crowds(comparison)[0], _crowds(comparison)[-1]
    for variant in comparison.variants:
        small, large = comparison.cell(variant, few).cost, comparison.cell(variant, many).cost
        if small and large:
            served = _starving_note(comparison.cell(variant, many))
            yield (
                f"{variant.name}: {large.memory_bytes / 2**20:,.0f} MiB, {_count(large.threads, 'thread')} "
                f"and {_count(large.processes, 'process')} for {many.name}{served}"
                f"{_each_more(small, large, few, many)}."
            )


def _each_more(small: Cost, large: Cost, few: Load, many: Load) -> str:
    if few == many:
        return ""
    each = max(0, large.memory_bytes - small.memory_bytes) / (many.clients - few.clients)
    return f", {each / 1024:,.{0 if each >= 10 * 1024 else 1}f} KiB for each more"


def _starving_note(cell: Cell) -> str:
    return f" (of whom it served {cell.load.clients - cell.starved})" if cell.starved else ""


def _count(number: int, word: str) -> str:
    plural = f"{word}es" if word.endswith("s") else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"


def _about_trouble(comparison: Comparison) -> Iterator[str]:
    for load in comparison.loads:
        if load in TROUBLES:
            felt = [said for variant in comparison.variants if (said := _felt(comparison, variant, load))]
            yield f"{load.name}: {'; '.join(felt) or 'nobody felt it'}."


def _felt(comparison: Comparison, variant: Variant, load: Load) -> str:
    """Say what trouble did to the others; nothing if it did nothing."""
    cell, calm = comparison.cell(variant, load), comparison.cell(variant, CALM)
    if cell.result is None or calm.result is None:
        return f"{variant.name} was not measured"
    if cell.starved > calm.starved:
        return f"{variant.name} starved {cell.starved} of the {load.clients} ({calm.starved} without it)"
    if calm.starved:  # what the few that were served waited says nothing about the others
        return ""
    before, after = calm.result.latency.p99, cell.result.latency.p99
    if before and after and after > FELT * before:
        return f"with {variant.name} the others' p99 went from {duration(before)} to {duration(after)}"
    return ""


def _about_recovery(comparison: Comparison) -> Iterator[str]:
    """Say how long a new client waited when all had left at once: the worst of all loads."""
    for variant in comparison.variants:
        results = [(cell.load.name, cell.result) for cell in _cells(comparison, variant) if cell.result]
        lost = [name for name, result in results if result.recovery_s is None]
        if lost:
            yield f"{variant.name} served no new client in time after {_named(lost)}."
        elif results:
            name, worst = max(results, key=lambda each: each[1].recovery_s or 0.0)
            yield f"{variant.name} served a new client after {duration(worst.recovery_s)} at worst ({name})."


def _choice(comparison: Comparison) -> Iterator[str]:
    crowd = _crowds(comparison)[-1]
    able = [variant for variant in comparison.variants if _serves_all(comparison, variant)]
    if not able:
        yield "None served everyone under each load, so none of them can be recommended."
        return
    cells = [comparison.cell(variant, crowd) for variant in able]
    least = min(map(_work_us, cells))
    near = [cell for cell in cells if ALIKE * _work_us(cell) <= least]
    # Among those that work as little, the one that takes the least memory.
    best = min(near, key=lambda cell: cell.cost.memory_bytes if cell.cost else 0)
    assert best.result is not None
    assert best.cost is not None
    alone = (
        "does the least work for a request" if len(near) == 1 else "is the smallest of those that work least"
    )
    yield (
        f"{best.variant.name}: of those that served everyone it {alone}, with {crowd.name}: "
        f"{_work_us(best):,.0f} us, {best.result.requests_per_s:,.0f} requests a second, "
        f"p99 {duration(best.result.latency.p99)}, {best.cost.memory_bytes / 2**20:.0f} MiB."
    )


def _caveats(comparison: Comparison) -> Iterator[str]:
    if comparison.queued_share > BUSY:
        yield (
            "other programs kept this machine busy: the load generator waited "
            f"{comparison.queued_share:.0%} of its time for a processor. Rates and waiting times are partly "
            "theirs; processor time, memory and who was served are the server's."
        )
    limited = [cell for cell in comparison.cells if cell.result and cell.result.bottleneck]
    if limited:
        names = dict.fromkeys(f"{cell.variant.name} with {cell.load.name}" for cell in limited)
        shown = list(names)[:6]
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        yield (
            f"The load generator may have been the limit for {', '.join(shown)}{more}: the server may be "
            "faster there."
        )
    if comparison.processors < 3:
        shared = _count(comparison.processors, "processor")
        yield (
            f"The server shared {shared} with the load generator, so more workers or processes had little "
            "to gain."
        )
