"""How soon a part of a collection answers, and its bounds for all rows, beside the whole answer.

    python -m benchmarks.streaming [--rows 1000000] [--queries 20]

The keys are clustered. For each temperature, medians over the queries, part and whole in turns: milliseconds of each
part with its certificate, and of the whole; the share of documents in the part, the limit and the true weight of the
others, and the certificate. The exit code is 1 if one of them is violated.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.dtypes import F64
from attention.lookup import (
    Memory,
    Prefix,
    Question,
    Rows,
    View,
    answers,
    cover_missing_rows,
    prepare,
    similarities_of,
    view_prefixes,
)
from benchmarks.keys import gathered, near

TEMPERATURES = (10.0, 1.0, 0.5, 0.2, 0.1, 0.05)


Told = tuple[list[list[float]], float, bool]
"""For each part the figures of a row; the milliseconds of the whole; and whether all bounds were true."""


def asked(view: View, parts: tuple[Prefix, ...], query: F64) -> list[Told]:
    """One query at every temperature."""
    numbers, _, (similarities,) = similarities_of(view, query[None, :])
    away = [~np.isin(numbers, grown.view.numbers()) for grown in parts]
    results = []
    for temperature in TEMPERATURES:
        masses = np.exp((similarities - similarities.max()) / temperature)
        shares = [float(masses[each].sum() / masses.sum()) for each in away]
        results.append(timed(view, parts, Question(query, temperature, output=False), shares))
    return results


def timed(view: View, parts: tuple[Prefix, ...], question: Question, away: list[float]) -> Told:
    """One question; `away`: what the rows that each part has not weigh among all."""
    rows, all_true = [], True
    for grown, true in zip(parts, away, strict=True):
        started = time.perf_counter()
        (answer,) = answers(grown.view, [grown.restrict(question)])
        answer, coverage = cover_missing_rows(answer, question, grown.view.facts, grown.summarise_rest())
        taken = 1e3 * (time.perf_counter() - started)
        bound = answer.certificate.total_variation
        all_true &= true <= min(bound, coverage.max_missing_weight) + 1e-12
        rows.append([taken, coverage.documents / coverage.total, true, coverage.max_missing_weight, bound])
    started = time.perf_counter()
    answers(view, [question])
    return rows, 1e3 * (time.perf_counter() - started), all_true


def main() -> int:
    """Ask, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=20)
    arguments = parser.parse_args()
    prepare()
    keys = gathered(arguments.rows)
    view = Memory("cosine").publish(add=Rows(np.arange(len(keys)), keys))
    queries, parts = near(keys, arguments.queries, 7), view_prefixes(view)
    if not parts:
        print(f"{arguments.rows:,} rows are not told of in parts", file=sys.stderr)
        return 1
    started = time.perf_counter()
    for grown in parts:
        grown.sum_up()
    summed = time.perf_counter() - started
    names = ("T", "share", "ms", "whole, ms", "ms / whole", "others weigh", "at most", "total variation at most")
    table = Table(*names, box=box.MARKDOWN)
    everything = [asked(view, parts, query) for query in queries]
    all_true = all(true for column in everything for _, _, true in column)
    for temperature, results in zip(TEMPERATURES, zip(*everything, strict=True), strict=True):
        whole = median(taken for _, taken, _ in results)
        for position in range(len(parts)):
            taken, share, away, limit, bound = (
                median(column) for column in zip(*(f[0][position] for f in results), strict=True)
            )
            ratio = median(rows[position][0] / all_of_it for rows, all_of_it, _ in results)
            numbers = (f"{temperature:g}", f"{share:.3f}", f"{taken:.1f}", f"{whole:.1f}", f"{ratio:.2f}")
            table.add_row(*numbers, f"{away:.3g}", f"{limit:.3g}", f"{bound:.3g}")
    print(f"{arguments.rows:,} rows in {len(view.segments)} blocks, {arguments.queries} queries")
    Console(width=120).print(table)
    print(f"every bound held: {'yes' if all_true else 'NO'}; the sums of keys took {summed:.1f} s, once")
    return 0 if all_true else 1


if __name__ == "__main__":
    sys.exit(main())
