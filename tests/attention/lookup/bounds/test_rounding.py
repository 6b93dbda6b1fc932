"""The slack of a similarity: no order of summation carries it further, and the worst one comes close."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from attention.lookup.bounds.similarities import UNIT_ROUNDOFF, Slack, similarity_slack
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.rescoring.originals import compute_all_similarities, compute_similarities

SIMILARITIES = ["cosine", "dot", "scaled_dot", "gaussian"]


def true_similarity(name, query, key):
    """Return the similarity to sixty digits."""
    with localcontext() as context:
        context.prec = 60
        q, k = ([Decimal(float(component)) for component in vector] for vector in (query, key))
        if name == "gaussian":
            return -sum((a - b) ** 2 for a, b in zip(q, k, strict=True)) / 2
        product = sum(a * b for a, b in zip(q, k, strict=True))
        if name == "cosine":
            return product / (sum(a * a for a in q).sqrt() * sum(b * b for b in k).sqrt())
        return product / Decimal(len(q)).sqrt() if name == "scaled_dot" else product


@pytest.mark.parametrize("scale", [1e-18, 1.0, 1e15])
@pytest.mark.parametrize("width", [1, 2, 63, 200])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_no_similarity_that_is_computed_is_further_from_the_true_one(running, filled, similarity, width, scale):
    random = np.random.default_rng(width)
    keys = (random.standard_normal((9, width)) * scale).astype(np.float32)
    keys[-1] = keys[-2]
    view = filled(similarity, keys)
    queries = np.stack([random.standard_normal(width) * scale, keys[0] * (1 + 1e-12), keys[1].astype(np.float64)])
    passing = PassingRows(view, None, 4)
    fast = compute_all_similarities(similarity, passing.tiles, queries)
    positions = np.arange(9)
    for query, computed in zip(queries, fast, strict=True):
        alike = compute_similarities(
            similarity, passing.row_indices, query[None], positions, np.zeros(9, dtype=np.int64)
        )
        bound = similarity_slack(similarity, query, view.facts.key_norm)
        for row, key in enumerate(keys):
            true = true_similarity(similarity, query, key)
            for similarities in (computed[row], alike[row]):
                assert abs(Decimal(float(similarities)) - true) <= Decimal(bound.at(float(similarities)))


@pytest.mark.parametrize("width", [2, 10, 1000])
def test_the_worst_order_of_summation_comes_within_a_few_roundings_of_it(width):
    """1 + u + u + …, from the left: every sum is rounded back to 1, and all of the others are lost."""
    query, key = np.full(width, 2.0**-26), np.full(width, 2.0**-27)
    query[0] = key[0] = 1
    total = 0.0
    for product in query * key:
        total += product
    lost = (width - 1) * UNIT_ROUNDOFF
    assert total == 1
    bound = similarity_slack("dot", query, float(np.linalg.norm(key))).at(total)
    assert lost <= bound <= lost + 4 * UNIT_ROUNDOFF
    divided = similarity_slack("scaled_dot", query, float(np.linalg.norm(key))).at(total)
    assert divided == pytest.approx(bound / np.sqrt(width))
    assert (
        lost <= similarity_slack("cosine", query, float(np.linalg.norm(key))).at(total) <= 2 * lost + 13 * UNIT_ROUNDOFF
    )


def test_it_grows_with_the_vectors_where_the_similarity_does():
    query = np.array([3.0, 4.0])
    for name, times in (("dot", 8), ("scaled_dot", 8), ("cosine", 1), ("gaussian", 1)):
        one, other = similarity_slack(name, query, 1.0), similarity_slack(name, 2 * query, 4.0)
        assert other.at(1.0) == pytest.approx(times * one.at(1.0))
    assert similarity_slack("dot", query, 1.0).at(0.0) > 0
    assert similarity_slack("gaussian", query, 1.0).at(0.0) == 0  # a sum of squares that is 0 is so exactly


def test_a_part_of_it_is_the_same_for_all_and_a_part_relative():
    assert Slack(0.25, 0.5).at(2.0) == Slack(0.25, 0.5).at(-2.0) == 1.25
    assert Slack(0.25, 0.5).at(0.0) == 0.25
