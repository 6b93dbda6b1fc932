"""Codes of keys, values and queries: each vector lies within its residual of its code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.kernels import kernels
from softkv_attention.kernels.layout import CHUNK, FINE_LEVELS, LEVELS, columns_of
from softkv_attention.lookup.codes.quantisation import (
    FINE_QUERIES,
    HOT_TEMPERATURE,
    MAX_WIDTH,
    CodedVectors,
    Codes,
    ValueCodes,
    bound_norms,
    code_queries,
    quantise,
    quantise_queries,
)
from tests.thorough import examples

SCALES = [1e-42, 1e-30, 1e-6, 1.0, 1e12, 1e38]


def vectors_of(seed, count, width, scale):
    """float32[count, width], every third of them zero but for one component."""
    vectors = np.random.default_rng(seed).uniform(-1, 1, (count, width)) * scale
    vectors[::3, 1:] = 0
    return vectors.astype(np.float32)


def write(stored, start, vectors, norms=None):
    """Keep vectors from row `start` on, those of each chunk by themselves."""
    positions = np.arange(start, start + len(vectors))
    for chunk in np.unique(positions // CHUNK):
        in_chunk = positions // CHUNK == chunk
        coded = CodedVectors.of(vectors[in_chunk], None if norms is None else norms[in_chunk])
        stored.add_sums(stored.write(int(positions[in_chunk][0]), coded))


def moved(vectors, codes, scales):
    """float64[n]: ‖x − x̂‖, with the scale as it is stored."""
    return np.linalg.norm(vectors.astype(np.float64) - codes * scales[:, None].astype(np.float64), axis=1)


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    count=st.integers(1, 9),
    width=st.sampled_from([1, 2, 65]),
    scale=st.sampled_from(SCALES),
    levels=st.sampled_from([1, 127, 32639]),
)
def test_a_code_is_the_nearest_one_there_is(seed, count, width, scale, levels):
    vectors = vectors_of(seed, count, width, scale)
    codes, scales, left = quantise(vectors, levels)
    assert (np.abs(codes).max(axis=1)[scales > 0] == levels).all()
    np.testing.assert_array_equal(codes, np.rint(codes))
    np.testing.assert_allclose(scales * levels, np.abs(vectors).max(axis=1).astype(np.float64))
    assert (np.abs(left) <= scales[:, None] * (0.5 + 1e-9)).all()
    np.testing.assert_allclose(codes * scales[:, None] + left, vectors, rtol=1e-12, atol=1e-12 * scale)
    lengths = np.linalg.norm(left, axis=1)
    assert (bound_norms(left) >= lengths).all()
    np.testing.assert_allclose(bound_norms(left), lengths, rtol=1e-8)


def test_a_zero_vector_has_scale_0():
    codes, scales, left = quantise(np.zeros((2, 3)))
    assert not codes.any()
    assert not scales.any()
    assert not left.any()


@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    count=st.integers(1, 70),
    width=st.sampled_from([1, 5, 64]),
    scale=st.sampled_from(SCALES),
    cut=st.integers(0, 70),
    directions=st.booleans(),
)
def test_stored_codes_are_off_by_no_more_than_their_residual(seed, count, width, scale, cut, directions):
    vectors, cut = vectors_of(seed, count, width, scale), min(cut, count)
    vectors[:, 0] += np.float32(scale)  # not zero, because a zero vector has no direction
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    stored = Codes.allocate(count, width)
    for part in (slice(0, cut), slice(cut, count)):
        write(stored, part.start, vectors[part], norms[part] if directions else None)
    codes = stored.at(np.arange(count), width)
    np.testing.assert_array_equal(codes, quantise(vectors)[0])
    targets = vectors / norms[:, None] if directions else vectors
    off = moved(targets, codes, stored.scales)
    assert (off <= stored.residuals).all()
    smallest = 2.0**-148 * LEVELS * width  # which scales that float32 hardly holds may be off by
    np.testing.assert_allclose(stored.residuals, off, rtol=1e-3, atol=1e-5 * np.abs(targets).max() * width + smallest)


@pytest.mark.parametrize("directions", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e-30])
def test_grams_are_of_the_residuals_and_of_the_vectors(directions, scale):
    vectors = vectors_of(1, 2500, 6, scale)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    stored = Codes.allocate(2500, 6)
    for part in np.split(np.arange(2500), [3, 1100]):
        write(stored, part[0], vectors[part], norms[part] if directions else None)
    by = norms[:, None] if directions else 1.0
    for gram, rows in zip(stored.grams, (quantise(vectors)[2] / by, vectors / by), strict=True):
        underflow = 2500 * 2.0**-125
        np.testing.assert_allclose(gram, rows.T @ rows, atol=2.0**-13 * (rows * rows).sum() + underflow)


@pytest.mark.parametrize("off", [0.0, 2.0**-24, 2.0**-11, 2.0**-9])
def test_grams_of_directions_are_never_below_the_true_ones_and_hardly_above(off):
    random = np.random.default_rng(4)
    vectors = random.standard_normal((1500, 6))
    expected = 1 + off * random.uniform(-1, 1, 1500)
    vectors = (vectors * (expected / np.linalg.norm(vectors, axis=1))[:, None]).astype(np.float32)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    stored = Codes.allocate(1500, 6)
    write(stored, 0, vectors, norms)
    for actual, rows in zip(stored.grams, (quantise(vectors)[2], vectors), strict=True):
        true = (rows / norms[:, None]).T @ (rows / norms[:, None])
        assert np.linalg.eigvalsh(actual - true)[0] >= -(2.0**-13) * np.trace(true)
        assert np.trace(actual) <= np.trace(true) * (1 + 2.0**-8)


def test_vectors_near_the_end_of_float32_have_infinite_grams():
    stored = Codes.allocate(2, 3)
    write(stored, 0, np.full((2, 3), 3e38, dtype=np.float32))
    assert not np.isfinite(stored.grams[1]).all()
    write(stored, 1, np.array([[3e38, -3e38, 3e38]], dtype=np.float32))  # the sums of both are infinite on two sides
    assert not np.isfinite(stored.grams[1]).all()
    assert np.isfinite(stored.residuals).all()


@settings(deadline=None, max_examples=examples(40))
@given(
    seed=st.integers(0, 99),
    width=st.sampled_from([1, 5, 63, 64, 65]),
    count=st.sampled_from([1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7]),
    cut=st.integers(0, 2 * CHUNK + 7),
    scale=st.sampled_from(SCALES[1:-1]),
)
def test_values_come_back_from_their_chunks_however_they_were_written(seed, width, count, cut, scale):
    values, cut = vectors_of(seed, count, width, scale), min(cut, count)
    stored = ValueCodes.allocate(count, width)
    for start, part in ((0, values[:cut]), (cut, values[cut:])):
        write(stored, start, part)
    firsts = range(0, count, CHUNK)
    read = [
        columns_of(stored.codes[position], 0, min(CHUNK, count - first), width) for position, first in enumerate(firsts)
    ]
    codes, _, left = quantise(values)
    np.testing.assert_array_equal(np.concatenate(read), codes)
    off = moved(values, codes, stored.scales)
    assert (off <= stored.residuals).all()
    np.testing.assert_allclose(stored.residuals, off, rtol=1e-3, atol=1e-5 * scale * width)
    assert stored.moments.count == count
    np.testing.assert_allclose(stored.moments.total, values.sum(axis=0, dtype=np.float64), rtol=1e-9)
    np.testing.assert_allclose(stored.moments.residual_total, left.sum(axis=0), rtol=1e-9, atol=1e-12 * scale)


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
