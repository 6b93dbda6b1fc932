"""Sums that are kept of rows, as their blocks grow and lose some."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import KeySummary, Memory, Rows, summary_of

RANDOM = np.random.default_rng(12)
KEYS = RANDOM.standard_normal((3_000, 10)).astype(np.float32)
VALUES = RANDOM.standard_normal((3_000, 4)).astype(np.float32)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "gaussian"])
def test_a_summary_covers_all_rows_ever_written(similarity):
    memory = Memory(similarity)
    for first in (0, 1_000, 1_500):
        last = {0: 1_000, 1_000: 1_500, 1_500: 3_000}[first]
        rows = np.arange(first, last)
        view = memory.publish(add=Rows(rows, KEYS[rows], VALUES[rows], rows // 2 * 2))
        result, expected = summary_of(view), KeySummary.of(similarity, KEYS[:last], VALUES[:last], last // 2)
        assert (result.n, result.documents, result.removed) == (expected.n, expected.documents, 0)
        np.testing.assert_allclose(result.total, expected.total, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(result.gram, expected.gram, rtol=1e-5, atol=1e-4)
        assert result.value_norm == expected.value_norm
    result = summary_of(memory.publish(remove=np.arange(0, 600, 2)))
    assert (result.n, result.documents, result.removed) == (3_000, 1_200, 600)
