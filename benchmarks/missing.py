"""The certainty that remains when a part of a collection does not answer, beside the truth over all rows.

    python -m benchmarks.missing [--rows 64000] [--missing 8] [--queries 40]

The keys are clustered, and every `--missing`-th one is missing. For each temperature, medians over the queries: the
weight of the missing rows in float64 over all rows; its limit in the answer, by mean and spread, and the limit by the
upper end alone; half of the distance between the bounds; and the certificate. The exit code is 1 if one of them is
violated.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import KeySummary, Memory, Question, Rows, View, answers, cover_missing_rows
from benchmarks.keys import Array, gathered, near

TEMPERATURES = (10.0, 1.0, 0.5, 0.2, 0.1, 0.05)


def row(
    view: View, missing: KeySummary, queries: Array, similarities: NDArray[np.float64], keys: Array, temperature: float
) -> tuple[list[str], bool]:
    """The cells of one temperature; whether everything said of it was true."""
    figures: list[list[float]] = []
    passed = True
    questions = [Question(query, temperature) for query in queries]
    for question, answer, similarity in zip(questions, answers(view, questions), similarities, strict=True):
        answer, coverage = cover_missing_rows(answer, question, view.facts, missing)
        weights = np.exp((similarity - similarity.max()) / temperature)
        weights /= weights.sum()
        weight, output = float(weights[view.n :].sum()), weights @ keys.astype(np.float64)
        assert answer.output is not None
        assert answer.certificate.output_error is not None
        apart = float(np.linalg.norm(answer.output - output))
        passed &= coverage.min_missing_weight <= weight <= coverage.max_missing_weight
        # The missing rows' own weight is the minimum of the total variation.
        passed &= weight <= answer.certificate.total_variation and apart <= answer.certificate.output_error
        # 1 − ln Z is that of the upper end alone, for unit vectors.
        ends = math.log(missing.n) + 1 / temperature - float(np.logaddexp.reduce(similarity[: view.n] / temperature))
        room = (coverage.max_missing_weight - coverage.min_missing_weight) / 2
        weights_and_bounds = [weight, coverage.max_missing_weight, 1 / (1 + math.exp(-ends)), room]
        figures.append(
            [*weights_and_bounds, answer.certificate.total_variation, answer.certificate.output_error, apart]
        )
    return [f"{temperature:g}", *(f"{median(column):.3g}" for column in zip(*figures, strict=True))], passed


def main() -> int:
    """Ask, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64_000)
    parser.add_argument("--missing", type=int, default=8)
    parser.add_argument("--queries", type=int, default=40)
    arguments = parser.parse_args()
    keys = gathered(arguments.rows)
    present = arguments.rows - arguments.rows // arguments.missing
    queries = near(keys, arguments.queries, 7)
    view = Memory("cosine").publish(add=Rows(np.arange(present), keys[:present]))
    started = time.perf_counter()
    missing = KeySummary.of("cosine", keys[present:])
    summed = time.perf_counter() - started
    directions = queries / np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    similarities = directions @ (keys / np.linalg.norm(keys.astype(np.float64), axis=1, keepdims=True)).T
    table = Table("T", "missing weight", "at most", "by the end alone", "half the room", box=box.MARKDOWN)
    for name in ("total variation at most", "‖o − ô‖ at most", "‖o − ô‖"):
        table.add_column(name)
    passed = True
    for temperature in TEMPERATURES:
        cells, true = row(view, missing, queries, similarities, keys, temperature)
        table.add_row(*cells)
        passed &= true
    questions = [Question(query, 1.0) for query in queries]
    results = answers(view, questions)
    started = time.perf_counter()
    for question, answer in zip(questions, results, strict=True):
        cover_missing_rows(answer, question, view.facts, missing)
    taken = (time.perf_counter() - started) / len(questions)
    print(f"{arguments.rows:,} rows, one in {arguments.missing} missing, {arguments.queries} queries")
    Console(width=120).print(table)
    print(f"every bound held: {'yes' if passed else 'NO'}")
    print(f"summed {missing.n / summed:,.0f} rows a second; {1e3 * taken:.2f} ms a question")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
