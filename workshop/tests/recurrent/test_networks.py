"""A recurrent network reads and writes; with an alignment each token that it writes is a query over the source."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import ParameterError, attend
from softkv_attention.transformer import map_arrays
from softkv_workshop.recurrent import RecurrentArchitecture, initial

BEGIN, END = 0, 1


def model_of(random, cell="gru", *, attends=True, n_layers=2):
    return initial.encoder_decoder(random, RecurrentArchitecture(cell, 6, 8, n_layers), 9, 7, attends=attends)


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("attends", [False, True])
def test_padding_changes_nothing(random, cell, attends):
    model = model_of(random, cell, attends=attends)
    source, target = random.integers(0, 9, (3, 5)), random.integers(0, 7, (3, 4))
    lengths = np.array([5, 2, 4])
    together = model.steps(source, target, lengths)
    assert together.logits.shape == (3, 4, 7)
    for row, length in enumerate(lengths):
        alone = model.steps(source[row : row + 1, :length], target[row : row + 1])
        np.testing.assert_allclose(together.logits[row], alone.logits[0], atol=1e-6)
        if attends:
            np.testing.assert_allclose(together.weights[row, :, :length], alone.weights[0], atol=1e-6)
            assert not together.weights[row, :, length:].any()
    assert (together.weights is not None) == attends


def test_the_alignment_is_attention_by_the_last_output(random):
    model = model_of(random, n_layers=1)
    source, target = random.integers(0, 9, (2, 5)), random.integers(0, 7, (2, 3))
    memory, states = model.encoder(model.source[source])
    weights = model.steps(source, target).weights
    first = attend(states[0][:, None], memory, memory, similarity=model.alignment)
    np.testing.assert_allclose(weights[:, 0], first.weights[:, 0], atol=1e-6)
    decoder_input = np.concatenate([model.target[target[:, 0]], first.output[:, 0]], axis=-1)
    (second,) = model.decoder(decoder_input[:, None], states)[1]
    np.testing.assert_allclose(
        weights[:, 1], attend(second[:, None], memory, memory, similarity=model.alignment).weights[:, 0], atol=1e-6
    )
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("library", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_generated_tokens_are_the_most_likely_ones(random, library):
    model = map_arrays(library, model_of(random, "lstm"))
    source, lengths = library(random.integers(0, 9, (4, 5))), library(np.array([5, 1, 3, 2]))
    written = model.generate(source, lengths, begin=BEGIN, end=END, limit=6)
    decoder_input = np.concatenate([np.full((4, 1), BEGIN), np.asarray(written)[:, :-1]], axis=1)
    logits = np.asarray(model(source, library(decoder_input), lengths))
    for row, tokens in enumerate(np.asarray(written).tolist()):
        length = tokens.index(END) + 1 if END in tokens else len(tokens)
        assert tokens[:length] == logits[row, :length].argmax(axis=-1).tolist()
        assert set(tokens[length:]) <= {END}


def test_invalid_arguments_are_refused(random):
    model = model_of(random)
    with pytest.raises(ParameterError, match="limit must be at least 1, got 0"):
        model.generate(np.array([[1]]), begin=BEGIN, end=END, limit=0)
    with pytest.raises(ParameterError, match="token ids must lie from 0 to 8, got 9"):
        model(np.array([[9]]), np.array([[1]]))
    with pytest.raises(ParameterError, match="token ids must lie from 0 to 6, got -1"):
        model(np.array([[1]]), np.array([[-1]]))
    with pytest.raises(ParameterError, match="cell must be gru or lstm, got 'rnn'"):
        RecurrentArchitecture("rnn", 3, 4)
