"""A view in thin codes: queries that are turned like its keys, and rows that are drawn and looked up."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory
from attention.lookup.parts.thin import ThinWhole
from attention.lookup.scan.thin_accumulator import ThinScan

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


def test_of_rows_whose_codes_are_added_up_whole_parts_are_taken():
    part = whole("dot")
    marks, places = np.array([0.9, 0.1, 0.3, 0.55, 0.6]), np.array([40, 7, 300, 7, 12])
    blend = np.arange(16.0)[:, None] * np.ones(VECTOR.size)
    found = ThinScan(
        *(0.0, np.empty(0, np.int64), np.empty(0, np.float32), np.ones(3), places, np.zeros(5, np.float32), marks),
        *(np.zeros(VECTOR.size), blend, marks),
    )
    drawn = part.drawn(VECTOR, found, wanted=2.7)  # of 16 parts 8.6, so 9
    np.testing.assert_array_equal(drawn.shares, [0.1, 0.55, 0.3])
    np.testing.assert_array_equal(drawn.places, [7, 7, 300])
    np.testing.assert_array_equal(drawn.blend, blend[:9].sum(axis=0))


def test_values_are_blended_and_codes_turned_back():
    part = whole("dot")
    places, weights = np.array([3, 200, 3, 17, 5]), np.array([0.5, -1.0, 2.0, 0.1, 0.0])
    np.testing.assert_allclose(part.blended(places, weights), weights @ KEYS[places].astype(np.float64), rtol=1e-12)
    assert not part.blended(places[:0], weights[:0]).any()
    turned = part.thin.rotation.turned(KEYS[:1].astype(np.float64))[0]
    np.testing.assert_allclose(part.turned_back(turned), KEYS[0], atol=1e-9)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_spreads_are_the_distances_of_codes_from_their_values(similarity):
    part = whole(similarity)
    places = np.arange(0, len(KEYS), 7)
    keys = KEYS[places].astype(np.float64)
    codes = [segment.block.thin for segment in part._view.segments]
    assert len(codes) == 1
    high, low = codes[0].at(places)
    lengths, spreads, spreads_of_keys = part.spreads_at(places, 4)
    scales = codes[0].scales[1, places] * (lengths if similarity == "cosine" else 1)
    coded = (2.0 * (4 * high + low) - 15) * scales[:, None] @ part.thin.rotation.matrix(keys.shape[1])
    np.testing.assert_allclose(lengths, np.linalg.norm(keys, axis=1))
    np.testing.assert_allclose(spreads, np.linalg.norm(coded - keys, axis=1), rtol=1e-4)
    np.testing.assert_allclose((coded * keys).sum(axis=1), lengths**2, rtol=1e-5)
    np.testing.assert_allclose(spreads_of_keys * (lengths if similarity == "cosine" else 1), spreads, rtol=1e-12)
    assert spreads.max() <= part.largest_spread(4) * (1 + 1e-6)
