"""Masks: True where a query may attend."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import ParameterError, ShapeError, attend, causal, filtered, padding


def test_causal_lets_a_query_see_itself_and_earlier_keys():
    expected = [[True, False, False, False, False], [True, True, False, False, False], [True] * 3 + [False] * 2]
    np.testing.assert_array_equal(causal(3, 5), expected)


def test_causal_of_the_last_queries_is_the_end_of_the_whole_mask():
    np.testing.assert_array_equal(causal(2, 7, offset=5), causal(7, 7)[5:])


def test_padding_hides_the_positions_after_each_length():
    mask = padding(np.array([2, 0, 3]), 3)
    assert mask.shape == (3, 1, 3)
    np.testing.assert_array_equal(mask[:, 0], [[True, True, False], [False] * 3, [True] * 3])


def test_filtered_keeps_the_rows_named():
    np.testing.assert_array_equal(filtered(np.array([4, 1]), 5), [[False, True, False, False, True]])
    assert not filtered(np.array([], np.int64), 5).any()


def test_masks_combine_and_have_the_library_of_their_example():
    query, key = torch.randn(2, 3, 5), torch.randn(2, 7, 5)
    mask = causal(3, 7, like=query) & padding(torch.tensor([1, 7]), 7) & filtered(torch.tensor([0, 2]), 7)
    weights = attend(query, key, key, mask=mask).weights
    expected = np.zeros((2, 3, 7), bool)
    expected[:, :, 0] = True
    expected[1, 2, 2] = True
    np.testing.assert_array_equal(weights > 0, expected)


def test_an_invalid_mask_is_refused():
    with pytest.raises(ShapeError, match="rows must lie from 0 to 4, got 1 to 5"):
        filtered(np.array([5, 1]), 5)
    with pytest.raises(ShapeError, match="got -1 to 1"):
        filtered(np.array([-1, 1]), 5)
    with pytest.raises(ParameterError, match="pass a bool array as the mask itself"):
        filtered(np.array([True, False]), 2)
    with pytest.raises(ParameterError, match="lengths must be integers"):
        padding(np.array([2.0]), 3)
