"""Bytes side by side with the products they have, and processes that compute on other processors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from attention.kernels.dot import INSTRUCTION
from attention.kernels.layout import LANES, put_rows, rows_room

ASK = """
import numpy as np
from attention.kernels import dispatch
from attention.lookup import Memory, Question, Rows
from attention.lookup.quantised import quantised_answers
random = np.random.default_rng(3)
memory = Memory("cosine")
# Their average is not short, so that it is made of codes.
view = memory.publish(add=Rows(np.arange(9000), random.standard_normal((9000, 64), dtype=np.float32) + np.float32(1)))
for count in (1, 3, 17, 40):
    for found in quantised_answers(view, [Question(random.standard_normal(64), 0.1) for _ in range(count)]):
        print(*found.numbers, *found.weights, *found.output)
print(dispatch.kernels().NAME)
"""


class Panels(NamedTuple):
    """Three panels of 64 rows in bytes, some queries, and the products of the second panel with them.

    Attributes:
        stored: uint8[12, words, 16, 4].
        group: where the second panel begins.
        factors: int32[q, words], as this processor's instruction wants them.
        products: int64[q, 64], with the rows as they are multiplied, 128 higher where the instruction wants that.
    """

    stored: np.ndarray
    group: int
    factors: np.ndarray
    products: np.ndarray


@pytest.fixture(scope="session")
def panels() -> Callable[[int, int], Panels]:
    """Return a function that builds random panels of components and queries, with the largest values among them."""

    def make(width, queries):
        random = np.random.default_rng([width, queries])
        codes, queries_codes = (random.integers(-127, 128, (n, width)).astype(np.int8) for n in (192, queries))
        codes[70], queries_codes[0] = 127, -127
        stored = rows_room(192, width)
        put_rows(stored, 0, codes)
        products = queries_codes.astype(np.int64) @ (codes[64:128].astype(np.int64) + INSTRUCTION.offset).T
        return Panels(stored, 64 // LANES, INSTRUCTION.pack(queries_codes.astype(np.int16), fine=False), products)

    return make


@pytest.fixture(scope="session")
def answered() -> Callable[..., tuple[np.ndarray, str]]:
    """Return a function that runs answers in a new process; it returns their numbers and the kernels' name.

    The process may do something first, and compute for a processor that settings describe.
    """

    def ask(first="", **settings):
        run = subprocess.run(
            [sys.executable, "-c", first + ASK],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        *lines, name = run.stdout.splitlines()
        return np.array([[float(word) for word in line.split()] for line in lines]), name

    return ask
