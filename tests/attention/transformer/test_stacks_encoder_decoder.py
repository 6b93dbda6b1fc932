from __future__ import annotations

import numpy as np
import pytest

from softkv_attention import ParameterError
from softkv_attention.transformer import EncoderDecoder, initial, map_arrays

BEGIN, END, LIMIT = 0, 1, 8


@pytest.fixture
def model(random, sizes, library):
    parameters = EncoderDecoder(
        source=initial.embeddings(random, 13, 11, sizes.d_model),
        encoder=initial.encoder(random, sizes),
        target=initial.embeddings(random, 17, 19, sizes.d_model),
        decoder=initial.decoder(random, sizes, cross_attention=True),
        output=initial.linear(random, sizes.d_model, 17),
    )
    return map_arrays(library, parameters)


@pytest.fixture
def source(random, library):
    return library(random.integers(0, 13, (5, 7)))


@pytest.fixture
def lengths(library):
    return library(np.array([7, 2, 5, 1, 3]))


def test_written_tokens_are_the_likeliest_at_every_position(model, source, lengths, library):
    written = np.asarray(model.generate(source, lengths, begin=BEGIN, end=END, limit=LIMIT))
    decoder_input = np.concatenate([np.full((5, 1), BEGIN), written[:, :-1]], axis=1)
    best = np.asarray(model(source, library(decoder_input), lengths)).argmax(-1)
    for row, likeliest in zip(written, best, strict=True):
        ended = row.tolist().index(END) + 1 if END in row else len(row)
        np.testing.assert_array_equal(row[:ended], likeliest[:ended])
        assert (row[ended:] == END).all()


def test_padding_of_the_source_is_not_read(model, source, lengths, library):
    other = np.array(source.tolist())
    for row, n in zip(other, [7, 2, 5, 1, 3], strict=True):
        row[n:] = 12 - row[n:]
    target = library(np.arange(15).reshape(5, 3))
    np.testing.assert_allclose(model(source, target, lengths), model(library(other), target, lengths), atol=1e-5)


def test_the_steps_lead_to_the_logits_and_hold_the_weights(model, source, lengths, library):
    target = library(np.arange(15).reshape(5, 3))
    looked = model.steps(source, target, lengths)
    np.testing.assert_allclose(looked.logits, model(source, target, lengths), atol=1e-5)
    n_layers, n_heads = len(model.decoder.layers), model.decoder.layers[0].attention.n_heads
    assert [tuple(weight.shape) for weight in looked.weights] == [(5, n_heads, 3, 7)] * n_layers
    assert [tuple(source_weight.shape) for source_weight in looked.source_weights] == [(5, n_heads, 7, 7)] * len(
        model.encoder.layers
    )
    for weights in (*looked.weights, *looked.source_weights):
        np.testing.assert_allclose(np.asarray(weights).sum(-1), 1, atol=1e-5)
        for row, n in zip(np.asarray(weights), [7, 2, 5, 1, 3], strict=True):
            assert (row[..., n:] == 0).all()


def test_a_target_that_ends_at_once_stops_the_writing(model, source):
    likeliest = int(np.asarray(model.generate(source[:1], begin=BEGIN, end=END, limit=1))[0, 0])
    written = np.asarray(model.generate(source[:1], begin=BEGIN, end=likeliest, limit=LIMIT))
    np.testing.assert_array_equal(written, [[likeliest]])


def test_a_limit_below_one_is_refused(model, source):
    with pytest.raises(ParameterError, match="limit must be at least 1, got 0"):
        model.generate(source, begin=BEGIN, end=END, limit=0)
