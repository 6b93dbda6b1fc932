"""The core on each device that torch finds, an accelerator as well: NumPy's numbers, and results that lie there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import NORMALISERS, SIMILARITIES, attend, merge, partial, recall
from softkv_attention.transformer import Architecture, EncoderDecoder, SentenceEncoder, initial, map_arrays
from softkv_workshop.recurrent import RecurrentArchitecture
from softkv_workshop.recurrent import initial as recurrent
from tests.thorough import crossed

B, M, N, D, D_V = 2, 3, 7, 5, 4
SIZES = Architecture(d_model=15, n_heads=5, d_ff=11, n_layers=2, norm_first=False)
LENGTHS = np.array([N, 3])


@pytest.fixture(params=["cpu", "cuda"])
def put(request):
    """Return a function that moves NumPy arrays to a device."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no accelerator here")
    return lambda array: torch.as_tensor(array, device=request.param)


@pytest.fixture
def random():
    return np.random.default_rng(11)


def inputs(random):
    return random.normal(size=(B, M, D)), random.normal(size=(B, N, D)), random.normal(size=(B, N, D_V))


def tokens(random, n):
    return random.integers(0, 9, (B, n))


def shaken(random, parameters):
    """Change every array a little in float64: biases begin at 0 and scales at 1, which would hide a mistake."""
    return map_arrays(lambda array: array + 0.2 * random.standard_normal(array.shape), parameters)


def same(put, actual, expected):
    """Return whether an array is on the device and equals another one."""
    assert actual.device == put(0.0).device
    np.testing.assert_allclose(actual.detach().cpu(), expected, rtol=1e-11, atol=1e-12)


@crossed({"temperature": [0.0, 0.1, 1.0, np.inf], "normaliser": NORMALISERS, "similarity": SIMILARITIES})
def test_attention(random, put, similarity, normaliser, temperature):
    query, key, value = inputs(random)
    mask, bias = random.random((M, N)) > 0.3, random.normal(size=(M, N))
    how = {"similarity": similarity, "normaliser": normaliser, "temperature": temperature, "null": 0.2}
    expected = attend(query, key, value, mask=mask, bias=bias, **how)
    answer = attend(put(query), put(key), put(value), mask=put(mask), bias=put(bias), **how)
    same(put, answer.output, expected.output)
    same(put, answer.weights, expected.weights)
    same(put, answer.null_weight, expected.null_weight)


def test_gradients(random, put):
    arrays, direction = inputs(random), random.normal(size=(B, M, D_V))

    def gradients(put):
        tensors = [put(array).requires_grad_() for array in arrays]
        return torch.autograd.grad(attend(*tensors, null=0.1).output, tensors, put(direction))

    for actual, expected in zip(gradients(put), gradients(torch.as_tensor), strict=True):
        same(put, actual, expected)


def test_parts_and_patterns(random, put):
    query, key, value = inputs(random)
    parts = [partial(put(query), put(key[:, rows]), put(value[:, rows])) for rows in (slice(3), slice(3, N))]
    same(put, merge(*parts).output, attend(query, key, value).output)
    actual, expected = recall(put(query), put(key), steps=3), recall(query, key, steps=3)
    same(put, actual.states, expected.states)
    same(put, actual.energies, expected.energies)


def test_a_sentence_encoder(random, put):
    model = SentenceEncoder(initial.embeddings(random, 9, N, SIZES.d_model), initial.encoder(random, SIZES))
    model, read = shaken(random, model), tokens(random, N)
    same(put, map_arrays(put, model)(put(read), put(LENGTHS)), model(read, LENGTHS))


def test_an_encoder_and_a_decoder(random, put):
    model = EncoderDecoder(
        source=initial.embeddings(random, 9, N, SIZES.d_model),
        encoder=initial.encoder(random, SIZES),
        target=initial.embeddings(random, 9, N, SIZES.d_model),
        decoder=initial.decoder(random, SIZES, cross_attention=True),
        output=initial.linear(random, SIZES.d_model, 9),
    )
    _reads_and_writes(random, put, shaken(random, model))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_recurrent_encoder_and_decoder(random, put, cell):
    model = recurrent.encoder_decoder(random, RecurrentArchitecture(cell, 6, 8, 2), 9, 9, attends=True)
    _reads_and_writes(random, put, shaken(random, model))


def _reads_and_writes(random, put, model):
    source, target = tokens(random, N), tokens(random, M)
    on_device = map_arrays(put, model)
    same(put, on_device(put(source), put(target), put(LENGTHS)), model(source, target, LENGTHS))
    how = {"begin": 0, "end": 1, "limit": 6}
    same(put, on_device.generate(put(source), put(LENGTHS), **how), model.generate(source, LENGTHS, **how))
