"""The certainty that remains without a part, case by case; tests/properties/test_lookup_coverage.py proves it true."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from softkv_attention.lookup import Background, Bias, KeySummary, Memory, Question, Rows, answers, cover_missing_rows
from softkv_attention.lookup.planner import answer

N, WIDTH = 4_000, 32


@pytest.fixture(scope="module")
def keys():
    """float32[4000, 32], unit vectors around 40 centres."""
    random = np.random.default_rng(4)
    keys = random.standard_normal((40, WIDTH))[random.integers(0, 40, N)] + random.standard_normal((N, WIDTH))
    return (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)


def filled(keys, values=None, first=0, owners=None):
    memory = Memory("cosine")
    return memory.publish(add=Rows(np.arange(first, first + len(keys)), keys, values, owners))


def asked(view, missing, query, temperature, **options):
    question = Question(query, temperature, **options)
    return cover_missing_rows(answer(view, question), question, view.facts, missing)


def test_with_nothing_missing_an_answer_is_as_it_was(keys):
    view = filled(keys)
    question = Question(keys[0].astype(float), 0.05)
    (answer,) = answers(view, [question])
    for missing in (None, KeySummary.empty("cosine", WIDTH)):
        same, coverage = cover_missing_rows(answer, question, view.facts, missing)
        assert same is answer
        assert (coverage.documents, coverage.total, coverage.max_missing_weight) == (N, N, 0.0)


def test_an_eighth_is_an_eighth_at_high_temperatures_and_anything_at_low_ones(keys):
    view, missing = filled(keys[:3500]), KeySummary.of("cosine", keys[3500:])
    coverages = {}
    for temperature in (math.inf, 10.0, 1.0, 0.2, 0.05, 0.01):
        result, coverage = asked(view, missing, keys[7].astype(float), temperature)
        coverages[temperature] = coverage
        assert result.certificate.total_variation == pytest.approx(coverage.max_missing_weight, abs=1e-3)
        assert (coverage.documents, coverage.total) == (3500, 4000)
    assert coverages[math.inf].max_missing_weight == pytest.approx(1 / 8, abs=1e-9)
    assert coverages[10.0].max_missing_weight == pytest.approx(1 / 8, abs=1e-4)
    assert coverages[1.0].max_missing_weight == pytest.approx(1 / 8, abs=1e-2)
    assert coverages[1.0].min_missing_weight == pytest.approx(1 / 8, abs=1e-2)
    assert coverages[0.01].max_missing_weight > 0.9
    highest = [each.max_missing_weight for each in coverages.values()]
    assert highest[1:] == sorted(highest[1:])


def test_only_rows_near_the_best_matter_to_cold_and_sparse_answers(keys):
    """Missing rows that all point one way have no weight for a query the other way; the upper end shows it."""
    view, missing = filled(keys), KeySummary.of("cosine", np.tile(-keys[:1], (5, 1)))
    for options in ({"temperature": 0.0}, {"temperature": 0.01, "normaliser": "sparsemax"}):
        temperature = options.pop("temperature")
        result, coverage = asked(view, missing, keys[0].astype(float), temperature, **options)
        assert coverage.max_missing_weight == 0
        assert result.certificate.total_variation < 1e-9
        result, coverage = asked(view, missing, -keys[0].astype(float), temperature, **options)
        assert coverage.max_missing_weight == 1
        assert result.certificate.total_variation == 1
    # All of them lie 2 below the best, and that is within the reach of sparsemax at T = 3, of entmax15 at 1.5.
    for normaliser, temperature, is_known in (
        *(("sparsemax", 1.9, True), ("sparsemax", 3.0, False)),
        *(("entmax15", 0.9, True), ("entmax15", 1.5, False)),
    ):
        _, coverage = asked(view, missing, keys[0].astype(float), temperature, normaliser=normaliser)
        assert (coverage.max_missing_weight == 0) is is_known
    # The level of a null key rises with the keys; where it stays the same, or far below, nothing changes.
    level = Background(0.0, 0.04).null_key(0.0, N).similarity
    barely = Background(1 - level - 1e-6, 0.04)
    for null, is_known in ((0.5, True), (1.5, True), (Background(0.0, 0.01), True), (barely, False)):
        _, coverage = asked(view, missing, keys[0].astype(float), 0.0, null=null)
        assert (coverage.max_missing_weight == 0) is is_known


@pytest.mark.parametrize("normaliser", ["softmax", "one_hot", "entmax15"])
def test_without_known_bounds_the_missing_rows_may_have_all_weight(keys, normaliser):
    view, missing = filled(keys[:3500]), KeySummary.of("cosine", keys[3500:])
    bias = Bias.of(view, np.array([3]), np.array([1.0])) if normaliser == "softmax" else None
    result, coverage = asked(view, missing, keys[0].astype(float), 0.5, normaliser=normaliser, bias=bias)
    assert (coverage.min_missing_weight, coverage.max_missing_weight) == (0, 1)
    assert result.certificate.total_variation == 1
    assert (coverage.documents, coverage.total) == (3500, 4000)


def test_if_every_row_is_missing_all_weight_is(keys):
    result, coverage = asked(filled(keys[:0]), KeySummary.of("cosine", keys), keys[0].astype(float), 0.5)
    assert (coverage.documents, coverage.total, coverage.max_missing_weight) == (0, 4000, 1.0)
    assert result.certificate.total_variation == 1


def test_missing_rows_that_a_filter_may_exclude_may_have_no_weight(keys):
    view, missing = filled(keys[:3500]), KeySummary.of("cosine", keys[3500:])
    query = keys[0].astype(float)
    _, whole = asked(view, missing, query, 1.0)
    assert whole.min_missing_weight > 0.1
    _, masked = asked(view, missing, query, 1.0, mask=view.mask(np.arange(1000)))
    assert masked.min_missing_weight == 0
    assert masked.max_missing_weight == pytest.approx(500 / 1500, abs=0.02)
    _, removed = asked(view, replace(missing, removed=1), query, 1.0)
    assert (removed.min_missing_weight, removed.max_missing_weight) == (0, whole.max_missing_weight)
