"""Very many rows on one machine: the values are the keys, and the float32 originals lie in files.

    python -m benchmarks.large [--rows 1000000 10000000] [--directory .]

Prints what building takes, the medians of answers, how much longer the last size takes than the first, the memory of
the process (its own, and with the pages of the files that the system holds for it) and the disk. The files have no
names, and are gone when the process ends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import Memory, Question, Rows, View, answers
from benchmarks.keys import Array, clustered, near

COUNTS = (1, 8, 64)


def built(rows: int, directory: Path) -> tuple[View, Array]:
    """Return a view of `rows` clustered rows, and queries near some of the first ones."""
    memory, start, queries = Memory("cosine", directory), 0, None
    for block in clustered(rows):
        memory.publish(add=Rows(np.arange(start, start + len(block)), block))
        queries = near(block, max(COUNTS), 7) if queries is None else queries
        start += len(block)
    return memory.view, queries


def milliseconds(view: View, queries: Array, repeats: int, *, output: bool) -> float:
    """The median time of asking all queries together."""
    questions = [Question(query, 0.05, output=output) for query in queries]
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        answers(view, questions)
        times.append(1000 * (time.perf_counter() - start))
    return median(times[1:])


def memory_of_process() -> tuple[float, float]:
    """GiB now: the process's own, and with its mapped files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    private, files = (int(lines[name].split()[0]) / 2**20 for name in ("RssAnon", "RssFile"))
    return private, private + files


def table_of(counts: Sequence[int], directory: Path, repeats: int) -> Table:
    """One question and many together, with and without outputs, at every number of rows."""
    table = Table(title="values = keys, width 384, T = 0.05: milliseconds", box=box.MARKDOWN)
    for name in ("rows", "built in", *(f"{count}, {kind}" for count in COUNTS for kind in ("weights", "output"))):
        table.add_column(name, justify="right")
    for name in ("own memory", "with files", "disk"):
        table.add_column(name, justify="right")
    first: list[float] = []
    for rows in counts:
        free = shutil.disk_usage(directory).free
        start = time.perf_counter()
        view, queries = built(rows, directory)
        seconds = time.perf_counter() - start
        os.sync()  # or the system would write the files to disk while answers are timed
        disk = (free - shutil.disk_usage(directory).free) / 2**30
        times = [
            milliseconds(view, queries[:count], repeats, output=output) for count in COUNTS for output in (False, True)
        ]
        first = first or times
        cells = [f"{mine:.1f} ({mine / base:.1f}×)" for mine, base in zip(times, first, strict=True)]
        private, both = memory_of_process()
        table.add_row(
            f"{rows:,}", f"{seconds:.0f} s", *cells, f"{private:.1f} GiB", f"{both:.1f} GiB", f"{disk:.1f} GiB"
        )
        print(f"{rows:,} rows are done", file=sys.stderr)
        del view
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--directory", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    Console(width=200).print(table_of(arguments.rows, arguments.directory, arguments.repeats))


if __name__ == "__main__":
    main()
