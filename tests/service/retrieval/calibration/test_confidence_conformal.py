"""A set keeps its promise over many draws of labels, and none is made of too few."""

from __future__ import annotations

import numpy as np
import pytest

from service.retrieval.calibration import COVERAGES, min_labels
from service.retrieval.calibration.confidence import SMOOTHING, estimate_quantile, fit_thresholds
from tests.thorough import thorough

DRAWS = {
    "exponential": lambda random, n: -random.exponential(size=n),
    "normal": lambda random, n: random.normal(size=n),
    "heavy": lambda random, n: -np.exp(1.5 * random.normal(size=n)),
    "uniform": lambda random, n: random.random(n),
}


@pytest.mark.parametrize("law", DRAWS)
@pytest.mark.parametrize("promise", [0.8, 0.9])
def test_the_right_one_is_in_the_set_as_often_as_promised(law, promise):
    random = np.random.default_rng(1)
    pool = DRAWS[law](random, 20_000)
    covered = []
    for _ in range(400):
        random.shuffle(pool)
        covered.append(np.mean(pool[100:4000] >= fit_thresholds(pool[:100])[promise]))
    assert np.mean(covered) == pytest.approx(promise, abs=0.015)
    # No wider than the ranks of 100 labels allow.
    assert np.std(covered) < np.sqrt(promise * (1 - promise) / 102) * 1.1


def test_the_quantile_weighs_ranks_by_a_beta_distribution():
    random = np.random.default_rng(2)
    n, share = 60, 0.2
    values = np.sort(random.normal(size=n))
    draws = random.beta(SMOOTHING * (n + 1) * share, SMOOTHING * (n + 1) * (1 - share), 400_000)
    assert estimate_quantile(values, share) == pytest.approx(values[(draws * n).astype(int)].mean(), abs=3e-3)


@pytest.mark.parametrize("law", DRAWS)
@pytest.mark.parametrize(("n", "promise"), [(10, 0.9), thorough(20, 0.95), thorough(50, 0.98), thorough(99, 0.99)])
def test_a_set_from_few_labels_keeps_its_promise(law, n, promise):
    random = np.random.default_rng(3)
    drawn = DRAWS[law](random, (4000, n + 1))
    covered = [row[n] >= fit_thresholds(row[:n])[promise] for row in drawn]
    assert np.mean(covered) > promise - 3 * np.sqrt(promise * (1 - promise) / 4000)


@pytest.mark.parametrize("n", [10, 40, 99, 150])
def test_equal_weights_are_all_in(n):
    assert all(threshold <= -1.25 for threshold in fit_thresholds(np.full(n, -1.25)).values())


def test_a_promise_needs_a_minimum_of_labels():
    assert [min_labels(p) for p in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]
    assert list(fit_thresholds(np.zeros(19))) == [p for p in COVERAGES if p <= 0.95]
