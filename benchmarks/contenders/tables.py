"""Tables of the measurements."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich import box
from rich.table import Table

from benchmarks.contenders.comparison import Outcome
from benchmarks.contenders.rounds import Cell, Measured

FIRST = "softkv"


def calls(outcome: Outcome, connections: Sequence[int], title: str) -> Table:
    """A row for each filter and contender; how many times softkv's answers a second are theirs."""
    table = Table(title=title, box=box.MARKDOWN)
    for name in (
        "passes",
        "",
        *(part for count in connections for part in (f"{count}: a second", "p50 / p99 ms", "core ms")),
    ):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in ("recall@10", "refused"):
        table.add_column(name, justify="right", no_wrap=True)
    cells = outcome.measured.cells
    for below in dict.fromkeys(below for _, below, _ in cells):
        for name in dict.fromkeys(name for name, filtered, _ in cells if filtered == below):
            row = [cells[name, below, count] for count in connections]
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


def holdings(outcomes: Sequence[Outcome]) -> Table:
    """A row for each size and store."""
    table = Table(title="loading, starting anew, memory of all processes (PSS)", box=box.MARKDOWN)
    for name in ("documents", "", "loaded in", "start to first answer", "memory", "of which keys", "disk"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for outcome in outcomes:
        keys = outcome.size * 384 * 4 / 2**20
        for holding in outcome.holdings:
            table.add_row(
                f"{outcome.size:,}",
                holding.store.name,
                f"{holding.loading:.1f} s",
                f"{holding.start:.2f} s" if holding.starts else "",
                f"{holding.memory:,.0f} MiB",
                f"{keys:,.0f} MiB",
                f"{holding.disk:,.0f} MiB",
            )
    return table


def ceilings(measured: Measured, connections: Sequence[int]) -> Table:
    """Return the table of the callers' limits for each contender's answers."""
    table = Table(title="the callers' ceiling: the same bytes from a server that does nothing", box=box.MARKDOWN)
    for name in ("", *(part for count in connections for part in (f"{count}: a second", "p50 / p99 ms", "of a core"))):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in dict.fromkeys(name for name, _, _ in measured.cells):
        row = [measured.cells[name, None, count] for count in connections]
        shown = (part for cell in row for part in (rate(cell, None), latency(cell), f"{median(cell.processor):.0%}"))
        table.add_row(name, *shown)
    return table


def nearest_to_ceiling(outcomes: Sequence[Outcome], ceiling: Measured) -> str:
    """The cell that came closest to what its callers could have taken, and what they took of the processor."""
    shares = [
        (cell.rate / top.rate, median(cell.processor), name, below, count, outcome.size)
        for outcome in outcomes
        for (name, below, count), cell in outcome.measured.cells.items()
        if (top := ceiling.cells.get((name, None, count))) and top.rate
    ]
    if not shares:
        return "no answer came, so none is near its ceiling"
    share, processor, name, below, count, size = max(shares, key=lambda each: each[0])
    of = "" if below is None else f", a filter that {below} % pass"
    highest = max(taken for _, taken, *_ in shares)
    return (
        f"nearest to its ceiling, {share:.0%}, is {name} with {size:,} documents and {count} connections{of}: the "
        f"callers took {processor:.0%} of a core; the most they took anywhere is {highest:.0%}"
    )
