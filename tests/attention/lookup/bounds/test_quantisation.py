"""The error of scanned similarities, beside its bound."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels import kernels
from attention.lookup import Memory, Rows
from attention.lookup.bounds.similarities import QuantisationError, quantisation_errors
from attention.lookup.codes.quantisation import FINE_QUERIES, QueryCodes, code_queries

RANDOM = np.random.default_rng(4)
KEYS = (RANDOM.standard_normal((3000, 30)) * RANDOM.gamma(2.0, size=(3000, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def view():
    return Memory("dot").publish(add=Rows(np.arange(len(KEYS)), KEYS))


def errors_of(view, vectors, queries):
    """Return float64[q, n], the error of the product of codes."""
    (segment,) = view.segments
    codes = segment.block.codes
    seen = codes.at(np.arange(len(KEYS)), KEYS.shape[1]) * codes.scales[: len(KEYS), None].astype(np.float64)
    return vectors @ KEYS.T.astype(np.float64) - (queries.codes * queries.scales[:, None]) @ seen.T


def holds(view, vectors, queries):
    bounds = [QuantisationError(*row) for row in quantisation_errors(view, queries).tolist()]
    for wrong, bound in zip(errors_of(view, vectors, queries), bounds, strict=True):
        assert np.abs(wrong).max() <= bound.largest
        assert (wrong**2).sum() <= bound.squares


@pytest.mark.parametrize("count", [1, FINE_QUERIES, FINE_QUERIES + 1, 40])
def test_the_bounds_hold_for_every_row_and_for_all_together(view, count):
    vectors = RANDOM.standard_normal((count, 30))
    queries = code_queries("dot", vectors, outputs=False)
    assert queries.fine == (count <= FINE_QUERIES or kernels().WIDE)
    holds(view, vectors, queries)


@pytest.mark.parametrize("fine", [True, False])
def test_what_a_query_s_own_code_leaves_out_is_counted(view, fine):
    vectors = RANDOM.standard_normal((3, 30))
    nothing = np.zeros((3, 30), dtype=np.int16)  # a code that leaves out everything
    lengths = np.linalg.norm(vectors, axis=1)
    holds(view, vectors, QueryCodes(nothing, np.ones(3), lengths, vectors, lengths, fine))
