"""Queries in codes: what a scan multiplies is the code times its scale, and all that it leaves out is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import kernels
from attention.kernels.layout import FINE_LEVELS, LEVELS
from attention.lookup.codes.quantisation import (
    FINE_QUERIES,
    FINE_QUERIES_WITH_OUTPUT,
    HOT_TEMPERATURE,
    MAX_WIDTH,
    code_queries,
    quantise_queries,
)

COMPARED = {
    "cosine": lambda q: q / np.linalg.norm(q, axis=1, keepdims=True),
    "dot": lambda q: q,
    "scaled_dot": lambda q: q / np.sqrt(q.shape[1]),
}


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    count=st.sampled_from([1, FINE_QUERIES, FINE_QUERIES + 1, 20]),
    width=st.sampled_from([1, 3, 64, 500]),
    scale=st.sampled_from([1e-60, 1.0, 1e60]),
    similarity=st.sampled_from(sorted(COMPARED)),
)
def test_code_times_scale_and_residual_are_the_query_that_is_compared(seed, count, width, scale, similarity):
    vectors = np.random.default_rng(seed).standard_normal((count, width)) * scale
    coded, compared = code_queries(similarity, vectors, outputs=False), COMPARED[similarity](vectors)
    seen = coded.codes * coded.scales[:, None]
    np.testing.assert_allclose(seen + coded.residuals, compared, rtol=1e-12, atol=1e-13 * np.abs(compared).max())
    assert (np.abs(coded.residuals) <= 0.5001 * coded.scales[:, None]).all()
    residuals = np.linalg.norm(compared - seen, axis=1)
    assert (coded.residuals_norm >= residuals * (1 - 1e-12)).all()
    np.testing.assert_allclose(coded.residuals_norm, residuals, rtol=1e-8)
    np.testing.assert_allclose(coded.norms, np.linalg.norm(compared, axis=1))
    assert (coded.count, coded.codes.dtype, coded.fine) == (count, np.int16, kernels().WIDE or count <= FINE_QUERIES)
    assert np.abs(coded.codes).max() == (FINE_LEVELS if coded.fine else LEVELS)


def test_a_zero_query_has_a_code_of_zeros():
    queries = quantise_queries(np.zeros((1, 3)), fine=True)
    assert not queries.codes.any()
    assert (queries.scales[0], queries.norms[0], queries.residuals_norm[0]) == (0, 0, 0)


@pytest.mark.parametrize("width", [1, 517, 518, 519, 20_000, MAX_WIDTH])
@pytest.mark.parametrize("fine", [True, False])
def test_products_with_the_largest_keys_stay_within_32_bits(width, fine):
    queries = quantise_queries(np.ones((1, width)), fine=fine)
    top = int(queries.codes.max())
    assert top * LEVELS * width < 2**31
    assert top == LEVELS or not fine or top == min(FINE_LEVELS, (2**31 - 1) // (LEVELS * width))


def test_with_outputs_more_queries_are_coded_in_16_bits(running):
    vectors = np.ones((FINE_QUERIES_WITH_OUTPUT + 1, 3))
    assert code_queries("dot", vectors[:-1], outputs=True).fine
    assert code_queries("dot", vectors, outputs=True).fine == running.WIDE


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_hot_outputs_take_16_bits_however_many_there_are(running, similarity):
    vectors = 3 * np.random.default_rng(0).standard_normal((40, 16))
    longest = np.linalg.norm(vectors, axis=1) * 5.0 / (4 if similarity == "scaled_dot" else 1)
    largest = np.ones(40) if similarity == "cosine" else longest

    def fine(temperatures, outputs=True):
        return code_queries(similarity, vectors, outputs=outputs, temperatures=temperatures, key_norm=5.0).fine

    # Unless 16 bits cost no more than 8: then all have them.
    assert fine(0.99 * HOT_TEMPERATURE * largest) == running.WIDE
    one_is = 0.99 * HOT_TEMPERATURE * largest
    one_is[7] *= 1.1
    assert fine(one_is)
    assert fine(one_is, outputs=False) == running.WIDE
    assert fine(None) == running.WIDE
