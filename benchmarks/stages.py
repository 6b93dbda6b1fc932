"""The time of an answer by stage: each stage of the quantised path in microseconds.

    python -m benchmarks.stages [--rows 5000 20000 100000] [--queries 1 64] [--seconds 2]

Questions are with and without the output, and with a filter that passes half of the rows. A stage's time is that of the
calling thread, without the stages within it: the scan's is the work or the wait that remains when other work is done.
Figures are means over the faster fifth of the runs, so that columns add up. The last line is the exact path.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import Memory, Question, Rows, View
from attention.lookup.exact import exact_answers
from attention.lookup.quantised import quantised_answers
from benchmarks.keys import BLOCK, gathered, near

LOOKUP = "attention.lookup."
STAGES = {
    "query codes": ("shards.local", "code_queries"),
    "threshold from a sample": ("scan.scan", "initial_thresholds"),
    "scan, to begin it": ("shards.local", "scan"),
    "quantisation errors": ("shards.local", "quantisation_errors"),
    "scan, the rest of it": ("scan.scan", "ScanState", "finish"),
    "workers added up": ("shards.local", "add_accumulators"),
    "lists in order": ("shards.local", "_sort_candidates"),
    "originals": ("shards.local", "LocalShard", "similarities_at"),
    "gathered": ("shards.local", "LocalShard", "gather"),
    "head decided": ("estimate", "scan_and_look_up"),
    "mixture": ("estimate", "mix_cases"),
    "bounds": ("estimate", "WeightEstimates", "_bound"),
    "values of listed rows": ("shards.local", "LocalShard", "add_values"),
    "output and its bound": ("quantised", "estimate_outputs"),
    "answer": ("quantised", "answer_together"),
}
"""Each stage with the function that takes it: a module of the lookup, and a name in it or in a class of it."""

FASTER = 5
"""The divisor of the runs that count: the fastest fifth."""


class Clock:
    """The time of each stage since the last reading, without the stages within it."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._within: list[float] = []

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted to a stage."""

        def call(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            self._within.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                passed = time.perf_counter() - start
                self._spent[stage] = self._spent.get(stage, 0.0) + passed - self._within.pop()
                if self._within:
                    self._within[-1] += passed

        return call

    def run(self, call: Callable[[], object]) -> dict[str, float]:
        """The stages of one call in seconds, what belongs to none of them, and all together."""
        self._spent = {}
        start = time.perf_counter()
        call()
        total = time.perf_counter() - start
        return {**self._spent, "all else": total - sum(self._spent.values()), "together": total}


@contextmanager
def watched() -> Iterator[Clock]:
    """With every stage timed."""
    clock = Clock()
    with ExitStack() as patches:
        for stage, (module, *names) in STAGES.items():
            holder = importlib.import_module(LOOKUP + module)
            for name in names[:-1]:
                holder = getattr(holder, name)
            timed = clock.timed(stage, getattr(holder, names[-1]))
            patches.enter_context(patch.object(holder, names[-1], timed))
        yield clock


def stages(clock: Clock, call: Callable[[], object], seconds: float) -> dict[str, float]:
    """Microseconds of each stage."""
    call()
    runs, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(runs) < FASTER:
        runs.append(clock.run(call))
    runs.sort(key=lambda run: run["together"])
    fastest = runs[: max(1, len(runs) // FASTER)]
    return {stage: 1e6 * sum(run.get(stage, 0.0) for run in fastest) / len(fastest) for stage in fastest[0]}


def report(view: View, keys: Any, counts: list[int], seconds: float, console: Console) -> None:
    """One table: a line for each stage, a column for each kind of question."""
    mask = view.mask(np.random.default_rng(1).permutation(len(keys))[: len(keys) // 2])
    columns: dict[str, dict[str, float]] = {}
    for count in counts:
        queries = near(keys, count, 7)
        for name, options in (("", {}), (" + output", {"output": True}), (", half pass", {"mask": mask})):
            questions = [Question(query, 0.05, **{"output": False, **options}) for query in queries]
            with watched() as clock:
                found = stages(clock, lambda asked=questions: quantised_answers(view, asked), seconds)
            exact = stages(Clock(), lambda asked=questions: exact_answers(view, asked), seconds / 4)
            columns[f"{count}{name}"] = {**found, "the exact path": exact["together"]}
    table = Table(title=f"{len(keys):,} rows of width {keys.shape[1]}, T = 0.05: microseconds", box=box.MARKDOWN)
    table.add_column("queries")
    for name in columns:
        table.add_column(name, justify="right")
    for stage in (*STAGES, "all else", "together", "the exact path"):
        table.add_row(stage, *(f"{column.get(stage, 0.0):,.0f}" for column in columns.values()))
    console.print(table)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[5_000, 20_000, 100_000])
    parser.add_argument("--queries", type=int, nargs="*", default=[1, 64])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each column")
    arguments = parser.parse_args()
    console = Console(width=200)
    for rows in arguments.rows:
        keys, memory = gathered(rows), Memory("cosine")
        for start in range(0, rows, BLOCK):
            part = slice(start, min(start + BLOCK, rows))
            memory.publish(add=Rows(np.arange(part.start, part.stop), keys[part]))
        report(memory.view, keys, arguments.queries, arguments.seconds, console)


if __name__ == "__main__":
    main()
