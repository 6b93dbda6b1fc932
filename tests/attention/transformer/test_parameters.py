from __future__ import annotations

import numpy as np
import torch

from softkv_attention.transformer import EncoderDecoder, arrays, initial, map_arrays
from softkv_attention.transformer.initial import Architecture

SIZES = Architecture(d_model=6, n_heads=2, d_ff=5, n_layers=2)


def model():
    random = np.random.default_rng(0)
    return EncoderDecoder(
        source=initial.embeddings(random, 11, 7, 6),
        encoder=initial.encoder(random, SIZES),
        target=initial.embeddings(random, 11, 7, 6),
        decoder=initial.decoder(random, SIZES, cross_attention=True),
        output=initial.linear(random, 6, 11),
    )


def test_each_array_has_a_path():
    named = dict(arrays(model()))
    assert named["encoder.layers.1.feed_forward.inner.weight"].shape == (6, 5)
    assert named["decoder.layers.0.cross_attention.b_Q"].shape == (6,)
    assert named["source.positions.table"].shape == (7, 6)
    assert len(named) == 2 * 2 + 2 * 16 + 2 + 2 * 26 + 2 + 2


def test_mapped_reaches_every_array_and_leaves_the_original():
    original = model()
    before = {name: array.copy() for name, array in arrays(original)}
    doubled = map_arrays(lambda array: 2 * array, original)
    for name, array in arrays(doubled):
        np.testing.assert_array_equal(array, 2 * before[name], err_msg=name)
    for name, array in arrays(original):
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_to_torch_and_back():
    in_torch = map_arrays(torch.from_numpy, model())
    assert all(isinstance(tensor, torch.Tensor) for _, tensor in arrays(in_torch))
    tokens = np.array([[3, 1, 4]])
    np.testing.assert_allclose(
        model()(tokens, tokens), in_torch(torch.from_numpy(tokens), torch.from_numpy(tokens)), atol=1e-5
    )


def test_initial_parameters_follow_from_their_seed():
    for (name, one), (_, other) in zip(arrays(model()), arrays(model()), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
