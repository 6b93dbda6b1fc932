"""A reading with slightly wrong weights stays within its bounds of the reading with the true weights."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import share_error, weight_error, weighted_mean, weighted_quantiles
from tests.thorough import examples

AT = np.array([0.01, 0.25, 0.5, 0.9, 0.999])


def moved(random, n, apart):
    """Weights that sum to one, and others in a total variation of at most `apart`; and which of them have a number."""
    weights = random.dirichlet(np.full(n, random.choice([0.05, 1.0])))
    other = random.dirichlet(np.full(n, random.choice([0.05, 1.0])))
    share = apart * random.uniform()
    having = random.random(n) < 0.7
    having[random.integers(n)] = True
    return weights, (1 - share) * weights + share * other, having


def quantile(numbers, weights, level):
    """Return the quantile by its definition, in fractions."""
    total, below = sum(map(Fraction, weights.tolist())), Fraction(0)
    for number, weight in sorted(zip(numbers.tolist(), weights.tolist(), strict=True)):
        below += Fraction(weight)
        if below >= Fraction(level) * total:
            return number
    return None


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0.0, 1e-12, 1e-3, 0.1, 0.6]))
def test_bounds_hold_whatever_weights_are_moved(seed, n, apart):
    random = np.random.default_rng(seed)
    true, moved_weights, having = moved(random, n, apart)
    numbers = np.round(random.standard_normal(n) * 10.0 ** random.integers(-3, 12), 2)[having]
    variation = np.abs(true - moved_weights).sum() / 2 * (1 + 1e-9) + 1e-15
    exact, weights = true[having], moved_weights[having]
    mean = weighted_mean(numbers, weights, variation)
    truly = math.fsum(exact * numbers) / math.fsum(exact)
    assert mean.value == pytest.approx(np.average(numbers, weights=weights), rel=1e-9, abs=1e-9)
    assert mean.deviation == pytest.approx(np.sqrt(np.cov(numbers, aweights=weights, ddof=0)), rel=1e-6, abs=1e-9)
    if mean.error is not None:
        assert abs(mean.value - truly) <= mean.error * (1 + 1e-12) + 1e-300
    error = share_error(weights, variation)
    assert (error is None) == (mean.error is None)
    mask = numbers <= np.median(numbers)
    if error is not None:
        shares = [math.fsum(weighting[mask]) / math.fsum(weighting) for weighting in (exact, weights)]
        assert abs(shares[0] - shares[1]) <= error
    assert abs(math.fsum(exact[mask]) - math.fsum(weights[mask])) <= weight_error(moved_weights, variation)
    for level, weighted_quantile in zip(AT, weighted_quantiles(numbers, weights, AT, variation), strict=True):
        assert weighted_quantile.at_least <= weighted_quantile.value <= weighted_quantile.at_most
        assert weighted_quantile.at_least <= quantile(numbers, exact, level) <= weighted_quantile.at_most


def test_bounds_say_something():
    numbers, weights = np.arange(101.0), np.full(101, 1 / 101)
    mean = weighted_mean(numbers, weights, 1e-6)
    assert mean.value == pytest.approx(50)
    assert mean.deviation == pytest.approx(np.sqrt(850))
    assert mean.error == pytest.approx(100e-6, rel=1e-4)
    (quantile,) = weighted_quantiles(numbers, weights, np.array([0.5]), 0.02)
    assert (quantile.value, quantile.at_least, quantile.at_most) == (50, 48, 52)
    assert share_error(weights / 2, 0.1) == pytest.approx(0.25)
    assert weight_error(weights, 0.1) == pytest.approx(0.1)


def test_weights_that_may_all_be_zero_give_no_certainty():
    numbers, weights = np.array([1.0, 2.0]), np.array([0.1, 0.1])
    assert weighted_mean(numbers, weights, 0.3).error is None
    assert share_error(weights, 0.3) is None
    (quantile,) = weighted_quantiles(numbers, weights, np.array([0.9]), 0.3)
    assert (quantile.at_least, quantile.at_most) == (1, 2)


def test_numbers_at_the_end_of_float64_have_a_mean_and_a_deviation():
    result = weighted_mean(np.array([-1.5e308, 1.5e308]), np.array([0.5, 0.5]), 1e-15)
    assert (result.value, result.deviation) == (0, pytest.approx(1.5e308))
    assert weighted_mean(np.array([3.0, 1e300]), np.array([1.0, 0.0]), 1e-15).value == 3


def test_a_share_that_a_number_holds_exactly_is_not_missed_by_the_last_bit():
    for n in range(2, 40):
        quantiles = weighted_quantiles(np.arange(n * 1.0), np.full(n, 1 / n), np.arange(1, n) / n, 0.0)
        assert [quantile.value for quantile in quantiles] == list(range(n - 1))
