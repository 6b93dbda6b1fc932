from __future__ import annotations

import numpy as np
import pytest

from attention import ParameterError, ShapeError
from attention.transformer import Embeddings, Linear, Patches, Positions


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


def test_without_types_all_are_of_type_0(embeddings, library):
    tokens = library(np.array([[4, 9]]))
    np.testing.assert_array_equal(embeddings(tokens), embeddings(tokens, library(np.array([[0, 0]]))))


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
