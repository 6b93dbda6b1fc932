"""Similarities in float64 of products or of the vectors themselves, every row summed alike."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup.rescoring.originals import gaussian_similarities, scale_products


def test_gaussian_is_minus_half_the_squared_distance_to_one_query_or_to_each_row_s_own():
    random = np.random.default_rng(0)
    keys, queries = random.standard_normal((20, 7)), random.standard_normal((20, 7))
    np.testing.assert_allclose(
        gaussian_similarities(queries[0], keys), [-(((k - queries[0]) ** 2).sum()) / 2 for k in keys]
    )
    np.testing.assert_allclose(
        gaussian_similarities(queries, keys), [-(((k - q) ** 2).sum()) / 2 for q, k in zip(queries, keys, strict=True)]
    )


@pytest.mark.parametrize("rows", [1, 2, 9, 130])
def test_gaussian_of_a_row_does_not_depend_on_where_it_stands(rows):
    random = np.random.default_rng(rows)
    keys, query = random.standard_normal((rows, 37)), random.standard_normal(37)
    similarities = gaussian_similarities(query, keys)
    for row in (0, rows // 2, rows - 1):
        assert gaussian_similarities(query, keys[row : row + 1])[0] == similarities[row]


def test_products_become_the_similarity_in_their_own_place():
    products = np.array([[6.0, -3.0, 0.0]])
    for name, expected in (("dot", [6, -3, 0]), ("scaled_dot", [2, -1, 0]), ("cosine", [1, -0.25, 0])):
        made = products.copy()
        actual = scale_products(name, made, np.array([[2.0]]), np.array([3.0, 6.0, 1.0]), 9)
        assert actual is made
        np.testing.assert_allclose(actual, [expected])


def test_no_cosine_leaves_its_range():
    just_above = np.nextafter(1.0, 2.0)
    products = scale_products("cosine", np.array([just_above, -just_above, 0.5]), np.float64(1.0), np.ones(3), 2)
    assert products.tolist() == [1.0, -1.0, 0.5]
