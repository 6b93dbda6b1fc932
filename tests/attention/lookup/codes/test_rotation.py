"""The secret rotation: orthogonal, the same of one seed, another of another, and uniform as far as moments tell."""

from __future__ import annotations

import numpy as np
import pytest

from attention import ParameterError
from attention.lookup.codes.rotation import Rotation


def seed(number):
    return number.to_bytes(32, "little")


@pytest.mark.parametrize("width", [16, 37, 384])
def test_it_is_orthogonal_and_follows_from_the_seed(width):
    matrix = Rotation(seed(1)).matrix(width)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(width), atol=1e-12)
    np.testing.assert_array_equal(matrix, Rotation(seed(1)).matrix(width))
    assert np.abs(matrix - Rotation(seed(2)).matrix(width)).max() > 0.01


def test_few_vectors_are_turned_as_many_are():
    random = np.random.default_rng(0)
    rotation, vectors = Rotation(seed(3)), random.standard_normal((9, 40))
    np.testing.assert_allclose(rotation.turned(vectors)[:3], rotation.turned(vectors[:3]), atol=1e-12)
    np.testing.assert_allclose(rotation.turned(vectors), vectors @ rotation.matrix(40).T, atol=1e-12)


def test_a_coordinate_of_a_turned_vector_is_one_of_a_uniform_point():
    # E x² = 1/d and E x⁴ = 3 / (d·(d + 2)); the sign of the determinant is either.
    turned = np.array([Rotation(seed(number)).matrix(16)[:, 0] for number in range(400)])
    assert abs((turned**2).mean() * 16 - 1) < 1e-9
    assert abs((turned**4).mean() * 16 * 18 / 3 - 1) < 0.1
    assert abs(turned.mean()) < 5 * 0.25 / np.sqrt(turned.size)
    signs = [np.linalg.slogdet(Rotation(seed(number)).matrix(16))[0] for number in range(60)]
    assert 10 < np.count_nonzero(np.array(signs) > 0) < 50


def test_keys_of_draws_depend_on_the_seed_and_on_every_part():
    one = Rotation(seed(1))
    keys = {one.key(b"a", b"b"), one.key(b"ab"), one.key(b"a", b"c"), Rotation(seed(2)).key(b"a", b"b")}
    assert len(keys) == 4
    assert one.key(b"a", b"b") == Rotation(seed(1)).key(b"a", b"b") < 2**64


def test_another_number_of_bytes_is_refused():
    with pytest.raises(ParameterError, match="thin_seed must be 32 bytes, got 5"):
        Rotation(b"short")
