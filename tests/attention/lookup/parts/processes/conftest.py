"""Two processes that scan, and memories whose blocks they can map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from attention.lookup import Memory, Processes, Rows, answering
from attention.lookup.memory import memory as memory_module
from attention.lookup.memory import segments as segments_module
from tests.machine_code import KEPT
from tests.waiting import until

N = 6_000
RANDOM = np.random.default_rng(9)
KEYS = RANDOM.standard_normal((N, 21)).astype(np.float32)
KEYS[[5, 2_500, 5_999]] = KEYS[5]
VALUES = (RANDOM.standard_normal((N, 6)) + 1).astype(np.float32)
QUERIES = KEYS[[5, 40, 900, 4_000]] + 0.2 * RANDOM.standard_normal((4, 21))


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Two of them, ready."""
    with Processes(2, KEPT) as running:
        until(lambda: running.ready, 120)
        yield running


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (segments_module, memory_module):
        monkeypatch.setattr(module, "BLOCK_ROWS", 1024)
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)


@pytest.fixture
def memory_of():
    """A memory of some of the rows, by default of all; with processes, which may scan it, or without."""

    def filled(processes=None, rows=None, similarity="cosine", **how):
        rows = np.arange(N) if rows is None else rows
        memory = Memory(similarity, processes=processes, **how)
        memory.publish(add=Rows(rows, KEYS[rows], VALUES[rows]))
        return memory

    return filled


@pytest.fixture
def queries():
    """float64[4, d], near some of the rows; two of these rows have copies."""
    return QUERIES
