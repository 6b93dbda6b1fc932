"""The BERT family against transformers, on random small models: tokens, types, padding, and every variant."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from attention import padding
from attention.transformer import Config, Tensors, bert_parameters, map_arrays

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


def reference(config, seed):
    """Return a random model, with random norms and biases, which otherwise begin at 1 and 0."""
    torch.manual_seed(seed)
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def parameters(model):
    config = Config("config.json", model.config.to_dict())
    return bert_parameters(config, Tensors("the model", model.state_dict()))


def compare(model, n_vocabulary, with_types=False):
    """Compare every token except padding, in torch and in NumPy."""
    embeddings, encoder = parameters(model)
    tokens = torch.randint(3, n_vocabulary, (3, 13))  # the first ids are special in some models
    types = torch.randint(0, 2, (3, 13)) if with_types else None
    lengths = torch.tensor([13, 1, 7])
    mask = padding(lengths, 13)
    real = mask[:, 0, :]

    options = {"token_type_ids": types} if with_types else {}
    tokens = torch.where(real, tokens, model.config.pad_token_id)
    with torch.no_grad():
        expected = model(tokens, attention_mask=real.long(), **options).last_hidden_state
        encoded = encoder(embeddings(tokens, types), mask)
    assert (encoded - expected)[real].abs().max() < TOLERANCE

    embeddings, encoder = map_arrays(lambda tensor: tensor.detach().numpy(), (embeddings, encoder))
    encoded = encoder(embeddings(tokens.numpy(), types.numpy() if with_types else None), mask.numpy())
    assert np.abs(encoded - expected.numpy())[real.numpy()].max() < TOLERANCE


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new", "silu"])
def test_bert(sizes, activation):
    compare(reference(bert(*sizes, hidden_act=activation), seed=sizes[0]), sizes[4], with_types=True)


@pytest.mark.parametrize("kind", [transformers.RobertaConfig, transformers.XLMRobertaConfig])
def test_roberta_counts_positions_from_behind_its_padding_token(kind):
    d_model, n_heads, d_ff, n_layers, n_vocabulary, n_positions = 15, 3, 11, 2, 31, 19
    config = kind(
        hidden_size=d_model,
        num_attention_heads=n_heads,
        intermediate_size=d_ff,
        num_hidden_layers=n_layers,
        vocab_size=n_vocabulary,
        max_position_embeddings=n_positions,
        type_vocab_size=1,
    )
    model = reference(config, seed=5)
    compare(model, n_vocabulary)
    assert parameters(model)[0].positions.limit == n_positions - 2


def test_distilbert_has_names_of_its_own():
    config = transformers.DistilBertConfig(
        dim=15, n_heads=3, hidden_dim=11, n_layers=2, vocab_size=31, max_position_embeddings=19
    )
    compare(reference(config, seed=6), 31)


def test_a_model_saved_as_a_part_of_another():
    config = bert(*SIZES[0])
    torch.manual_seed(7)
    whole = transformers.BertForMaskedLM(config).eval()
    embeddings, encoder = bert_parameters(
        Config("config.json", config.to_dict()), Tensors("the model", whole.state_dict())
    )
    tokens = torch.arange(5)[None, :]
    with torch.no_grad():
        expected = whole.bert(tokens).last_hidden_state
        assert (encoder(embeddings(tokens)) - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("sizes", SIZES)
def test_the_gradients_of_every_parameter(sizes):
    model = reference(bert(*sizes, attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0), seed=8)
    embeddings, encoder = bert_parameters(
        Config("config.json", model.config.to_dict()), Tensors("the model", dict(model.named_parameters()))
    )
    tokens = torch.randint(1, sizes[4], (2, 11))  # nn.Embedding gives the padding token, 0, no gradient
    expected = model(tokens).last_hidden_state
    encoded = encoder(embeddings(tokens))
    direction = torch.randn_like(expected)

    used = {name: p for name, p in model.named_parameters() if not name.startswith("pooler")}
    theirs = torch.autograd.grad((expected * direction).sum(), used.values())
    ours = torch.autograd.grad((encoded * direction).sum(), used.values())
    for name, one, other in zip(used, ours, theirs, strict=True):
        assert (one - other).abs().max() / (1 + other.abs().max()) < TOLERANCE, name
