"""Each similarity against its formula, written out for one query and one key."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import Additive, Bilinear, ParameterError, attend, cosine, dot, gaussian, scaled_dot
from softkv_attention.arrays import blend

M, N, D, HIDDEN, D_K = 3, 7, 5, 11, 13
random = np.random.default_rng(3)
QUERY, KEY, OTHER_KEY = random.normal(size=(2, M, D)), random.normal(size=(2, N, D)), random.normal(size=(2, N, D_K))
W, V = random.normal(size=(D, D_K)), random.normal(size=HIDDEN)
W_Q, W_K = random.normal(size=(HIDDEN, D)), random.normal(size=(HIDDEN, D_K))

FORMULAS = {
    "dot": (dot, KEY, lambda q, k: q @ k),
    "scaled_dot": (scaled_dot, KEY, lambda q, k: q @ k / np.sqrt(D)),
    "cosine": (cosine, KEY, lambda q, k: q @ k / np.linalg.norm(q) / np.linalg.norm(k)),
    "gaussian": (gaussian, KEY, lambda q, k: -(np.linalg.norm(q - k) ** 2) / 2),
    "bilinear": (Bilinear(W), OTHER_KEY, lambda q, k: q @ W @ k),
    "additive": (Additive(V, W_Q, W_K), OTHER_KEY, lambda q, k: V @ np.tanh(W_Q @ q + W_K @ k)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_similarity_is_its_formula(name):
    similarity, key, formula = FORMULAS[name]
    expected = [[[formula(q, k) for k in key[b]] for q in QUERY[b]] for b in range(2)]
    np.testing.assert_allclose(similarity(QUERY, key), expected, rtol=1e-12)


def test_a_product_raises_no_floating_point_error_whatever_flags_its_blas_sets():
    infinite, zero = np.full((1, D), np.inf), np.zeros((1, D))
    with np.errstate(invalid="raise"):
        assert np.isnan(dot(infinite, zero)).all()
        assert np.isnan(blend(np.zeros((1, 1)), np.full((1, 1), np.inf))).all()


def test_cosine_of_a_zero_vector_is_zero_and_its_gradient_finite():
    query = torch.zeros(1, D, requires_grad=True)
    s = cosine(query, torch.from_numpy(KEY[0]).float())
    s.sum().backward()
    assert not s.any()
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize("length", [1e-40, 1e-25, 1e25, 3e38])
def test_cosine_does_not_depend_on_length_even_where_squares_leave_float32(length):
    direction = np.array([[0.6, -0.8]], np.float32)
    s = cosine((direction * length).astype(np.float32), direction)
    np.testing.assert_allclose(s, 1, rtol=1e-4 if length < 1e-38 else 1e-6)


def test_gaussian_does_not_cancel_far_from_the_origin():
    query = np.array([[10_000.0, 10_000.0]], np.float32)
    key = query + np.array([[0.25, 0.0], [0.0, -0.5]], np.float32)
    np.testing.assert_array_equal(gaussian(query, key), [[-(0.25**2) / 2, -(0.5**2) / 2]])


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients_match_finite_differences(name):
    similarity, key, _ = FORMULAS[name]
    if name == "bilinear":
        similarity = Bilinear(torch.from_numpy(W))
    if name == "additive":
        similarity = Additive(*map(torch.from_numpy, (V, W_Q, W_K)))
    arrays = [torch.from_numpy(array).requires_grad_() for array in (QUERY, key)]
    assert torch.autograd.gradcheck(similarity, arrays)


@pytest.mark.parametrize("name", ["dot", "scaled_dot", "gaussian"])
@pytest.mark.parametrize("numbers", [([[1e200, 1e200]], [[1e200, -1e200], [0, 1]]), ([[np.nan, 0]], [[1, 0], [0, 1]])])
def test_similarities_that_leave_float64_are_refused_unless_they_are_masked(name, numbers):
    query, key = (np.array(array, dtype=np.float64) for array in numbers)
    value = np.eye(2)
    with pytest.raises(ParameterError, match=r"query and key must be finite, .* within float64"):
        attend(query, key, value, similarity=name)
    attended = attend(query, key, value, similarity=name, mask=np.array([False, False]))
    np.testing.assert_array_equal(attended.output, [[0, 0]])


@pytest.mark.parametrize("length", [1e-320, 1e-200, 1e200, 1e308])
def test_weights_of_cosine_do_not_depend_on_length_even_where_squares_leave_float64(length):
    query, key = np.array([[0.6, -0.8]]), np.array([[1.0, 0.5], [-1.0, 0.25]])
    expected = attend(query, key, key, similarity="cosine").weights
    for scaled in ((query * length, key), (query, key * length)):
        weights = attend(*scaled, key, similarity="cosine").weights
        np.testing.assert_allclose(weights, expected, rtol=1e-3 if length < 1e-308 else 1e-14)
