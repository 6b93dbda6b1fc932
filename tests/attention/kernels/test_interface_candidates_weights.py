"""Listed rows weighed and the best of them picked: every implementation beside plain definitions, at awkward sizes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.kernels import TOTALS, Totals
from tests.attention.kernels.implementations import EVERY

seeds = st.integers(0, 999)


def weighed(running, values, starts, counts, temperature, thresholds, sums, nulls, part=None):
    """Return (weights, factors, totals); NaN for values that the kernel must not write."""
    weights, factors = np.full(len(values), np.nan), np.full(thresholds.shape, np.nan)
    totals, temperatures = np.full((len(counts), TOTALS), np.nan), np.full(len(counts), temperature)
    first, last = part or (0, len(counts))
    arguments = (values, starts, counts, temperatures, thresholds, sums, nulls, first, last)
    running.softmax_weights(*arguments, weights, factors, totals)
    return weights, factors, totals


def cases(seed, counts_known, behind, parts):
    """Runs of similarities, each descending, sums below thresholds beside them, and null keys for every other case."""
    random = np.random.default_rng(seed)
    lengths = [count + behind * (position % 2) for position, count in enumerate(counts_known)]
    values, starts = random.standard_normal(sum(lengths)), np.append(0, np.cumsum(lengths))
    for first, last in pairwise(starts.tolist()):
        values[first:last] = -np.sort(-values[first:last])
    sums = np.stack([random.random((len(counts_known), parts)) * 9, *np.zeros((2, len(counts_known), parts))], axis=2)
    sums[..., 1], sums[..., 2] = -0.3 * sums[..., 0], 0.7 * sums[..., 0]
    nulls = np.array([(-np.inf, 0.0) if position % 2 else (0.5, 2.0) for position in range(len(counts_known))])
    return values, starts, np.array(counts_known), random.standard_normal((len(counts_known), parts)) - 3, sums, nulls


@EVERY
@settings(deadline=None)
@given(
    seed=seeds,
    known=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    behind=st.integers(0, 100),
    parts=st.integers(0, 3),
    temperature=st.sampled_from([0.05, 0.5, 30.0, 1e6]),
)
def test_weights_and_their_totals_match_float64(running, seed, known, behind, parts, temperature):
    values, starts, counts, thresholds, sums, nulls = cases(seed, known, behind, parts)
    weights, factors, totals = weighed(running, values, starts, counts, temperature, thresholds, sums, nulls)
    for case, (first, last) in enumerate(pairwise(starts.tolist())):
        logits, peak = values[first:last] / temperature, values[first] / temperature
        masses = np.exp(logits - peak)
        levels = thresholds[case] / temperature - peak
        mass, gap, square = np.exp(levels) * sums[case].T
        null = 0.0 if case % 2 else math.exp((0.5 - values[first]) / temperature + 2.0)
        whole = math.fsum([*masses, *mass, null])
        documents = math.fsum([*masses, *mass])
        np.testing.assert_allclose(weights[first:last], masses / whole, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(factors[case], np.exp(levels) / whole, rtol=1e-12, atol=1e-300)
        total, middle = Totals(*totals[case]), counts[case]
        assert total.best == values[first]
        assert total.null_weight == pytest.approx(null / whole, rel=1e-12)
        assert total.log_partition == pytest.approx(peak + math.log(whole), rel=1e-12, abs=1e-12)
        gaps = math.fsum([*(masses * (logits - peak)), *(gap + levels * mass)]) / documents
        assert total.entropy == pytest.approx(math.log(documents) - gaps, rel=1e-10, abs=1e-12)
        above = 0.0 if case % 2 else max(math.log(null), 0.0)
        below = 0.0 if case % 2 else max(-math.log(null), 0.0)
        mean_gap = documents / whole * (above - gaps) + null / whole * below
        assert total.mean_gap == pytest.approx(mean_gap, rel=1e-10, abs=1e-12)
        tail = math.fsum([*masses[middle:], *mass]) / whole
        assert total.tail == pytest.approx(tail, rel=1e-12)
        assert total.log_tail == pytest.approx(math.log(tail) if tail else -math.inf, rel=1e-10, abs=1e-12)
        squares = math.fsum(np.exp(levels) * square) / whole**2
        assert total.summed_square == pytest.approx(squares, rel=1e-12)
        assert total.tail_square == pytest.approx(math.fsum(masses[middle:] ** 2) / whole**2 + squares, rel=1e-12)


@EVERY
@pytest.mark.parametrize("temperature", [1e-30, 1e-3, np.inf])
def test_the_logarithm_of_a_tail_outlasts_its_weight(running, temperature):
    values, starts, counts = np.array([1.0, 0.5, 0.25]), np.array([0, 3]), np.array([1])
    sums = np.array([[[4.0, 0.0, 4.0], [0.0, 0.0, 0.0]]])
    arguments = (values, starts, counts, temperature, np.array([[0.2, -3e38]]), sums, np.array([[-np.inf, 0.0]]))
    _, _, totals = weighed(running, *arguments)
    logits = [(0.5 - 1) / temperature, (0.25 - 1) / temperature, (0.2 - 1) / temperature + math.log(4)]
    together = np.logaddexp.reduce([0.0, *logits])
    assert Totals(*totals[0]).log_tail == pytest.approx(np.logaddexp.reduce(logits) - together, rel=1e-12)
    assert Totals(*totals[0]).null_weight == 0


@EVERY
def test_the_questions_of_others_are_left_alone(running):
    arguments = cases(3, [4, 5, 6], 7, 1)
    values, starts, counts, *rest = arguments
    whole = weighed(running, values, starts, counts, 0.3, *rest)
    part = weighed(running, values, starts, counts, 0.3, *rest, part=(1, 2))
    own_slice = slice(starts[1], starts[2])
    for one, other, part_slice in zip(part, whole, (own_slice, slice(1, 2), slice(1, 2)), strict=True):
        np.testing.assert_array_equal(one[part_slice], other[part_slice])
        assert np.isnan(np.delete(one, range(part_slice.start, part_slice.stop), axis=0)).all()


@EVERY
@settings(deadline=None)
@given(
    seed=seeds,
    counts=st.lists(st.integers(0, 90), min_size=1, max_size=5),
    step=st.sampled_from([0.0, 0.3, 9.0]),
    k=st.sampled_from([0, 1, 2, 10, 50]),
)
def test_a_head_is_the_k_best_and_all_that_tie_with_the_last(running, seed, counts, step, k):
    random = np.random.default_rng(seed)
    starts = np.append(0, np.cumsum(np.array(counts) + 3))  # three of each run are not known
    values = random.standard_normal(starts[-1])
    if step:
        values = np.round(values / step) * step
    positions, ks = random.permutation(len(values)), random.integers(0, k + 1, len(counts))
    edges, rows, runs = running.top_rows(values, positions, starts, np.array(counts), ks)
    for query, (first, last) in enumerate(pairwise(edges.tolist())):
        query_rows = range(starts[query], starts[query] + counts[query])
        query_rows = sorted(query_rows, key=lambda row: (-values[row], positions[row]))
        few = min(int(ks[query]), len(query_rows))
        assert rows[first:last].tolist() == [
            row for row in query_rows if few and values[row] >= values[query_rows[few - 1]]
        ]
    assert edges[-1] == len(rows)
    assert runs.tolist() == np.repeat(np.arange(len(counts)), np.diff(edges)).tolist()
