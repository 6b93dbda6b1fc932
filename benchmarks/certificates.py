"""Every answer's distance from a float64 computation over all rows, beside the certificate that came with it.

    python -m benchmarks.certificates [--rows 100000] [--queries 10000] [--embeddings FILE.npy]

The total variation is that of the whole distribution, every row of it, not of the head alone. Sixteen queries at four
temperatures are asked together, in 8 bits, and as many again in twos, in 16 bits; the exit code is 1 where a
certificate does not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from attention.lookup import Memory, Question, Rows, View
from attention.lookup.quantised import quantised_answers
from benchmarks.keys import BLOCK, gathered, near
from tests.attention.lookup.inspection import similarities_seen

Array = NDArray[np.float64]
TEMPERATURES = (1.0, 0.1, 0.05, 0.02)
MANY, FEW = 16, 2


@dataclass(frozen=True)
class Distance:
    """The distance of an answer from the truth, and its bound in the certificate."""

    weights: float
    weights_bound: float
    output: float
    output_bound: float
    length: float


def softmax(similarities: Array, temperature: float) -> Array:
    """float64[n]."""
    masses = np.exp((similarities - similarities.max()) / temperature)
    return masses / masses.sum()


def distances(view: View, keys: Array, values: Array, queries: Array) -> Iterator[tuple[float, Distance | None]]:
    """Yield each query at each temperature, all in one batch; None if the exact path has to answer."""
    questions = [Question(query, temperature) for query in queries for temperature in TEMPERATURES]
    answers = quantised_answers(view, questions)
    seen = similarities_seen(view, questions)[1]
    true = queries @ keys.T / np.linalg.norm(queries, axis=1)[:, None]
    weights = np.array([softmax(true[i // len(TEMPERATURES)], q.temperature) for i, q in enumerate(questions)])
    outputs = weights @ values
    for question, answer, mine, truth, output in zip(questions, answers, seen, weights, outputs, strict=True):
        if answer is None or mine is None:
            yield question.temperature, None
            continue
        apart = float(np.abs(softmax(mine, question.temperature) - truth).sum() / 2)
        blended = float(np.linalg.norm(answer.output - output))
        certificate = answer.certificate
        bounds = (certificate.total_variation, certificate.output_error)
        yield question.temperature, Distance(apart, bounds[0], blended, bounds[1], float(np.linalg.norm(output)))


def report(together: int, lines_of: dict[float, list[Distance | None]], console: Console) -> bool:
    """Print a table; whether every certificate held."""
    table = Table(title=f"{together} queries together", box=box.MARKDOWN)
    for name in ("T", "queries", "held", "total variation", "certificate", "ratio"):
        table.add_column(name, justify="right")
    for name in ("‖o − ô‖", "certificate ", "ratio ", "‖o − ô‖ / ‖o‖", "exact path"):
        table.add_column(name, justify="right")
    held_all = True
    for temperature, lines in lines_of.items():
        distances = [line for line in lines if line is not None]
        within = sum(d.weights <= d.weights_bound and d.output <= d.output_bound for d in distances)
        held_all = held_all and within == len(distances)
        middle = np.median(
            [
                (
                    d.weights,
                    d.weights_bound,
                    d.weights_bound / d.weights,
                    d.output,
                    d.output_bound,
                    d.output_bound / d.output,
                    d.output / d.length,
                )
                for d in distances
            ],
            axis=0,
        )
        cells = [f"{value:.1f}" if index in (2, 5) else f"{value:.1e}" for index, value in enumerate(middle)]
        table.add_row(f"{temperature:g}", str(len(distances)), str(within), *cells, str(len(lines) - len(distances)))
    console.print(table)
    return held_all


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--embeddings", help="a .npy file of float32 rows, in the place of clusters")
    arguments = parser.parse_args()
    keys = np.load(arguments.embeddings)[: arguments.rows] if arguments.embeddings else gathered(arguments.rows)
    values = np.ascontiguousarray(keys[:, ::-1])
    memory = Memory("cosine")
    for start in range(0, len(keys), BLOCK):
        part = slice(start, min(start + BLOCK, len(keys)))
        memory.publish(add=Rows(np.arange(part.start, part.stop), keys[part], values[part]))
    queries = near(keys, arguments.queries, 8).astype(np.float64)
    wide = keys.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    console = Console(width=200)
    console.print(f"{len(keys):,} rows, {len(queries):,} queries at each temperature; medians")
    passed = True
    for together in (MANY, FEW):
        some = queries if together == MANY else queries[: len(queries) // 20]
        lines: dict[float, list[Distance | None]] = defaultdict(list)
        for first in track(range(0, len(some), together), f"{together} together", console=Console(stderr=True)):
            batch = some[first : first + together]
            for temperature, distance in distances(memory.view, wide, values.astype(np.float64), batch):
                lines[temperature].append(distance)
        passed = report(together, lines, console) and passed
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
