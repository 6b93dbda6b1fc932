"""Opening thresholds: samples of several parts together give that of one sample; and products that a scan can hold."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Memory, Rows
from softkv_attention.lookup.codes.quantisation import code_queries
from softkv_attention.lookup.scan import (
    MIN_LISTED,
    NO_THRESHOLD,
    ThresholdSample,
    fits_float32,
    merge_thresholds,
    sample_best,
    sample_stride,
)

RANDOM = np.random.default_rng(8)
N = 40_000
KEYS = RANDOM.standard_normal((N, 8)).astype(np.float32)
QUERIES = code_queries("cosine", RANDOM.standard_normal((3, 8)), outputs=False)


def view_of(rows):
    return Memory("cosine").publish(add=Rows(rows, KEYS[rows]))


def test_a_sample_has_a_stride_and_a_number_of_best_rows():
    assert ThresholdSample.of(64, N, 2_048) == ThresholdSample(64, 32)
    assert ThresholdSample.of(64, 10**7, 2_048) == ThresholdSample(64 * 19, 4)
    assert ThresholdSample.of(2, 600, 1) == ThresholdSample(2, MIN_LISTED // 2)


@pytest.mark.parametrize("parts", [1, 4])
def test_about_as_many_rows_lie_above_as_are_to_be_listed(running, coded, parts):
    views = [view_of(rows) for rows in np.array_split(RANDOM.permutation(N), parts)]
    sampling = ThresholdSample.of(max(sample_stride(view, None) for view in views), N, 4_000)
    thresholds = merge_thresholds([sample_best(view, None, None, QUERIES, sampling) for view in views], sampling.count)
    above = sum((coded(view, QUERIES) >= thresholds[:, None]).sum(axis=1) for view in views)
    assert (np.abs(above - 4_000) < 1_500).all()


def test_the_best_of_all_samples_decide_together():
    best = np.arange(12, dtype=np.float32).reshape(1, 12)
    assert merge_thresholds([(best[:, :6], 30), (best[:, 6:], 30)], 6).tolist() == [6.0]
    assert merge_thresholds([(best[:, ::2], 30), (best[:, 1::2], 30)], 6).tolist() == [6.0]


def test_a_sample_with_few_passing_rows_lists_all():
    view = view_of(np.arange(N))
    mask = view.mask(np.arange(100))
    sampling = ThresholdSample.of(sample_stride(view, mask), N, 4_000)
    best, seen = sample_best(view, mask, None, QUERIES, sampling)
    assert seen < 8
    assert (merge_thresholds([(best, seen)], sampling.count) == NO_THRESHOLD).all()


def test_products_have_to_keep_clear_of_float32_s_ends():
    query = np.array([3.0, 4.0])
    for similarity, length, expected in (
        ("dot", 1.0, True),
        ("dot", 1e-32, False),
        ("dot", 1e31, False),
        ("cosine", 1e31, True),
    ):
        view = Memory(similarity).publish(add=Rows(np.arange(1), np.array([[length, 0.0]])))
        assert fits_float32(view.facts, query) == expected
    assert not fits_float32(
        (view := Memory("scaled_dot").publish(add=Rows(np.arange(1), np.eye(1, 2)))).facts, 0 * query
    )
    assert fits_float32(view.facts, query)
