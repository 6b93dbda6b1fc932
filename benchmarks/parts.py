"""Large collections scanned by child processes, beside the one process that scans them otherwise.

    python -m benchmarks.parts [--rows 1000000] [--processes 2] [--repeats 21]

Three ways to ask the same rows the same questions, in turn: one process, its rows in memory of its own; one process,
its rows in memory that others can map; child processes, each with its part of these. Prints the medians, and how many
times as fast as the first the others are. Answers are compared before anything is timed: the heads to the bit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import Answer, Memory, Processes, Question, Rows, View, answers, prepare
from benchmarks.keys import Array, clustered, near

COUNTS = (1, 8, 64)


class NotSplit:
    """Processes that are not asked: the rows lie where they could map them."""

    def split(self, view: View) -> View:
        """The view itself."""
        return view


def filled(rows: int, memories: Sequence[Memory]) -> Array:
    """Put the same clustered rows into all memories → queries near some of the first."""
    start, queries = 0, None
    for block in clustered(rows):
        for memory in memories:
            memory.publish(add=Rows(np.arange(start, start + len(block)), block))
        queries = near(block, max(COUNTS), 7) if queries is None else queries
        start += len(block)
    assert queries is not None
    return queries


def check(expected: Sequence[Answer], found: Sequence[Answer]) -> None:
    """Whether both have the same heads, to the bit."""
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_array_equal(one.similarities, other.similarities)


def compared(memories: Sequence[Memory], queries: Array, repeats: int) -> Table:
    """A row for each number of questions that are asked together."""
    table = Table("questions together", "", "one process, ms", "mapped, ms", "processes, ms", box=box.MARKDOWN)
    for output in (False, True):
        for count in COUNTS:
            asked = [Question(query, 0.05, output=output) for query in queries[:count]]
            first, *others = (answers(memory.view, asked) for memory in memories)
            for each in others:
                check(first, each)
            times: list[list[float]] = [[] for _ in memories]
            for _ in range(repeats):
                for memory, taken in zip(memories, times, strict=True):
                    start = time.perf_counter()
                    answers(memory.view, asked)
                    taken.append(1000 * (time.perf_counter() - start))
            one, *rest = map(median, times)
            cells = [f"{each:.1f} ({one / each:.2f}×)" for each in rest]
            table.add_row(str(count), "with output" if output else "", f"{one:.1f}", *cells)
    return table


def main() -> int:
    """Fill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=21)
    arguments = parser.parse_args()
    prepare()
    with Processes(arguments.processes) as processes:
        memories = [Memory("cosine", processes=each) for each in (None, NotSplit(), processes)]
        queries = filled(arguments.rows, memories)
        while not processes.ready:
            time.sleep(0.1)
        if processes.split(memories[-1].view) is memories[-1].view:
            print(f"{arguments.rows} rows are too few for {arguments.processes} processes", file=sys.stderr)
            return 1
        print(f"{arguments.rows:,} rows, {arguments.processes} processes")
        Console(width=120).print(compared(memories, queries, arguments.repeats))
    return 0


if __name__ == "__main__":
    sys.exit(main())
