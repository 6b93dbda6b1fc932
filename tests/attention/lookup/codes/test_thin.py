"""Thin codes: what is stored, and the law of the errors of what a scan would make of them."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup.bounds.thin import reach
from attention.lookup.codes.rotation import Rotation
from attention.lookup.codes.thin import ThinCodes

CODES = pytest.mark.parametrize("code", [0, 1])


def seed(number):
    return number.to_bytes(32, "little")


def estimates(thin, count, queries, code):
    """float64[q, n], ŝ of unrounded queries."""
    high, low = thin.at(np.arange(count))
    odd = 2.0 * high - 3 if code == 0 else 2.0 * (4.0 * high + low) - 15
    return thin.rotation.turned(queries) @ odd.T * thin.scales[code, :count]


@pytest.fixture(scope="module")
def keys():
    random = np.random.default_rng(1)
    return random.standard_normal((3000, 96)).astype(np.float32) * (0.5 + random.random((3000, 1), dtype=np.float32))


@CODES
def test_the_error_is_what_angle_and_rotation_make_of_it(keys, code):
    thin = ThinCodes.with_room(3000, 96, Rotation(seed(1)))
    thin.write(0, keys, None)
    query = np.random.default_rng(2).standard_normal(96)
    wide = keys.astype(np.float64)
    errors = estimates(thin, 3000, query[None], code)[0] - wide @ query
    across = np.linalg.norm(query - (wide @ query)[:, None] * wide / (wide**2).sum(axis=1)[:, None], axis=1)
    z = errors / (thin.spreads[code] * across) * np.sqrt(95)
    assert abs(z).max() < reach(96, 1e-9 / 3000) * np.sqrt(95)
    # All keys share one rotation: no more than about this is to be expected of their mean square.
    assert abs((z**2).mean() - 1) < 0.3


@CODES
def test_over_rotations_one_key_s_error_is_a_coordinate_on_the_sphere(code):
    random = np.random.default_rng(3)
    key = random.standard_normal((1, 24)).astype(np.float32)
    query = random.standard_normal(24)
    wide = key[0].astype(np.float64)
    across = np.linalg.norm(query - (wide @ query) / (wide @ wide) * wide)
    points = []
    for number in range(3000):
        thin = ThinCodes.with_room(1, 24, Rotation(seed(number)))
        thin.write(0, key, None)
        points.append((estimates(thin, 1, query[None], code)[0, 0] - wide @ query) / thin.spreads[code, 0] / across)
    points, m = np.array(points), 23
    assert abs(points.mean()) < 5 / np.sqrt(m * 3000)
    assert abs((points**2).mean() * m - 1) < 0.13
    assert abs((points**4).mean() * m * (m + 2) / 3 - 1) < 0.35
    far = reach(24, 0.01)
    assert np.count_nonzero(abs(points) > far) < 30 + 5 * np.sqrt(30)


@CODES
def test_directions_are_coded_where_norms_are_given(keys, code):
    norms = np.linalg.norm(keys.astype(np.float64), axis=1)
    plain, directions = (ThinCodes.with_room(3000, 96, Rotation(seed(1))) for _ in range(2))
    plain.write(0, keys, None)
    directions.write(0, keys, norms)
    np.testing.assert_allclose(directions.spreads[code] * norms, plain.spreads[code], rtol=1e-5)
    np.testing.assert_allclose(directions.scales[code] * norms, plain.scales[code], rtol=1e-5)


def test_4_bits_are_near_their_least_angle(keys):
    thin = ThinCodes.with_room(3000, 96, Rotation(seed(1)))
    thin.write(0, keys, np.linalg.norm(keys.astype(np.float64), axis=1))
    assert np.sqrt((thin.spreads**2).mean(axis=1)) == pytest.approx([0.405, 0.106], rel=0.03)


def test_a_zero_vector_is_coded_exactly():
    thin = ThinCodes.with_room(2, 16, Rotation(seed(1)))
    thin.write(0, np.zeros((2, 16), dtype=np.float32), None)
    assert not thin.scales.any()
    assert thin.spreads.max() < 1e-30


def test_codes_are_copied_and_written_on(keys):
    rotation = Rotation(seed(1))
    small, large, whole = (ThinCodes.with_room(rows, 96, rotation) for rows in (100, 3000, 3000))
    small.write(0, keys[:100], None)
    large.copy_from(small, 100)
    large.write(100, keys[100:], None)
    whole.write(0, keys, None)
    places = np.arange(3000)
    for mine, theirs in zip(large.at(places), whole.at(places), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(large.scales, whole.scales)


def test_narrow_vectors_and_those_without_a_rotation_have_none():
    assert ThinCodes.with_room(10, 15, Rotation(seed(1))) is None
    assert ThinCodes.with_room(10, 16, None) is None
