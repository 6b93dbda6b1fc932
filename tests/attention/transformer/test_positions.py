from __future__ import annotations

import numpy as np
import pytest
import torch

from attention import ShapeError
from attention.transformer import Positions, sinusoidal


def test_sines_and_cosines_of_the_paper():
    table = sinusoidal(5, 6)
    for position in range(5):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(table[position, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)])


def test_a_shift_is_a_rotation_that_is_the_same_at_every_position():
    table = sinusoidal(50, 8)
    sine, cosine = table[:, 0::2], table[:, 1::2]
    products = sine[3:] * sine[:-3] + cosine[3:] * cosine[:-3]
    np.testing.assert_allclose(products, np.broadcast_to(products[0], products.shape), atol=1e-12)


def test_a_start_cuts_the_same_table():
    np.testing.assert_array_equal(sinusoidal(4, 6, start=3), sinusoidal(7, 6)[3:])


def test_an_odd_width_ends_in_a_sine():
    np.testing.assert_allclose(
        sinusoidal(5, 7)[:, :6:2], np.sin(np.arange(5)[:, None] / 1e4 ** (np.arange(0, 6, 2) / 7))
    )
    assert sinusoidal(5, 7).shape == (5, 7)


def test_like_gives_library_and_type():
    table = sinusoidal(5, 6, like=torch.zeros(1, dtype=torch.float32))
    assert table.dtype == torch.float32
    np.testing.assert_allclose(table, sinusoidal(5, 6), atol=1e-7)
    assert sinusoidal(5, 6, like=np.zeros(1, np.float32)).dtype == np.float32


def test_a_table_counts_from_its_first_row(library, random):
    table = library(random.normal(size=(11, 3)))
    positions = Positions(table, first=2)
    assert positions.limit == 9
    np.testing.assert_array_equal(positions(library(np.array([[0, 8], [3, 3]]))), np.asarray(table)[[[2, 10], [5, 5]]])


def test_a_sequence_that_is_too_long_is_refused(library):
    with pytest.raises(ShapeError, match="9 positions, got a sequence of 10"):
        Positions(library(np.zeros((11, 3))), first=2)(library(np.arange(10)))
