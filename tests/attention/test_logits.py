"""The limits of temperature, masks and the null key, one a test, in both libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from softkv_attention import NORMALISERS, ParameterError, attend

M, N, D, D_V = 3, 7, 5, 2
KINDS = {"numpy": np.asarray, "torch": torch.from_numpy}


@pytest.fixture(params=KINDS)
def made(request):
    """Make arrays of the library under test from NumPy's."""
    return KINDS[request.param]


@pytest.fixture
def arrays(made):
    random = np.random.default_rng(7)
    return [made(random.normal(size=shape)) for shape in ((M, D), (N, D), (N, D_V))]


@pytest.fixture(params=NORMALISERS)
def normaliser(request):
    return request.param


def close(array, expected, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(array), expected, rtol=tolerance, atol=tolerance)


def tied(made):
    """One query; of four keys the first two tie for the best."""
    query = made(np.array([[1.0, 0.0]]))
    key = made(np.array([[2.0, 5.0], [2.0, -3.0], [1.0, 0.0], [-4.0, 1.0]]))
    return query, key, made(np.eye(4))


def test_the_coldest_temperature_is_finite_in_float32(made):
    query, key, value = (made(np.asarray(array, dtype=np.float32)) for array in tied(np.asarray))
    attended = attend(query, key, value, similarity="dot", temperature=1e-30)
    close(attended.weights, [[0.5, 0.5, 0, 0]], 1e-7)
    close(attended.logits, [[2e30, 2e30, 1e30, -4e30]], 1e-6)
    close(attended.log_partition, [2e30], 1e-6)


def test_similarities_that_overflow_when_divided_still_give_weights(made):
    query, key = made(np.array([[3e3]], np.float32)), made(np.array([[2e3], [-2e3], [2e3]], np.float32) * 1e3)
    attended = attend(query, key, made(np.eye(3, dtype=np.float32)), similarity="dot", temperature=1e-30)
    close(attended.weights, [[0.5, 0, 0.5]])


def test_at_zero_the_best_keys_share_evenly(made, normaliser):
    attended = attend(*tied(made), similarity="dot", temperature=0, normaliser=normaliser)
    close(attended.weights, [[0.5, 0.5, 0, 0]])
    close(attended.output, [[0.5, 0.5, 0, 0]])
    close(attended.logits, [[0, 0, -np.inf, -np.inf]])


def test_at_zero_ties_share_as_the_softmax_of_their_biases(made, normaliser):
    bias = made(np.log([1.0, 3.0, 1e9, 1e9]))
    attended = attend(*tied(made), similarity="dot", temperature=0, bias=bias, normaliser=normaliser)
    close(attended.weights, [[0.25, 0.75, 0, 0]])
    close(attended.logits, [[0, 0, -np.inf, -np.inf]])


def test_at_zero_a_null_key_above_all_takes_everything(made, normaliser):
    attended = attend(*tied(made), similarity="dot", temperature=0, null=2.5, normaliser=normaliser)
    close(attended.weights, [[0, 0, 0, 0]])
    close(attended.null_weight, [1])
    close(attended.logits, np.full((1, 4), -np.inf))


@pytest.mark.parametrize("temperature", [0, 1e-30, 1.0, math.inf])
def test_a_row_with_every_key_masked_is_zero_and_not_nan(made, arrays, normaliser, temperature):
    mask = np.ones((M, N), bool)
    mask[1] = False
    attended = attend(*arrays, mask=made(mask), temperature=temperature, normaliser=normaliser)
    close(attended.weights.sum(-1), [1, 0, 1])
    close(attended.output[1], np.zeros(D_V))
    close(attended.logits[1], np.full(N, -np.inf))
    if normaliser == "softmax":
        assert np.asarray(attended.log_partition == -np.inf).tolist() == [False, True, False]
    else:
        assert attended.log_partition is None


@pytest.mark.parametrize("temperature", [0, 1e-30, 1.0, math.inf])
@pytest.mark.parametrize("hidden", [math.nan, 1e38])
def test_the_content_of_a_masked_key_does_not_matter(made, normaliser, temperature, hidden):
    query, key, value = (made(np.asarray(array, dtype=np.float32)) for array in tied(np.asarray))
    mask = made(np.array([True, True, True, False]))
    options = {"similarity": "dot", "temperature": temperature, "mask": mask, "normaliser": normaliser}
    expected = attend(query, key, value, **options).weights
    key[3] = hidden
    attended = attend(query, key, value, **options)
    np.testing.assert_array_equal(attended.weights, expected)
    close(attended.logits[0, 3], -np.inf)


@pytest.mark.parametrize("null", [None, 0.5])
def test_no_keys_at_all_are_nothing_to_attend_to(arrays, normaliser, null):
    query, key, value = arrays
    attended = attend(query, key[:0], value[:0], null=null, normaliser=normaliser)
    close(attended.output, np.zeros((M, D_V)))
    assert tuple(attended.weights.shape) == (M, 0)
    close(attended.null_weight, np.zeros(M) if null is None else np.ones(M))


def test_a_million_equal_keys_in_float32_weigh_one_together(made):
    n = 1_000_003
    key = made(np.ones((n, 1), np.float32))
    attended = attend(key[:1], key, key, null=1.0)
    close(attended.weights.sum() + attended.null_weight[0], 1, 1e-6)
    close(attended.output, [[n / (n + 1)]], 1e-5)
    close(attended.log_partition, [1 + math.log(n + 1)], 1e-6)


@pytest.mark.parametrize("temperature", [-1.0, -0.0 - 1e-40, 1e-31, 9.9e-31, math.nan, -math.inf])
def test_an_invalid_temperature_is_refused(arrays, temperature):
    with pytest.raises(ParameterError, match="temperature must be 0, or from 1e-30"):
        attend(*arrays, temperature=temperature)
