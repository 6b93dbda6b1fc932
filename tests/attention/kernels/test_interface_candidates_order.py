"""Listed rows in order and counted: every implementation beside plain definitions, at awkward sizes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attention.kernels.implementations import EVERY, IMPLEMENTATIONS

lengths = st.lists(st.integers(0, 70), min_size=1, max_size=6)
seeds = st.integers(0, 999)


def descending(seed, counts, step=0.0):
    """Return a generator, float64[m] of runs that each descend, and the positions at which they start."""
    random = np.random.default_rng(seed)
    values = random.standard_normal(sum(counts))
    if step:
        values = np.round(values / step) * step
    starts = np.append(0, np.cumsum(counts))
    for first, last in pairwise(starts.tolist()):
        values[first:last] = -np.sort(-values[first:last])
    return random, values, starts


def put_in_order(running, positions, similarities, counts, part=None):
    """Return runs of (position, similarity) for the questions of a part; part None means all questions."""
    first, last = part or (0, counts.shape[1])
    starts = np.append(0, counts.sum(axis=0).cumsum())
    ordered, ordered_values = np.full(starts[-1], -1), np.full(starts[-1], np.nan)
    running.sort_candidates(positions, similarities, counts, starts, first, last, ordered, ordered_values)
    return [
        list(zip(ordered[a:b].tolist(), ordered_values[a:b].tolist(), strict=True))
        for a, b in pairwise(starts.tolist())
    ]


@EVERY
@settings(deadline=None)
@given(seed=seeds, workers=st.integers(1, 3), queries=st.integers(1, 5), step=st.sampled_from([0.0, 0.5]))
def test_each_run_descends_and_ties_keep_their_order(running, seed, workers, queries, step):
    random = np.random.default_rng(seed)
    shape = (workers, queries, 40)
    similarities = random.standard_normal(shape)
    if step:
        similarities = np.round(similarities / step) * step
    similarities = similarities.astype(np.float32)
    similarities[random.random(shape) < 0.1] = -0.0  # level with 0
    positions, counts = random.permutation(similarities.size).reshape(shape), random.integers(0, 41, shape[:2])
    expected = []
    for query in range(queries):
        own_run = [(w, position) for w in range(workers) for position in range(counts[w, query])]
        own_run.sort(key=lambda one, query=query: -similarities[one[0], query, one[1]])
        expected.append([(positions[w, query, index], similarities[w, query, index]) for w, index in own_run])
    assert put_in_order(running, positions, similarities, counts) == expected
    first, *other_runs = put_in_order(running, positions, similarities, counts, (1, queries))
    assert other_runs == expected[1:]
    assert [number for number, _ in first] == [-1] * len(expected[0])  # which was not to be touched


@EVERY
def test_numbers_at_float32_s_ends_are_in_order(running):
    ends = np.array([1e-45, -1e-45, 3e38, -3e38, 0.0, 1e-38, -1e-38, np.inf, -np.inf], dtype=np.float32)
    (run,) = put_in_order(running, np.arange(9)[None, None], ends[None, None], np.array([[9]]))
    assert [number for number, _ in run] == [7, 2, 5, 0, 4, 1, 6, 3, 8]


@EVERY
@settings(deadline=None)
@given(seed=seeds, counts=lengths)
def test_first_ones_stand_one_run_after_another(running, seed, counts):
    random = np.random.default_rng(seed)
    starts, firsts = np.append(0, np.cumsum(counts)), random.integers(0, np.array(counts) + 1)
    edges, positions, runs = running.first_rows(starts[:-1], firsts)
    assert edges.tolist() == [0, *np.cumsum(firsts)]
    pairs = [(start + position, run) for run, start in enumerate(starts[:-1]) for position in range(firsts[run])]
    assert list(zip(positions.tolist(), runs.tolist(), strict=True)) == pairs


def at_first_of(run, heavy, k, margin, limit, times):
    if len(run) < k:
        return 0
    least = min(run[min(max(k, heavy), len(run), limit) - 1], run[k - 1] - margin)
    return min(int((run >= least).sum()), max(times * limit, 2 * k))


@EVERY
@settings(deadline=None)
@given(seed=seeds, counts=lengths, most=st.sampled_from([1, 5, 60]), margin=st.sampled_from([0.0, 0.3, 9.0]))
def test_the_first_rows_are_the_heavy_ones_and_those_near_the_kth(running, seed, counts, most, margin):
    random, values, starts = descending(seed, counts, 0.25)
    heavy, ks = random.integers(0, 40, len(counts)), random.integers(1, 20, len(counts))
    actual = running.initial_counts(values, starts, heavy, ks, np.full(len(counts), margin), most, 4)
    queries = zip(pairwise(starts.tolist()), heavy.tolist(), ks.tolist(), strict=True)
    assert actual.tolist() == [
        at_first_of(values[a:b], own_values, k, margin, most, 4) for (a, b), own_values, k in queries
    ]


def decided(run, known_values, k, support, threshold, error, limit):
    """Return how many values are needed: all that are below the k-th best known value by at most the error."""
    if len(known_values) < k:
        return -1
    for level in (known_values[:k].min(), np.sort(known_values)[-k]):
        least = (min(level, known_values.max() - support) if support else level) - error
        reached = max(int((run >= least).sum()), len(known_values))
        if threshold <= least and reached <= limit:
            return reached
    return -1


@EVERY
@settings(deadline=None)
@given(seed=seeds, counts=lengths, most=st.sampled_from([2, 20]))
def test_decisive_counts_follow_from_the_kth_known_similarity(running, seed, counts, most):
    random, values, starts = descending(seed, counts, 0.25)
    q = len(counts)
    firsts, ks = random.integers(0, np.array(counts) + 1), random.integers(1, 12, q)
    supports, thresholds = random.choice([0.0, 0.6], q), random.choice([-9.0, -1.0, 0.0], q)
    errors = random.choice([0.0, 0.1, 0.7], q)
    known_values = np.concatenate([values[a : a + n] for a, n in zip(starts, firsts, strict=False)])
    known_values = known_values + random.choice([0.0, 0.2, -0.2], len(known_values))
    actual = running.decisive_counts(values, starts, known_values, firsts, ks, supports, thresholds, errors, most, 4)
    own_values = np.split(known_values, firsts.cumsum()[:-1])
    expected = [
        decided(values[a:b], own_values[i], ks[i], supports[i], thresholds[i], errors[i], max(4 * most, 2 * ks[i]))
        for i, (a, b) in enumerate(pairwise(starts.tolist()))
    ]
    assert actual.tolist() == expected


@settings(deadline=None)
@given(
    seed=seeds, counts=lengths, least=st.sampled_from([0.0, 1e-22, 1e-3, 1.0, 30.0]), few=st.sampled_from([0.0, 0.5])
)
def test_all_leave_the_same_squares(seed, counts, least, few):
    random, values, starts = descending(seed, counts)
    inverse, levels = random.choice([0.1, 3.0, 300.0, 1e30], len(counts)), random.standard_normal(len(counts))
    outputs = []
    for running in IMPLEMENTATIONS.values():
        heavy = np.full(len(counts), -9)
        running.heavy_counts(values, starts, inverse, levels, 10**levels, few, least, 0, len(counts), heavy)
        outputs.append(heavy.tolist())
    assert all(counts == outputs[0] for counts in outputs)
