"""Tables of the measurements."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich import box
from rich.table import Table

from benchmarks.contenders.comparison import Outcome
from benchmarks.contenders.rounds import Cell

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
