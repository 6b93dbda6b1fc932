from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from attention import ParameterError, ShapeError
from attention.transformer import Packed, map_arrays


@pytest.fixture
def library():
    return torch.as_tensor


@pytest.fixture
def packed(sentence_encoder):
    return Packed(sentence_encoder)


@pytest.fixture
def texts(random):
    lengths = np.array([3, 17, 1, 3, 8, 19, 8, 8])
    return random.integers(0, 31, lengths.sum()), lengths


def apart(tokens, lengths):
    return np.split(tokens, np.cumsum(lengths)[:-1])


def test_an_embedding_depends_neither_on_the_batch_nor_on_the_order(packed, texts, random):
    tokens, lengths = texts
    together = packed(tokens, lengths)
    alone = [packed(text, np.array([len(text)]))[0] for text in apart(tokens, lengths)]
    assert np.abs(together - alone).max() < 1e-6

    order = random.permutation(len(lengths))
    shuffled = np.concatenate([apart(tokens, lengths)[i] for i in order])
    assert np.abs(packed(shuffled, lengths[order]) - together[order]).max() < 1e-6


def test_unlike_texts_get_unlike_embeddings_of_length_one(packed, texts):
    embeddings = packed(*texts)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=-1), 1, atol=1e-6)
    assert np.max(embeddings @ embeddings.T - np.eye(len(embeddings))) < 1 - 1e-4


def test_no_texts(packed):
    assert packed(np.array([], np.int64), np.array([], np.int64)).shape == (0, packed.dimension)


def test_the_arrays_it_is_given_stay_as_they_are(packed, texts):
    tokens, lengths = (array.copy() for array in texts)
    packed(*texts)
    np.testing.assert_array_equal(tokens, texts[0])
    np.testing.assert_array_equal(lengths, texts[1])


def test_integers_of_any_width(packed, texts):
    tokens, lengths = texts
    np.testing.assert_array_equal(packed(tokens.astype(np.uint16), lengths.astype(np.int8)), packed(*texts))


def test_threads_may_share_it(packed, texts):
    expected, actual = packed(*texts), [None] * 4

    def encode(i):
        actual[i] = packed(*texts)

    threads = [threading.Thread(target=encode, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for embeddings in actual:
        assert np.abs(embeddings - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("tokens", "lengths", "error", "message"),
    [
        ([1, 2, 3], [2], ShapeError, "sum to the 3 tokens, got .* a sum of 2"),
        ([1, 2, 3], [3, 0], ShapeError, "at least 1 each .* got a least of 0"),
        ([1, 2, 3], [-1, 4], ShapeError, "got a least of -1"),
        ([1, 31], [2], ParameterError, "token ids must lie from 0 to 30, got 31"),
        ([1, -1], [2], ParameterError, "token ids must lie from 0 to 30, got -1"),
        ([1] * 20, [20], ShapeError, "19 positions, got a sequence of 20"),
        ([1.0, 2.0], [2], ParameterError, "tokens must be a row of integers, got float64"),
        ([[1, 2]], [2], ParameterError, r"tokens must be a row of integers, .* shape \(1, 2\)"),
    ],
)
def test_invalid_tokens_and_lengths_are_refused(packed, tokens, lengths, error, message):
    with pytest.raises(error, match=message):
        packed(np.array(tokens), np.array(lengths))


def test_bfloat16(sentence_encoder, packed, texts):
    rounded = Packed(map_arrays(lambda tensor: tensor.bfloat16(), sentence_encoder))(*texts)
    assert rounded.dtype == np.float32
    assert np.sum(rounded * packed(*texts), axis=-1).min() > 0.999
