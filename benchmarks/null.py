"""Does "none of these" hold at every size? The null key's weight where nothing is related to anything.

    python -m benchmarks.null [--most 1000000]

Keys are random directions of width 384, and so are the queries: none is about any of the keys. Under `null: "strict"`
the null key weighs what the keys would weigh if they were all background, which they are: so half of the weight should
be its own, at every size and at every temperature down to where the few nearest keys carry the sum. The exit code is 1
where the mean of 200 queries is off by more than 0.05; of small sizes it is the mean over several collections, as
what 100 random keys have in common is chance.
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import Background, Memory, Question, Rows, answers, prepare
from service.retrieval.collections.null import SAMPLE_DOCUMENTS, KeyBackground

WIDTH, QUERIES, TOGETHER, BATCH = 384, 200, 64, 100_000
SIZES = (100, 1000, 10_000, 100_000, 1_000_000)
TEMPERATURES = 5
FEW = 2000  # keys that the collections of one size hold together, at least
SIGMA = 1 / math.sqrt(WIDTH)  # of the cosines of random directions
TOLERANCE = 0.05


def filled(n: int, random: np.random.Generator) -> tuple[Memory, KeyBackground]:
    """A memory of n random directions, and its own background."""
    memory, sample = Memory("cosine"), np.empty((0, WIDTH), dtype=np.float32)
    for start in range(0, n, BATCH):
        keys = random.standard_normal((min(BATCH, n - start), WIDTH), dtype=np.float32)
        memory.publish(add=Rows(np.arange(start, start + len(keys)), keys))
        sample = keys[:SAMPLE_DOCUMENTS] if not len(sample) else sample
    while memory.compact():
        pass
    background = KeyBackground.measure("cosine", sample)
    assert background is not None
    return memory, background


def mean_null_weight(memory: Memory, background: Background, temperature: float, queries: np.ndarray) -> float:
    """Over all queries."""
    weights = []
    for start in range(0, len(queries), TOGETHER):
        questions = [Question(q, temperature, background, output=False) for q in queries[start : start + TOGETHER]]
        weights += [answer.null_weight for answer in answers(memory.view, questions)]
    return float(np.mean(weights))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=max(SIZES), help="keys of the largest collection")
    arguments = parser.parse_args()
    prepare()
    table = Table(title="mean null weight of unrelated queries, at T = …", box=box.SIMPLE)
    for heading in ("keys", "collections", *("T: weight" for _ in range(TEMPERATURES))):
        table.add_column(heading, justify="right", no_wrap=True)
    worst = 0.0
    for n in (size for size in SIZES if size <= arguments.most):
        random = np.random.default_rng(n)
        temperatures = np.geomspace(max(1.5 * SIGMA / math.sqrt(2 * math.log(n)), 0.45 * SIGMA), 1, TEMPERATURES)
        rows = []
        for _ in range(max(1, FEW // n)):
            memory, background = filled(n, random)
            queries = random.standard_normal((QUERIES, WIDTH))
            rows.append([mean_null_weight(memory, background.background, t, queries) for t in temperatures.tolist()])
        means = np.mean(rows, axis=0)
        worst = max(worst, float(np.abs(means - 0.5).max()))
        cells = [f"{t:.3f}: {mean:.3f}" for t, mean in zip(temperatures, means, strict=True)]
        table.add_row(f"{n:,}", str(len(rows)), *cells)
    Console(width=120).print(table)
    return 1 if worst > TOLERANCE else 0


if __name__ == "__main__":
    sys.exit(main())
