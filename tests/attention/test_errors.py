"""Arguments that the core refuses, and the advice in each message."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import Additive, AttentionError, Bilinear, ParameterError, ShapeError, attend, merge, partial

M, N, D, D_V = 3, 7, 5, 2
QUERY, KEY, VALUE = np.ones((M, D)), np.ones((N, D)), np.ones((N, D_V))


def test_every_refusal_is_an_attention_error_and_a_value_error():
    assert issubclass(ShapeError, AttentionError)
    assert issubclass(ParameterError, AttentionError)
    assert issubclass(AttentionError, ValueError)


@pytest.mark.parametrize(
    ("query", "key", "value", "words"),
    [
        (np.ones((M, 11)), KEY, VALUE, "one width, got 11 and 5"),
        (QUERY, KEY, np.ones((11, D_V)), "7 keys and 11 values"),
        (np.ones(D), KEY, VALUE, r"query\[None, :\]"),
        (QUERY, np.ones(D), VALUE, r"key\[None, :\]"),
        (QUERY, KEY, np.ones(N), r"value\[None, :\]"),
        (np.ones((M, 0)), np.ones((N, 0)), VALUE, "at least one number wide"),
        (np.ones((2, M, D)), np.ones((11, N, D)), VALUE, "leading dimensions"),
        (np.ones((2, M, D)), KEY, np.ones((11, N, D_V)), "leading dimensions"),
    ],
)
@pytest.mark.parametrize("function", [attend, partial])
def test_shapes_that_do_not_fit(function, query, key, value, words):
    with pytest.raises(ShapeError, match=words):
        function(query, key, value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mask": np.ones((M, 11), bool)}, r"mask must broadcast to \[..., m, n\] with m = 3, n = 7"),
        ({"bias": np.ones((N, M))}, r"bias must broadcast .* got shape \(7, 3\)"),
        ({"null": np.ones(11)}, r"null must broadcast to \[..., m\] with m = 3"),
        ({"similarity": Bilinear(np.ones((11, D)))}, r"W must have shape \[d_q, d_k\] = \(5, 5\)"),
        ({"similarity": Additive(np.ones(2), np.ones((2, D)), np.ones((D, 2)))}, r"W_k must have shape"),
        ({"similarity": lambda query, key: query @ query.T}, r"similarity must give \[..., m, n\]"),
    ],
)
def test_options_that_do_not_fit(options, words):
    with pytest.raises(ShapeError, match=words):
        attend(QUERY, KEY, VALUE, **options)


def test_a_mask_whose_batch_is_not_the_values():
    with pytest.raises(ShapeError, match="leading dimensions must broadcast, got weights"):
        attend(QUERY, KEY, np.ones((11, N, D_V)), mask=np.ones((2, M, N), bool))


def test_one_key_does_not_let_a_mask_stretch_it():
    with pytest.raises(ShapeError, match="mask must broadcast"):
        attend(QUERY, KEY[:1], VALUE[:1], mask=np.ones((M, N), bool))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mask": np.ones(N)}, "mask must be bool.*got float64: pass an additive mask as bias"),
        ({"bias": np.ones(N, bool)}, "bias must hold real numbers, got bool: pass a bool array as mask"),
        ({"null": np.inf}, "null must be a finite similarity"),
        ({"null": np.nan}, "null must be a finite similarity"),
        ({"null": "auto"}, "null must be a finite similarity, or an array of them, got .*: leave it out"),
        ({"similarity": "euclid"}, "similarity must be one of cosine, dot, scaled_dot, gaussian, got 'euclid'"),
        ({"similarity": "bilinear"}, r"or pass a function such as Bilinear\(W\)"),
        ({"normaliser": "hardmax"}, "normaliser must be one of softmax, sparsemax, entmax15, one_hot"),
        ({"normaliser": 3}, "normaliser must be one of"),
        ({"temperature": "cold"}, "temperature must be a number, got str"),
        ({"temperature": np.ones(2)}, "divide the query by it"),
    ],
)
def test_parameters_that_cannot_be(options, words):
    with pytest.raises(ParameterError, match=words):
        attend(QUERY, KEY, VALUE, **options)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("a query", r"query must be a NumPy array or a torch tensor, got str: .*numpy.asarray\(query\)"),
        ([["a"] * D], "query must hold real numbers"),
        (torch.ones(M, D), "must come from one library, got query a Tensor, key a ndarray"),
        (QUERY > 0, "query must hold real numbers, got bool"),
        (QUERY + 1j, "query must hold real numbers, got complex128"),
        (QUERY.astype(str), "query must hold real numbers"),
    ],
)
def test_arrays_without_numbers_are_refused(query, words):
    with pytest.raises(ParameterError, match=words):
        attend(query, KEY, VALUE)


def test_none_is_refused_as_an_array():
    for missing in range(3):
        arrays = [None if position == missing else array for position, array in enumerate((QUERY, KEY, VALUE))]
        with pytest.raises(ParameterError, match="query, key and value must be arrays, got None"):
            attend(*arrays)


def test_parts_that_are_not_of_one_whole():
    with pytest.raises(ParameterError, match=r"parts of one temperature, got \[0.0, 1.0\]"):
        merge(partial(QUERY, KEY, VALUE, temperature=0), partial(QUERY, KEY, VALUE))
    with pytest.raises(ShapeError, match="parts of one shape"):
        merge(partial(QUERY, KEY, VALUE), partial(QUERY[:2], KEY, VALUE))
    with pytest.raises(ParameterError, match="parts of one temperature"):
        merge()


def test_lists_are_taken_as_arrays():
    query, key, value = [[1, 0, 0, 2, 1]], KEY.tolist(), [tuple(row) for row in VALUE]
    mask, bias = [True] * 3 + [False] * 4, [0.5, *[0.0] * 6]
    listed = attend(query, key, value, mask=mask, bias=bias, null=[0.25])
    arrays = attend(np.array(query), KEY, VALUE, mask=np.array(mask), bias=np.array(bias), null=np.array([0.25]))
    for one, other in zip(listed, arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ShapeError, match="key must have rows of one length"):
        attend(query, [[1, 2], [1]], value)
