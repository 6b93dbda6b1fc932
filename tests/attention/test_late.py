"""Late interaction: the best word for each word, and a mass that is shared again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.late import MARGIN, find_best_words, round_words, share_again


def test_each_word_finds_the_nearest_one():
    question, document = round_words(np.eye(3, dtype=np.float32)[:2]), round_words(np.eye(3, dtype=np.float32)[::-1])
    best = find_best_words(question, document)
    np.testing.assert_array_equal(best.indices, [2, 1])
    np.testing.assert_array_equal(best.cosines, [1, 1])


def test_cosines_are_those_of_the_integers():
    random = np.random.default_rng(7)
    question, document = (round_words(random.standard_normal((n, 384)).astype(np.float32)) for n in (7, 11))
    best = find_best_words(question, document)
    q, d = question.astype(np.float64), document.astype(np.float64)
    cosines = (q @ d.T) / np.sqrt(np.outer((q * q).sum(1), (d * d).sum(1)))
    np.testing.assert_array_equal(best.indices, cosines.argmax(axis=1))
    np.testing.assert_allclose(best.cosines, cosines.max(axis=1), rtol=1e-15)


def test_rounding_keeps_the_direction_and_a_zero_vector():
    vectors = np.random.default_rng(7).standard_normal((5, 384)).astype(np.float32)
    rounded = round_words(vectors).astype(np.float64)
    cosines = (rounded * vectors).sum(1) / np.linalg.norm(rounded, axis=1) / np.linalg.norm(vectors, axis=1)
    assert (cosines > 0.9999).all()
    zero = round_words(np.zeros((1, 4), np.float32))
    np.testing.assert_array_equal(find_best_words(zero, zero).cosines, [0])


logits = st.floats(-700, 700)


@given(st.lists(st.tuples(logits, logits), min_size=1, max_size=12), st.floats(0, 50))
def test_the_mass_is_kept_and_none_falls_below_the_next(pairs, below):
    before, targets = (np.array(column) for column in zip(*pairs, strict=True))
    least = float(before.min()) - below
    after = share_again(before, targets, least)
    peak = before.max()
    assert np.exp(after - peak).sum() == pytest.approx(np.exp(before - peak).sum(), rel=1e-9)
    assert (after >= least - 1e-9).all()


def test_documents_that_tie_with_the_next_one_are_shared_again_among_themselves():
    after = share_again(np.zeros(3), np.array([0.0, 3.0, 1.0]), 0.0)
    np.testing.assert_allclose(after, 0, atol=1e-12)


def test_without_a_next_one_the_differences_are_those_of_the_targets():
    after = share_again(np.array([3.0, 2.0, 1.0]), np.array([0.0, 1.0, 5.0]))
    np.testing.assert_allclose(np.diff(after), [1, 4])
    assert np.exp(after).sum() == pytest.approx(math.exp(3) + math.exp(2) + math.exp(1))


def test_falling_documents_are_held_and_the_others_share_the_rest():
    before = np.array([3.0, 2.5, 2.0])
    after = share_again(before, np.array([0.0, 9.0, 1.0]), 1.9)
    np.testing.assert_allclose(after[[0, 2]], [1.9 + MARGIN, 1.9 + 2 * MARGIN], atol=1e-12)
    assert np.exp(after).sum() == pytest.approx(np.exp(before).sum())
