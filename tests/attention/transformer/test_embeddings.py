"""Embeddings of tokens, and positions added to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import ParameterError, ShapeError
from softkv_attention.transformer import Embeddings, Linear, Patches, Positions, sinusoidal
from softkv_attention.transformer.compiled import count_packed


@pytest.fixture
def embeddings(library, random):
    """11 tokens, 7 positions, 2 types, width 3."""
    tokens, positions, types = (library(random.normal(size=(n, 3))) for n in (11, 7, 2))
    return Embeddings(tokens, Positions(positions), types)


def test_token_position_and_type_add_up(embeddings, library):
    x = np.asarray(embeddings(library(np.array([[4, 9]])), library(np.array([0, 1])), start=2))
    for position, (token, type_) in enumerate([(4, 0), (9, 1)]):
        parts = embeddings.tokens[token], embeddings.positions.table[2 + position], embeddings.types[type_]
        np.testing.assert_allclose(x[0, position], sum(np.asarray(part) for part in parts))


@pytest.mark.parametrize("wrong", [-1, 11])
def test_a_token_out_of_range_is_named(embeddings, library, wrong):
    with pytest.raises(ParameterError, match=f"token ids must lie from 0 to 10, got {wrong}"):
        embeddings(library(np.array([[4, wrong]])))


def test_a_type_out_of_range_is_named(embeddings, library):
    with pytest.raises(ParameterError, match="type ids must lie from 0 to 1, got 2"):
        embeddings(library(np.array([4, 5])), library(np.array([0, 2])))


def test_types_for_a_model_without_them(embeddings, library):
    without = Embeddings(embeddings.tokens, embeddings.positions)
    with pytest.raises(ParameterError, match="no token types"):
        without(library(np.array([4])), library(np.array([0])))


def test_wrong_kinds_and_shapes(embeddings, library):
    with pytest.raises(ParameterError, match="integers, got"):
        embeddings(library(np.array([4.0])))
    with pytest.raises(ShapeError, match="a single number"):
        embeddings(library(np.array(4)))
    with pytest.raises(ShapeError, match="7 positions, got a sequence of 8"):
        embeddings(library(np.zeros(8, np.int64)))
    assert tuple(embeddings(library(np.zeros((2, 0), np.int64))).shape) == (2, 0, 3)


def test_patches_are_projected_and_know_their_places(library, random):
    weight, bias, table, image = (random.normal(size=shape) for shape in ((4, 3), (3,), (6, 3), (2, 5, 4)))
    patches = Patches(Linear(library(weight), library(bias)), Positions(library(table)))
    np.testing.assert_allclose(patches(library(image)), image @ weight + bias + table[:5], atol=1e-12)
    with pytest.raises(ShapeError, match="6 positions, got a sequence of 7"):
        patches(library(np.zeros((7, 4))))


def test_sines_and_cosines_of_the_paper():
    table = sinusoidal(5, 6)
    for position in range(5):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(table[position, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)])


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


def test_padding_tokens_are_not_counted_and_have_the_row_before_the_first(library, random):
    table, words = library(random.normal(size=(11, 3))), library(np.zeros((9, 3)))
    tokens = np.array([[5, 1, 6, 1, 7], [1, 1, 2, 3, 4]])
    rows = [[2, 1, 3, 1, 4], [1, 1, 2, 3, 4]]
    counted = Embeddings(words, Positions(table, 2, padding=1))(library(tokens))
    np.testing.assert_array_equal(counted, np.asarray(table)[rows])
    packed = count_packed(Positions(table, 2, padding=1), tokens.reshape(-1), np.array([5, 5]))
    np.testing.assert_array_equal(packed + 2, np.array(rows).reshape(-1))
