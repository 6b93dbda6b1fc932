"""Candidates in order and weighed: both twins beside plain definitions, at awkward sizes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import in_machine_code, in_numpy

TWINS = pytest.mark.parametrize("twin", [in_machine_code, in_numpy])
lengths = st.lists(st.integers(0, 70), min_size=1, max_size=6)
seeds = st.integers(0, 999)


def runs_of(seed, counts, step=0.0):
    """(a generator, float64[m] of so many runs, which may tie, where they start)."""
    random = np.random.default_rng(seed)
    values = random.standard_normal(sum(counts))
    if step:
        values = np.round(values / step) * step
    return random, values, np.append(0, np.cumsum(counts))


@TWINS
@settings(deadline=None)
@given(seed=seeds, counts=lengths, step=st.sampled_from([0.0, 0.5]))
def test_each_run_descends_and_what_is_level_stays_as_it_stands(twin, seed, counts, step):
    random, values, starts = runs_of(seed, counts, step)
    similarities = values.astype(np.float32)
    similarities[random.random(len(similarities)) < 0.1] = -0.0  # level with 0
    order = twin.best_first(similarities, starts)
    expected = [sorted(range(a, b), key=lambda row: -similarities[row]) for a, b in pairwise(starts.tolist())]
    assert order.tolist() == [row for run in expected for row in run]


@TWINS
def test_numbers_at_float32_s_ends_are_in_order(twin):
    ends = np.array([1e-45, -1e-45, 3e38, -3e38, 0.0, 1e-38, -1e-38, np.inf, -np.inf], dtype=np.float32)
    order = twin.best_first(ends, np.array([0, len(ends)]))
    assert (np.diff(ends[order]) <= 0).all()


@TWINS
@settings(deadline=None)
@given(seed=seeds, counts=lengths)
def test_how_many_are_no_smaller(twin, seed, counts):
    random, values, starts = runs_of(seed, counts, 0.25)
    for first, last in pairwise(starts.tolist()):
        values[first:last] = -np.sort(-values[first:last])
    least = random.choice([*values, -np.inf, np.inf], len(counts))
    expected = [(values[a:b] >= low).sum() for (a, b), low in zip(pairwise(starts), least, strict=True)]
    assert twin.down_to(values, starts, least).tolist() == expected


@TWINS
@settings(deadline=None)
@given(seed=seeds, counts=lengths)
def test_the_worst_of_the_first_and_the_best_of_all(twin, seed, counts):
    random, values, starts = runs_of(seed, counts)
    ks = random.integers(1, 40, len(counts))
    worst, best = twin.levels(values, np.array(counts), ks)
    for query, (k, count) in enumerate(zip(ks, counts, strict=True)):
        own = values[starts[query] : starts[query] + count]
        assert worst[query] == (own[:k].min() if count >= k else -np.inf)
        assert best[query] == own.max(initial=-np.inf)


@TWINS
@settings(deadline=None)
@given(
    seed=seeds,
    known=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    behind=st.integers(0, 200),
    temperature=st.sampled_from([1e-30, 0.02, 0.5, 1e6, np.inf]),
)
def test_masses_and_what_they_add_up_to(twin, seed, known, behind, temperature):
    counts = [count + behind * (at % 2) for at, count in enumerate(known)]
    _, values, starts = runs_of(seed, counts)
    for first, last in pairwise(starts.tolist()):
        values[first:last] = -np.sort(-values[first:last])
    found, totals = twin.masses(values, starts, np.array(known), np.full(len(known), temperature))
    for case, (first, last) in enumerate(pairwise(starts.tolist())):
        middle = first + known[case]
        logits = np.maximum((values[first:last] - values[first]) / temperature, -1e30)
        masses = np.exp(logits)
        np.testing.assert_allclose(found[first:last], masses, rtol=1e-15)
        own, rest = slice(0, known[case]), slice(known[case], None)
        expected = [
            values[first:middle].max(),
            math.fsum(masses[own]),
            math.fsum((masses * logits)[own]),
            math.fsum(masses[rest]),
            math.fsum((masses * logits)[rest]),
            math.fsum((masses * masses)[rest]),
        ]
        np.testing.assert_allclose(totals[case], expected, rtol=5e-15)


@settings(deadline=None)
@given(seed=seeds, counts=lengths, limit=st.sampled_from([0.0, 1e-22, 1e-3, 1.0, 30.0]))
def test_twins_leave_the_same_squares(seed, counts, limit):
    random, values, starts = runs_of(seed, counts)
    for first, last in pairwise(starts.tolist()):
        values[first:last] = -np.sort(-values[first:last])
    inverse, limits = random.choice([0.1, 3.0, 300.0, 1e30], len(counts)), np.full(len(counts), limit)
    one, other = (twin.heaviest(values, starts, inverse, limits) for twin in (in_machine_code, in_numpy))
    np.testing.assert_array_equal(one, other)
