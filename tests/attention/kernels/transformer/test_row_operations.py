"""Operations on rows between products, compared with NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.transformer.parameters import (
    CURVES,
    LAYER_NORM,
    NO_NORM,
    NONE,
    RMS_NORM,
    UNLIMITED,
    zero_rows,
)
from attention.transformer import ACTIVATIONS
from tests.attention.kernels.transformer.kept import kept, numbers_of


def test_biases_residuals_and_factors(steps, way):
    random = np.random.default_rng(3)
    sums, bias, x = (random.standard_normal(shape).astype(np.float32) for shape in ((4, 32), (2, 96), (6, 96)))
    y, words, scaled = random.standard_normal((5, 96)).astype(np.float32), zero_rows(6, 96, way), zero_rows(6, 96, way)
    before = y.copy()
    factors = np.array([1, 0.5, -2, 3], np.float32)
    steps.finish(way, sums, 4, bias, 1, 64, 32, NONE, 0, words, 2, 32)
    steps.add(y, 4, bias, 1, x, 2)
    steps.scale(way, sums, 4, 32, factors, scaled, 2, 64)
    slices = (slice(2, 6), slice(64, 96))
    np.testing.assert_array_equal(numbers_of(words, way)[2:6, 32:64], kept(sums + bias[1, 64:], way))
    np.testing.assert_array_equal(y[:4], before[:4] + bias[1] + x[2:])
    np.testing.assert_array_equal(y[4], before[4])
    np.testing.assert_array_equal(numbers_of(scaled, way)[slices], kept(sums * factors[:, None], way))
    for written in (numbers_of(words, way), numbers_of(scaled, way)):
        assert np.count_nonzero(written) == 4 * 32


KEPT = {0: 6e-6, 1: 2**-8, 2: 2**-8, 3: 2**-15}


@pytest.mark.parametrize("curve", CURVES)
def test_an_activated_gate_multiplies(steps, way, curve):
    random = np.random.default_rng(4)
    sums, bias = random.standard_normal((4, 64)).astype(np.float32), random.standard_normal((2, 96)).astype(np.float32)
    words = zero_rows(6, 96, way)
    steps.finish(way, sums, 4, bias, 1, 32, 32, CURVES[curve], 1, words, 2, 32)
    x = (sums + bias[1, 32:]).astype(np.float64)
    expected = ACTIVATIONS[curve](x[:, :32]) * x[:, 32:]
    result = numbers_of(words, way)
    np.testing.assert_allclose(result[2:6, 32:64], expected, rtol=KEPT[way] * 2, atol=2e-6)
    assert np.count_nonzero(result) <= 4 * 32


def normalised(kind, y, scale, shift):
    """Return what `normalise` should, in float64, with epsilon 1e-5."""
    y = y.astype(np.float64)
    centred = y - y.mean(axis=1, keepdims=True) if kind == LAYER_NORM else y
    root = 1 if kind == NO_NORM else np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return centred / root * scale + shift


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("kind", [NO_NORM, LAYER_NORM, RMS_NORM])
def test_rows_are_normalised(steps, way, kind, keeps):
    random = np.random.default_rng(0)
    y = (random.standard_normal((6, 64)) * 5 + 100).astype(np.float32)
    y[5] = 3
    scale, shift = (random.standard_normal((3, 64)).astype(np.float32) for _ in range(2))
    x, words = np.zeros((9, 64), np.float32), zero_rows(9, 64, way)
    steps.normalise(way, kind, y, 6, scale, shift, 1, np.float32(1e-5), keeps, x, 2, words, 1)
    expected = normalised(kind, y, scale[1], shift[1])
    if keeps:
        np.testing.assert_array_equal(x[2:8], y)
    else:
        np.testing.assert_allclose(x[2:8], expected, rtol=1e-6, atol=2e-5)
        np.testing.assert_array_equal(numbers_of(words, way)[1:7], kept(x[2:8], way))
    assert not x[[0, 1, 8]].any()
    np.testing.assert_allclose(numbers_of(words, way)[1:7], expected, rtol=KEPT[way], atol=2e-5)
    assert not numbers_of(words, way)[[0, 7, 8]].any()


def test_rows_are_normalised_in_place(steps, way):
    random = np.random.default_rng(5)
    y, scale, shift = (random.standard_normal((3, 64)).astype(np.float32) for _ in range(3))
    x, words = y.copy(), zero_rows(9, 64, way)
    steps.normalise(way, RMS_NORM, x[2:], 1, scale, shift, 1, np.float32(1e-5), False, x, 2, words, 1)
    np.testing.assert_allclose(x[2:], normalised(RMS_NORM, y[2:], scale[1], shift[1]), atol=2e-5)
    np.testing.assert_array_equal(x[:2], y[:2])


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 40])
def test_exponentials_are_a_softmax_s(steps, way, count):
    random = np.random.default_rng(count)
    logits = np.full((5, 64), np.nan, np.float32)  # behind the count lies anything
    logits[:, :count] = random.standard_normal((5, count)) * np.array([[1], [30], [1e4], [0], [1]])
    words, factors = zero_rows(5, 64, way), np.zeros(5, np.float32)
    words[...] = 0x7F7F7F7F
    steps.exponentials(way, logits, 5, count, 48, 3, UNLIMITED, UNLIMITED, words, factors)
    exact = np.exp(logits[:, :count].astype(np.float64) - logits[:, :count].max(axis=1, keepdims=True))
    result = numbers_of(words, way)
    np.testing.assert_allclose(result[:, :count], exact, rtol=KEPT[way] * 2, atol=1e-30)
    assert not result[:, count:48].any()
    np.testing.assert_allclose(factors, 1 / exact.sum(axis=1), rtol=2e-6)


@pytest.mark.parametrize(("back", "ahead"), [(0, 0), (3, 0), (UNLIMITED, 0), (2, 5), (0, UNLIMITED), (40, 40)])
@pytest.mark.parametrize("place", [0, 7, 29])
def test_a_row_is_about_its_window(steps, way, back, ahead, place):
    random = np.random.default_rng(place)
    rows, count = 11, 40
    logits = np.full((rows, 64), np.nan, np.float32)
    logits[:, :count] = random.standard_normal((rows, count)) * 3
    words, factors = zero_rows(rows, 64, way), np.zeros(rows, np.float32)
    words[...] = 0x7F7F7F7F
    steps.exponentials(way, logits, rows, count, 48, place, back, ahead, words, factors)
    distance = np.arange(count) - (place + np.arange(rows))[:, None]
    seen = np.where((distance >= -back) & (distance <= ahead), logits[:, :count].astype(np.float64), -np.inf)
    exact = np.exp(seen - seen.max(axis=1, keepdims=True))
    result = numbers_of(words, way)
    np.testing.assert_allclose(result[:, :count], exact, rtol=KEPT[way] * 2, atol=1e-30)
    assert not result[:, count:48].any()
    np.testing.assert_allclose(factors, 1 / exact.sum(axis=1), rtol=2e-6)


@pytest.mark.parametrize("normalises", [0, 1])
def test_a_head_is_normalised_and_rotated(steps, way, normalises):
    random = np.random.default_rng(normalises)
    head, bias, scale = (random.standard_normal(shape).astype(np.float32) for shape in ((5, 64), (2, 128), (2, 64)))
    angles = random.standard_normal((2, 9, 32))
    rotations = np.concatenate([np.cos(angles), np.sin(angles)], axis=2).astype(np.float32)
    places, out = np.array([8, 8, 3, 0, 5, 1, 2]), zero_rows(8, 160, way)
    where = (rotations, 1, places, out, 2, 64)
    steps.rotate(way, head, 5, bias, 1, 32, normalises, scale, 1, np.float32(1e-5), *where)
    x = head.astype(np.float64) + bias[1, 32:96]
    x = normalised(RMS_NORM if normalises else NO_NORM, x, scale[1], 0)
    complex_ = (x[:, :32] + 1j * x[:, 32:]) * np.exp(1j * angles[1, places[2:]])
    expected = np.concatenate([complex_.real, complex_.imag], axis=1)
    result = numbers_of(out, way)
    np.testing.assert_allclose(result[2:7, 64:128], expected, rtol=KEPT[way] * 2, atol=2e-6)
    assert np.count_nonzero(result) == 5 * 64


def test_biases_of_distances_are_added(steps):
    random = np.random.default_rng(6)
    logits, distances = (random.standard_normal(shape).astype(np.float32) for shape in ((6, 48), (3, 90)))
    expected = logits.copy()
    for row in range(5):
        expected[row, :32] += distances[1, 20 - row : 52 - row]
    steps.add_distances(logits, 5, 32, distances, 1, 20)
    np.testing.assert_array_equal(logits, expected)
