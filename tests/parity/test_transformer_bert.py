"""BERT against transformers on random small models: tokens, types and padding; test_families.py has its relatives."""

from __future__ import annotations

import pytest
import torch
import transformers

from softkv_attention import padding
from softkv_attention.transformer import Config, Tensors, bert_parameters, map_arrays
from tests.parity.families import random_transformer

TOLERANCE = 1e-5
SIZES = [  # d_model, n_heads, d_ff, n_layers, n_vocabulary, n_positions
    (15, 3, 11, 2, 31, 19),
    (14, 7, 29, 3, 23, 17),
    (26, 2, 13, 1, 37, 29),
]


def bert(d_model, n_heads, d_ff, n_layers, n_vocabulary, n_positions, **more):
    return transformers.BertConfig(
        hidden_size=d_model,
        num_attention_heads=n_heads,
        intermediate_size=d_ff,
        num_hidden_layers=n_layers,
        vocab_size=n_vocabulary,
        max_position_embeddings=n_positions,
        **more,
    )


def parameters(model):
    return bert_parameters(Config("config.json", model.config.to_dict()), Tensors("the model", model.state_dict()))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new", "silu"])
def test_every_token_except_padding_in_torch_and_numpy(sizes, activation):
    torch.manual_seed(sizes[0])
    model = random_transformer(bert(*sizes, hidden_act=activation))
    tokens, types = torch.randint(3, sizes[4], (3, 13)), torch.randint(0, 2, (3, 13))
    mask = padding(torch.tensor([13, 1, 7]), 13)
    real, ours = mask[:, 0, :], parameters(model)
    with torch.no_grad():
        expected = model(tokens, attention_mask=real.long(), token_type_ids=types).last_hidden_state[real]
    for convert in (torch.as_tensor, lambda tensor: tensor.numpy()):
        embeddings, encoder = map_arrays(convert, ours)
        encoded = encoder(embeddings(convert(tokens), convert(types)), convert(mask))
        assert (torch.as_tensor(encoded)[real] - expected).abs().max() < TOLERANCE


def test_a_model_saved_as_a_part_of_another():
    torch.manual_seed(7)
    whole, tokens = transformers.BertForMaskedLM(bert(*SIZES[0])).eval(), torch.arange(5)[None, :]
    embeddings, encoder = parameters(whole)
    with torch.no_grad():
        expected = whole.bert(tokens).last_hidden_state
        assert (encoder(embeddings(tokens)) - expected).abs().max() < TOLERANCE
