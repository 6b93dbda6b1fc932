"""GPT2 against transformers' GPT2Model on random small models, all at once and token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from softkv_attention import padding
from softkv_attention.transformer import Config, Tensors, gpt2_parameters, map_arrays

TOLERANCE = 1e-5
SIZES = [  # d_model, n_heads, n_layers, n_vocabulary, n_positions, n_inner
    (15, 3, 2, 31, 19, 11),
    (14, 7, 3, 23, 17, None),
    (26, 2, 1, 37, 29, 13),
]


def reference(d_model, n_heads, n_layers, n_vocabulary, n_positions, n_inner):
    torch.manual_seed(d_model)
    config = transformers.GPT2Config(
        n_embd=d_model,
        n_head=n_heads,
        n_layer=n_layers,
        vocab_size=n_vocabulary,
        n_positions=n_positions,
        n_inner=n_inner,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model = transformers.GPT2Model(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def parameters(model):
    return gpt2_parameters(
        Config("config.json", model.config.to_dict()), Tensors("the model", dict(model.named_parameters()))
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_all_positions_at_once_in_torch_and_numpy(sizes):
    model = reference(*sizes)
    ours = parameters(model)
    tokens, lengths = torch.randint(0, sizes[3], (3, 13)), torch.tensor([13, 2, 7])
    mask = padding(lengths, 13)
    real = mask[:, 0, :]
    with torch.no_grad():
        expected = model(tokens, attention_mask=real.long()).last_hidden_state
        assert (ours(tokens, mask) - expected)[real].abs().max() < TOLERANCE
    in_numpy = map_arrays(lambda tensor: tensor.detach().numpy(), ours)
    result = in_numpy(tokens.numpy(), mask.numpy())
    assert np.abs(result - expected.numpy())[real.numpy()].max() < TOLERANCE


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("steps", [[1] * 13, [5, 1, 7], [12, 1]])
def test_steps_over_a_cache_match_transformers_in_one_pass(sizes, steps):
    model = reference(*sizes)
    ours = parameters(model)
    tokens = torch.randint(0, sizes[3], (2, 13))
    with torch.no_grad():
        expected = model(tokens).last_hidden_state
        state, actual = ours.decoder.start(), []
        for part in tokens.split(steps, dim=1):
            x, state = ours.step(part, state)
            actual.append(x)
    assert (torch.cat(actual, dim=1) - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("sizes", SIZES)
def test_the_gradients_of_every_parameter(sizes):
    model = reference(*sizes)
    tokens = torch.randint(0, sizes[3], (2, 11))
    expected, actual = model(tokens).last_hidden_state, parameters(model)(tokens)
    direction = torch.randn_like(expected)
    theirs = torch.autograd.grad((expected * direction).sum(), list(model.parameters()))
    ours = torch.autograd.grad((actual * direction).sum(), list(model.parameters()))
    for (name, _), one, other in zip(model.named_parameters(), ours, theirs, strict=True):
        assert (one - other).abs().max() / (1 + other.abs().max()) < TOLERANCE, name
