"""Tables of the measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich import box
from rich.table import Table

from benchmarks.contenders.comparison import Outcome
from benchmarks.contenders.rounds import Cell

FIRST = "softkv"


Cells = Mapping[tuple[str, int | None, int], Cell]


def calls(outcome: Outcome, cells: Cells, connections: Sequence[int], title: str) -> Table:
    """A row for each filter and contender; how many times softkv's answers a second are theirs.

    Args:
        outcome: the results for one size.
        cells: those of one kind of caller, see `Measured`.
        connections: at once.
        title: above the table.
    """
    table = Table(title=title, box=box.MARKDOWN)
    for name in (
        "passes",
        "",
        *(part for count in connections for part in (f"{count}: a second", "p50 / p99 ms", "core ms")),
    ):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in ("recall@10", "refused"):
        table.add_column(name, justify="right", no_wrap=True)
    for below in dict.fromkeys(below for _, below, _ in cells):
        for name in dict.fromkeys(name for name, filtered, _ in cells if filtered == below):
            row = [cells.get((name, below, count), Cell()) for count in connections]
            shown = []
            for count, cell in zip(connections, row, strict=True):
                first = None if name.startswith(FIRST) else cells.get((FIRST, below, count))
                shown += [rate(cell, first), latency(cell), cost(cell)]
            result = outcome.recalls.get((name, below))
            table.add_row(
                "all" if below is None else f"{below} %",
                name,
                *shown,
                "none" if result is None else f"{result:.3f}",
                refused(row),
            )
    return table


def rate(cell: Cell, first: Cell | None) -> str:
    """Answers a second, and how many times as many softkv gave."""
    if not cell.a_second:
        return ""
    number = f"{cell.rate:,.0f}" if cell.rate >= 20 else f"{cell.rate:.1f}"
    if first is None:
        return number
    return f"{number} ({f'{first.rate / cell.rate:.2g}×' if cell.rate else 'no answer'})"


def latency(cell: Cell) -> str:
    """Medians of the rounds."""
    medians = [median(milliseconds) for milliseconds in (cell.p50, cell.p99) if milliseconds]
    return " / ".join(f"{median:.2f}" if median < 10 else f"{median:,.0f}" for median in medians) or "none"


def cost(cell: Cell) -> str:
    """Return the median milliseconds of the server's processor time an answer; "" if they were not measured."""
    return f"{median(cell.cost):.2f}" if cell.cost else ""


def refused(row: Sequence[Cell]) -> str:
    """Return the share of refused calls; "" without any."""
    errors, answered = sum(cell.errors for cell in row), sum(cell.answered for cell in row)
    return f"{errors / (errors + answered):.1%}" if errors else "0"


def ratios(outcomes: Sequence[Outcome], connections: Sequence[int]) -> Table:
    """A row for each size and contender: softkv's answers a second divided by its own, the lower of both callers.

    A last column has softkv's p99 divided by its p50, the higher of both callers, at the most connections.
    """
    table = Table(title="softkv's answers a second divided by a contender's, by the caller for which that is less")
    table.box = box.MARKDOWN
    busiest = max(connections)
    for name in ("documents", "", *map(str, connections), f"p99 ÷ p50 at {busiest}"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for outcome in outcomes:
        by_caller = (outcome.measured.cells, outcome.measured.by_wrk)
        tails = [tail(cells[FIRST, None, busiest]) for cells in by_caller if (FIRST, None, busiest) in cells]
        for way in (way for way in outcome.ways if not way.name.startswith(FIRST)):
            lower = [lower_ratio(by_caller, way.name, count) for count in connections]
            table.add_row(f"{outcome.size:,}", way.name, *lower, f"{max(tails):.2f}" if tails else "")
    return table


def lower_ratio(by_caller: Sequence[Cells], name: str, count: int) -> str:
    """Return softkv's answers a second divided by a contender's, without a filter; "" if one of them has none."""
    quotients = [
        cells[FIRST, None, count].rate / cells[name, None, count].rate
        for cells in by_caller
        if (FIRST, None, count) in cells and (name, None, count) in cells and cells[name, None, count].rate
    ]
    return f"{min(quotients):.2f}" if quotients else ""


def tail(cell: Cell) -> float:
    """Return the median p99 divided by the median p50, 0 without answers."""
    return median(cell.p99) / median(cell.p50) if cell.p50 else 0.0


def holdings(outcomes: Sequence[Outcome]) -> Table:
    """A row for each size and store."""
    table = Table(title="loading, starting anew, memory of all processes (PSS)", box=box.MARKDOWN)
    for name in ("documents", "", "loaded in", "start to first answer", "at rest", "memory", "of which keys", "disk"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for outcome in outcomes:
        keys = outcome.size * 384 * 4 / 2**20
        for holding in outcome.holdings:
            table.add_row(
                f"{outcome.size:,}",
                holding.store.name,
                f"{holding.loading:.1f} s",
                f"{holding.start:.2f} s" if holding.starts else "",
                f"{holding.at_rest:,.0f} MiB",
                f"{holding.memory:,.0f} MiB",
                f"{keys:,.0f} MiB",
                f"{holding.disk:,.0f} MiB",
            )
    return table
