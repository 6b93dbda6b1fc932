from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softkv_attention import ParameterError, ShapeError
from softkv_attention.transformer import leave_out_heads, strongest_neurons, trace, tracing

N = 7


@pytest.fixture
def tokens(random, library):
    return library(random.integers(0, 31, N))


def test_without_asking_it_is_the_last_layer_with_all_heads(sentence_encoder, tokens):
    (traced,) = trace(sentence_encoder, tokens)
    assert (traced.layer, traced.heads) == (2, (0, 1, 2, 3, 4))
    assert tuple(traced.weights.shape) == tuple(traced.logits.shape) == (5, N, N)
    assert tuple(traced.query.shape) == tuple(traced.key.shape) == tuple(traced.value.shape) == (5, N, 3)
    assert tuple(traced.change.shape) == (N,)


def test_layers_and_heads_come_in_the_requested_order(sentence_encoder, tokens):
    everything = trace(sentence_encoder, tokens, layers=range(3))
    chosen = trace(sentence_encoder, tokens, layers=[-1, 0], heads=[3, -5])
    assert [(traced.layer, traced.heads) for traced in chosen] == [(2, (3, 0)), (0, (3, 0))]
    for traced in chosen:
        np.testing.assert_array_equal(traced.weights, everything[traced.layer].weights[[3, 0]])
        np.testing.assert_array_equal(traced.value, everything[traced.layer].value[[3, 0]])
        np.testing.assert_array_equal(traced.change, everything[traced.layer].change)


def test_the_change_is_that_of_the_token_vectors(sentence_encoder, tokens):
    x = np.asarray(sentence_encoder.embeddings(tokens))
    for traced, steps in zip(
        trace(sentence_encoder, tokens, layers=range(3)),
        sentence_encoder.encoder.steps(sentence_encoder.embeddings(tokens)),
        strict=True,
    ):
        y = np.asarray(steps.output)
        size = np.linalg.norm(x, axis=-1)
        np.testing.assert_allclose(traced.change, np.linalg.norm(y - x, axis=-1) / size, rtol=1e-5)
        updates = np.asarray(steps.attention.output), np.asarray(steps.feed_forward)
        np.testing.assert_allclose(traced.attention_change, np.linalg.norm(updates[0], axis=-1) / size, rtol=1e-5)
        np.testing.assert_allclose(traced.feed_forward_change, np.linalg.norm(updates[1], axis=-1) / size, rtol=1e-5)
        x = y


def test_causal_tokens_do_not_look_ahead(sentence_encoder, tokens):
    for traced in trace(sentence_encoder, tokens, layers=[0, 1], causal=True):
        assert not np.triu(np.asarray(traced.weights), 1).any()
        assert np.isneginf(np.asarray(traced.logits)[:, 0, 1:]).all()


def test_the_types_of_a_pair_matter(sentence_encoder, tokens, library):
    types = library(np.array([0, 0, 0, 1, 1, 1, 1]))
    (plain,), (pair,) = trace(sentence_encoder, tokens), trace(sentence_encoder, tokens, types)
    assert np.abs(np.asarray(plain.weights) - np.asarray(pair.weights)).max() > 1e-4


def test_a_missing_layer_or_head_is_named(sentence_encoder, tokens, library):
    with pytest.raises(ParameterError, match="layer must lie from 0 to 2, or from −3 to −1, got 3"):
        trace(sentence_encoder, tokens, layers=[0, 3])
    with pytest.raises(ParameterError, match="head must lie from 0 to 4, or from −5 to −1, got -6"):
        trace(sentence_encoder, tokens, heads=[-6])
    with pytest.raises(ShapeError, match="one text"):
        trace(sentence_encoder, tokens[None, :])
    with pytest.raises(ShapeError, match="19 positions"):
        trace(sentence_encoder, library(np.zeros(20, np.int64)))
    assert trace(sentence_encoder, tokens, layers=[]) == []


def test_the_states_of_a_layer_lead_from_its_input_to_its_output(sentence_encoder, tokens):
    first, second = trace(sentence_encoder, tokens, layers=[0, 1])
    layer = sentence_encoder.encoder.layers[0]
    np.testing.assert_array_equal(first.input, sentence_encoder.embeddings(tokens))
    np.testing.assert_allclose(first.middle, layer.attention_residual.norm(first.input + first.attention), atol=1e-6)
    expected = layer.feed_forward_residual.norm(first.middle + first.feed_forward)
    np.testing.assert_allclose(first.output, expected, atol=1e-6)
    np.testing.assert_array_equal(second.input, first.output)


def test_attention_adds_the_sum_of_the_writings_of_its_heads(sentence_encoder, tokens):
    (every,) = trace(sentence_encoder, tokens, layers=[1])
    (some,) = trace(sentence_encoder, tokens, layers=[1], heads=[4, 2])
    heads = sentence_encoder.encoder.layers[1].attention
    np.testing.assert_allclose(every.head_output, every.weights @ every.value, atol=1e-6)
    written = heads.write(every.head_output, every.heads)
    np.testing.assert_allclose(written.sum(axis=0) + heads.b_O, every.attention, atol=1e-6)
    np.testing.assert_array_equal(heads.write(some.head_output, some.heads), written[[4, 2]])


def test_the_strongest_neurons_have_the_largest_shares(sentence_encoder, tokens):
    (traced,) = trace(sentence_encoder, tokens, layers=[1])
    layer = sentence_encoder.encoder.layers[1]
    neurons = strongest_neurons(layer, traced.middle, 4)
    x, value = np.asarray(traced.middle, np.float64), np.asarray(layer.feed_forward.outer.weight, np.float64)
    scores = x @ np.asarray(layer.feed_forward.inner.weight) + np.asarray(layer.feed_forward.inner.bias)
    activations = np.asarray(layer.feed_forward.neurons(traced.middle), np.float64)
    update = np.asarray(traced.feed_forward, np.float64)
    shares = activations * (update @ value.T) / (update * update).sum(axis=-1, keepdims=True)
    bias = update @ np.asarray(layer.feed_forward.outer.bias) / (update * update).sum(axis=-1)
    np.testing.assert_allclose(shares.sum(axis=-1) + bias, 1, atol=1e-5)
    best = np.argsort(-np.abs(shares), axis=-1)[:, :4]
    np.testing.assert_array_equal(neurons.index, best)
    for name, of_all in (("score", scores), ("activation", activations), ("share", shares)):
        np.testing.assert_allclose(getattr(neurons, name), np.take_along_axis(of_all, best, axis=-1), atol=1e-5)


@pytest.mark.parametrize("rows", [tracing.MAX_ROWS, 3 * N])
def test_a_head_is_left_out_as_if_its_rows_of_the_output_matrix_were_zeros(
    sentence_encoder, tokens, library, monkeypatch, rows
):
    monkeypatch.setattr(tracing, "MAX_ROWS", rows)
    embeddings = leave_out_heads(sentence_encoder, tokens)
    assert tuple(embeddings.shape) == (3, 5, 15)
    for number, layer in enumerate(sentence_encoder.encoder.layers):
        for head in range(5):
            rows_of_heads = np.asarray(layer.attention.W_O).copy()
            rows_of_heads[head * 3 : (head + 1) * 3] = 0
            cut = replace(layer, attention=replace(layer.attention, W_O=library(rows_of_heads)))
            layers = list(sentence_encoder.encoder.layers)
            layers[number] = cut
            model = replace(sentence_encoder, encoder=replace(sentence_encoder.encoder, layers=tuple(layers)))
            expected = model(tokens[None], library(np.array([N])))[0]
            np.testing.assert_allclose(embeddings[number, head], expected, atol=2e-6)
