"""Maximal marginal relevance against its formula, written plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softkv
from softkv.integrations import select_by_mmr


def cosine(one, other):
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.dot(one, other)) / lengths if lengths else 0.0


def plainly(query, keys, k, relevance):
    """Return the score of each choice, and the best possible score; the choice among ties is arbitrary."""

    def score(index, chosen):
        nearest = max(cosine(keys[index], keys[other]) for other in chosen) if chosen else 0
        weight = relevance if chosen else 1
        return weight * cosine(query, keys[index]) - (1 - relevance) * nearest

    return score


@given(
    st.integers(0, 2**32),
    st.integers(1, 12),
    st.integers(0, 15),
    st.one_of(st.sampled_from([0, 1]), st.floats(0, 1)),
)
def test_each_choice_is_the_best_that_the_formula_leaves(seed, n, k, relevance):
    generator = np.random.default_rng(seed)
    query, keys = generator.normal(size=4), generator.normal(size=(n, 4))
    keys[generator.random(n) < 0.2] = 0
    chosen = select_by_mmr(query, list(keys), k, relevance)
    assert len(chosen) == len(set(chosen)) == min(k, n)
    score = plainly(query, keys, k, relevance)
    for many, position in enumerate(chosen):
        left = set(range(n)) - set(chosen[:many])
        assert score(position, chosen[:many]) == pytest.approx(max(score(item, chosen[:many]) for item in left))


def test_with_relevance_alone_they_are_in_the_order_of_similarity():
    keys = [[0, 1], [1, 0], [1, 1]]
    assert select_by_mmr([2, 0], keys, 3, 1) == [1, 2, 0]


def test_the_like_of_a_chosen_one_comes_later():
    keys = [[1, 0], [0.99, 0.01], [0.5, 0.5]]
    assert select_by_mmr([1, 0], keys, 2, 1.0) == [0, 1]
    assert select_by_mmr([1, 0], keys, 2, 0.3) == [0, 2]


def test_of_none_none_is_chosen():
    assert select_by_mmr([1, 0], [], 3, 0.5) == []


@pytest.mark.parametrize("relevance", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_of_0_to_1_is_refused(relevance):
    with pytest.raises(softkv.Invalid, match="a number from 0 to 1"):
        select_by_mmr([1], [[1]], 1, relevance)
