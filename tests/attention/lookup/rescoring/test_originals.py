"""Similarities and weighted sums over the float32 originals, of all rows or of some, by either kind of kernels."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Limits, Memory, Rows
from softkv_attention.lookup.memory.tiles import PassingRows
from softkv_attention.lookup.rescoring import originals
from softkv_attention.lookup.rescoring.originals import (
    add_rows,
    compute_all_similarities,
    compute_all_sums,
    compute_similarities,
    scale_products,
)

N, WIDTH = 301, 13
RANDOM = np.random.default_rng(0)
KEYS, VALUES = (RANDOM.standard_normal((N, width)).astype(np.float32) for width in (WIDTH, 3))
QUERIES = RANDOM.standard_normal((4, WIDTH))


@pytest.fixture(params=["cosine", "dot", "scaled_dot", "gaussian"])
def view(request):
    """In blocks of at most 64 rows, with values of their own; every seventh row is removed."""
    memory = Memory(request.param, limits=Limits(block_rows=64))
    memory.publish(add=Rows(np.arange(N), KEYS, VALUES))
    return memory.publish(remove=np.arange(0, N, 7))


def passing_of(view, allowed):
    mask = {"all": None, "some": view.mask(np.arange(50, 260, 3)), "none": view.mask(np.empty(0, dtype=np.int64))}[
        allowed
    ]
    passing = PassingRows(view, mask, 40)
    return passing, passing.row_indices.numbers(np.arange(passing.n))


@pytest.mark.parametrize("allowed", ["all", "some", "none"])
@pytest.mark.parametrize("queries", [1, 4])
def test_all_similarities_are_the_definition(running, oracle, view, allowed, queries):
    passing, numbers = passing_of(view, allowed)
    similarities = compute_all_similarities(view.similarity, passing.tiles, QUERIES[:queries])
    assert similarities.shape == (queries, len(numbers))
    for row, query in zip(similarities, QUERIES, strict=False):
        np.testing.assert_allclose(row, oracle(view.similarity, query, KEYS[numbers]), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("allowed", ["all", "some", "none"])
def test_all_sums_are_weights_times_values(running, view, allowed):
    passing, numbers = passing_of(view, allowed)
    weights = np.random.default_rng(1).random((4, len(numbers)))
    sums = compute_all_sums(passing.groups, weights, 3)
    np.testing.assert_allclose(sums, weights @ VALUES[numbers].astype(np.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("heavy", [0, 10**6])
def test_listed_similarities_match_each_query_and_its_row(running, oracle, view, monkeypatch, heavy):
    monkeypatch.setattr(originals, "LISTED_PER_LOOKUP", heavy)  # in one thread, or in all
    passing, numbers = passing_of(view, "all")
    random = np.random.default_rng(2)
    for count in (0, 1, 500):
        positions, query_numbers = random.integers(0, passing.n, count), random.integers(0, 4, count)
        similarities = compute_similarities(view.similarity, passing.row_indices, QUERIES, positions, query_numbers)
        table = np.array([oracle(view.similarity, query, KEYS[numbers]) for query in QUERIES])
        np.testing.assert_allclose(similarities, table[query_numbers, positions], rtol=1e-11, atol=1e-13)


def test_copies_of_a_row_have_one_similarity_wherever_they_stand(running, view):
    copies = np.repeat(KEYS[:5], 60, axis=0)
    view = Memory(view.similarity, limits=view.limits).publish(add=Rows(np.arange(300), copies))
    positions = np.random.default_rng(3).permutation(300)
    similarities = compute_similarities(
        view.similarity, PassingRows(view, None, 37).row_indices, QUERIES, positions, np.full(300, 2)
    )
    for copy in range(5):
        assert len(set(similarities[positions // 60 == copy])) == 1


def test_rows_are_added_to_the_output_of_their_query(running, view):
    passing, numbers = passing_of(view, "some")
    random = np.random.default_rng(4)
    for count in (0, 1, 200):
        positions, query_numbers, weights = (
            random.integers(0, passing.n, count),
            random.integers(0, 3, count),
            random.random(count),
        )
        outputs = np.ones((4, 3))
        add_rows(passing.row_indices, positions, query_numbers, weights, outputs)
        expected = np.ones((4, 3))
        np.add.at(expected, query_numbers, weights[:, None] * VALUES[numbers[positions]])
        np.testing.assert_allclose(outputs, expected, rtol=1e-12)


def test_no_cosine_leaves_its_range():
    just_above = np.nextafter(1.0, 2.0)
    products = scale_products("cosine", np.array([just_above, -just_above, 0.5]), np.float64(1.0), np.ones(3), 2)
    assert products.tolist() == [1.0, -1.0, 0.5]
