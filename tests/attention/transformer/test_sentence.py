from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention.transformer import POOLINGS


@pytest.fixture
def padded(library, random):
    x, lengths = random.normal(size=(3, 7, 5)), [7, 2, 4]
    mask = np.arange(7) < np.array(lengths)[:, None]
    return x, lengths, library(np.where(mask[..., None], x, np.nan)), library(mask)


def test_padding_is_not_read_even_if_it_is_nan(padded):
    x, lengths, filled, mask = padded
    for name, expected in {
        "mean": [row[:n].mean(0) for row, n in zip(x, lengths, strict=True)],
        "max": [row[:n].max(0) for row, n in zip(x, lengths, strict=True)],
        "cls": x[:, 0],
    }.items():
        np.testing.assert_allclose(POOLINGS[name](filled, mask), expected, err_msg=name)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_sequence_without_tokens_gives_zeros(name, library):
    x, mask = library(np.ones((2, 3, 5))), library(np.array([[True, True, False], [False] * 3]))
    np.testing.assert_array_equal(np.asarray(POOLINGS[name](x, mask))[1], np.zeros(5))
    assert np.asarray(POOLINGS[name](x, mask))[0].any()


@pytest.mark.parametrize("name", POOLINGS)
def test_bfloat16_is_pooled_in_float32(name):
    assert POOLINGS[name](torch.ones(2, 3, 5).bfloat16(), torch.ones(2, 3, dtype=torch.bool)).dtype == torch.float32
