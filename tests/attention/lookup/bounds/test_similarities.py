"""Errors of similarities: of rounding in float64, and of 8-bit codes in a scan."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from softkv_attention.kernels import kernels
from softkv_attention.lookup import Memory, Rows
from softkv_attention.lookup.bounds.similarities import (
    UNIT_ROUNDOFF,
    QuantisationError,
    quantisation_errors,
    similarity_slack,
)
from softkv_attention.lookup.codes.quantisation import FINE_QUERIES, QueryCodes, code_queries
from softkv_attention.lookup.memory.tiles import PassingRows
from softkv_attention.lookup.rescoring.originals import compute_all_similarities, compute_similarities

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


def test_the_slack_scales_with_the_vectors_like_the_similarity():
    query = np.array([3.0, 4.0])
    for name, times in (("dot", 8), ("scaled_dot", 8), ("cosine", 1), ("gaussian", 1)):
        one, other = similarity_slack(name, query, 1.0), similarity_slack(name, 2 * query, 4.0)
        assert other.at(1.0) == pytest.approx(times * one.at(1.0))
    assert similarity_slack("dot", query, 1.0).at(0.0) > 0
    assert similarity_slack("gaussian", query, 1.0).at(0.0) == 0  # a sum of squares that is 0 is so exactly


RANDOM = np.random.default_rng(4)
KEYS = (RANDOM.standard_normal((3000, 30)) * RANDOM.gamma(2.0, size=(3000, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def view():
    return Memory("dot").publish(add=Rows(np.arange(len(KEYS)), KEYS))


def errors_of(view, vectors, queries):
    """Return float64[q, n], the error of the product of codes."""
    (segment,) = view.segments
    codes = segment.block.codes
    seen = codes.at(np.arange(len(KEYS)), KEYS.shape[1]) * codes.scales[: len(KEYS), None].astype(np.float64)
    return vectors @ KEYS.T.astype(np.float64) - (queries.codes * queries.scales[:, None]) @ seen.T


def holds(view, vectors, queries):
    bounds = [QuantisationError(*row) for row in quantisation_errors(view, queries).tolist()]
    for wrong, bound in zip(errors_of(view, vectors, queries), bounds, strict=True):
        assert np.abs(wrong).max() <= bound.largest
        assert (wrong**2).sum() <= bound.squares


@pytest.mark.parametrize("count", [1, FINE_QUERIES, FINE_QUERIES + 1, 40])
def test_the_bounds_hold_for_every_row_and_for_all_together(view, count):
    vectors = RANDOM.standard_normal((count, 30))
    queries = code_queries("dot", vectors, outputs=False)
    assert queries.fine == (count <= FINE_QUERIES or kernels().WIDE)
    holds(view, vectors, queries)


@pytest.mark.parametrize("fine", [True, False])
def test_the_residual_of_a_query_is_counted(view, fine):
    vectors = RANDOM.standard_normal((3, 30))
    nothing = np.zeros((3, 30), dtype=np.int16)  # a code that leaves out everything
    lengths = np.linalg.norm(vectors, axis=1)
    holds(view, vectors, QueryCodes(nothing, np.ones(3), lengths, vectors, lengths, fine))
