"""The softmax over float32 rows, against its plain definition in float64."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.kernels import HEAVIEST, RowRun, SoftmaxOptions
from tests.attention.kernels.implementations import EVERY, EVERY_IN_C
from tests.thorough import crossed


def runs_of(keys, count, *, cosine):
    """Return the first rows of an array as one run, and some rows of it, in any order, as another."""
    random = np.random.default_rng(count)
    some = random.integers(0, len(keys), max(count // 3, 1))
    norms = np.sqrt((keys.astype(np.float64) ** 2).sum(axis=1))
    whole = RowRun(keys, norms[:count].copy() if cosine else None, None, count)
    return [whole, RowRun(keys, norms[some] if cosine else None, some, len(some))], np.append(np.arange(count), some)


def best(numbers, k):
    """Return the indices of the k largest numbers and of their ties, largest first, then by index."""
    order = np.lexsort((np.arange(len(numbers)), -numbers))
    return order[: np.count_nonzero(numbers >= numbers[order[min(k, len(order)) - 1]])] if k else order[:0]


@EVERY
@crossed(
    {
        "count": [1, 2, 7, 8, 9, 129, 700],
        "width": [1, 3, 8, 17, 64, 101],
        "queries": [1, 2, 3, 4, 7],
        "temperature": [1e-30, 0.01, 0.3, 100.0, np.inf],
        "null": [None, 0.2, 5.0],
        "cosine": [False, True],
    }
)
def test_masses_sums_and_best_rows_are_those_of_the_definition(
    running, count, width, queries, temperature, null, cosine
):
    random = np.random.default_rng([count, width, queries])
    keys = random.standard_normal((count + 5, width)).astype(np.float32)
    keys[:: max(count // 4, 1)] = keys[0]
    vectors = random.standard_normal((queries, width))
    runs, rows = runs_of(keys, count, cosine=cosine)
    divisors = np.sqrt((vectors * vectors).sum(axis=1)) if cosine else np.full(queries, 3.0)
    null_key = (-np.inf, 0.0) if null is None else (null, 1.5)
    options = np.array([SoftmaxOptions(divisor, temperature, *null_key, k) for k, divisor in enumerate(divisors)])
    results = running.softmax_rows(running.pack_rows(runs), vectors, options)
    for k, (vector, divisor, result) in enumerate(zip(vectors, divisors, results, strict=True)):
        expected = keys[rows].astype(np.float64) @ vector / divisor
        if cosine:
            expected /= np.sqrt((keys[rows].astype(np.float64) ** 2).sum(axis=1))
        np.testing.assert_allclose(result.similarities, expected, rtol=1e-12, atol=1e-13)
        logits = (result.similarities - result.similarities.max()) / temperature
        masses = np.exp(logits)
        np.testing.assert_allclose(result.masses, masses, rtol=1e-14, atol=1e-300)
        assert result.masses.max() == 1
        assert result.totals[0] == result.similarities.max()
        np.testing.assert_allclose(result.totals[1:], [masses.sum(), (masses * logits).sum()], rtol=1e-13)
        heads, heavy = result.counts
        np.testing.assert_array_equal(result.heads[:heads], best(result.similarities, k))
        null_mass = 0.0 if null is None else np.exp(min((null - result.totals[0]) / temperature + 1.5, 700.0))
        heaviest = best(result.masses, HEAVIEST)[:HEAVIEST]
        shares = result.masses[heaviest] / (masses.sum() + null_mass)
        if shares[0] <= 0.5 < shares.sum() and null_mass < masses.sum():
            np.testing.assert_array_equal(result.heavy[:heavy], heaviest)


@EVERY
@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_the_masses_of_similarities_are_those_of_rows(running, count):
    random = np.random.default_rng(count)
    keys = random.standard_normal((count, 5)).astype(np.float32)
    options = np.array([SoftmaxOptions(1.0, 0.3, -np.inf, 0.0, 1)])
    rows = running.pack_rows([RowRun(keys, None, None, count)])
    (result,) = running.softmax_rows(rows, random.standard_normal((1, 5)), options)
    masses, totals = running.softmax_masses(result.similarities.copy(), 0.3)
    np.testing.assert_array_equal(masses, result.masses)
    np.testing.assert_array_equal(totals, result.totals)


@EVERY
def test_sums_of_many_small_masses_keep_their_digits(running):
    similarities = np.append(0.0, np.full(2**16, -36.0))
    _, totals = running.softmax_masses(similarities, 1.0)
    assert totals[1] == pytest.approx(1 + 2**16 * np.exp(-36.0), rel=1e-15)


@EVERY_IN_C
@pytest.mark.parametrize("position", [-1, 5, 2**40])
def test_rows_that_do_not_exist_are_refused(running, position):
    keys = np.ones((5, 3), dtype=np.float32)
    with pytest.raises(IndexError, match="wanted some of 5 rows"):
        running.pack_rows([RowRun(keys, None, np.array([0, position]), 2)])
    with pytest.raises(IndexError, match="wanted some of 5 rows"):
        running.pack_rows([RowRun(keys, None, None, 6)])
