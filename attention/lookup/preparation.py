"""Compiling everything that a scan needs, before the first question waits for it."""

import numpy as np

from attention.lookup.memory import Memory
from attention.lookup.quantised import quantised_answers
from attention.lookup.question import Question
from attention.lookup.rows import Rows
from attention.lookup.swept import quantised_sweep

ROWS, WIDTH = 16_384, 8


def prepare() -> None:
    """Answer questions of every kind over a small made-up collection: seconds the first time, then hardly anything."""
    random = np.random.default_rng(0)
    memory = Memory("cosine")
    view = memory.publish(add=Rows(np.arange(ROWS), random.standard_normal((ROWS, WIDTH), dtype=np.float32)))
    queries = random.standard_normal((16, WIDTH))
    for count in (1, 4, 16):
        quantised_answers(view, [Question(query, 0.1) for query in queries[:count]])
    quantised_sweep(view, Question(queries[0], 0.1), [0.1])
