"""A view in thin codes: queries that are turned like its keys, and rows that are drawn and looked up."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory
from attention.lookup.parts.thin import ThinWhole
from attention.lookup.scan.thin import ThinScan

KEYS = np.random.default_rng(2).standard_normal((500, 64)).astype(np.float32)
VECTOR = np.random.default_rng(3).standard_normal(64)


def whole(similarity):
    view = Memory.of(KEYS, similarity=similarity, thin_seed=bytes(range(32))).view
    return ThinWhole(view, None, view.thin)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_products_with_turned_keys_are_similarities(similarity, oracle):
    part = whole(similarity)
    keys = KEYS / np.linalg.norm(KEYS, axis=1, keepdims=True) if similarity == "cosine" else KEYS
    queries = part.queries(VECTOR[None])
    seen = (queries.codes * queries.scales[:, None])[0]
    products = part.thin.rotation.turned(keys.astype(np.float64)) @ seen
    np.testing.assert_allclose(products, oracle(similarity, VECTOR, KEYS), rtol=0, atol=1e-3 * np.abs(products).max())


def test_the_rows_drawn_are_those_of_low_marks_by_their_places(oracle):
    part = whole("dot")
    places = np.array([40, 7, 300, 7, 12])
    scanned, marks = np.arange(5, dtype=np.float32), np.array([0.9, 0.1, 0.3, 0.5, 0.6])
    found = ThinScan(0.0, np.empty(0, np.int64), np.empty(0, np.float32), np.ones(3), places, scanned, marks)
    drawn = part.drawn(VECTOR, found, wanted=3.0)
    np.testing.assert_array_equal(drawn.scanned, [1, 3, 4, 2])
    np.testing.assert_allclose(drawn.similarities, oracle("dot", VECTOR, KEYS[[7, 7, 12, 300]]), rtol=1e-12)
    assert len(part.drawn(VECTOR, found, wanted=5.0).scanned) == 5
