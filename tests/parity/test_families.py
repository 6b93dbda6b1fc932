"""Each family of models against sentence-transformers, on small random checkpoints: vectors, batches, traces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention.transformer import Config, Tensors, map_arrays, trace
from softkv_attention.transformer.checkpoints.families import reader_of
from softkv_service.encoding.models.core_network import embed_by_definition
from softkv_service.encoding.registry import load_encoder
from tests.parity.families import FAMILIES, SMALL, WIDE, random_transformer, save
from tests.thorough import thorough

TOLERANCE = 1e-5
# Shorter than every window, at and beyond its ends, and longer than the models read.
TEXTS = ["the dog", "", "the dog chased a cat across the street, and the river!", "The stone " * 50, "zebra 猫", "a"]
TEXTS += ["tree " * n for n in (2, 3, 4, 9, 12)]
TEXTS += ["the <pad> dog, a [PAD] cat"]  # RoBERTa counts no position for its padding token, wherever it stands


NIGHTLY = ("labse", "xlm-roberta", "llama", "mistral", "qwen2", "gemma")
"""Families that differ little from another one, which is tried by day."""
BY_DAY = [name for name in FAMILIES if name not in NIGHTLY]
CHECKPOINTS = [*BY_DAY, *map(thorough, NIGHTLY), *(thorough(f"{name} wide") for name in FAMILIES)]


@pytest.fixture(scope="module", params=CHECKPOINTS)
def folder(request, tmp_path_factory):
    name, _, wide = request.param.partition(" ")
    return save(name, tmp_path_factory.mktemp(name), WIDE if wide else SMALL)


@pytest.fixture(scope="module")
def encoder(folder):
    encoder = load_encoder(str(folder))
    assert encoder.runs_on == "attention/transformer"
    return encoder


@pytest.fixture(scope="module")
def reference(folder):
    from sentence_transformers import SentenceTransformer  # takes seconds to import

    return SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"attn_implementation": "eager"}
    )


def alone(encode, texts):
    return np.stack([encode(text, show_progress_bar=False) for text in texts])


def test_vectors_match_sentence_transformers(encoder, reference):
    assert encoder.max_tokens == reference.max_seq_length
    questions, documents = encoder.encode(TEXTS, "query"), encoder.encode(TEXTS, "document")
    assert np.abs(questions.vectors - alone(reference.encode_query, TEXTS)).max() < TOLERANCE
    assert np.abs(documents.vectors - alone(reference.encode_document, TEXTS)).max() < TOLERANCE
    np.testing.assert_allclose(np.linalg.norm(documents.vectors, axis=1), 1, atol=1e-6)
    assert documents.truncated[:4].tolist() == [False, False, False, True]


def test_a_text_has_the_same_vector_to_the_bit_alone_and_in_any_batch(encoder):
    together = encoder.encode(TEXTS, "document").vectors
    shuffled = encoder.encode(TEXTS[::-1] * 3, "document").vectors
    one_by_one = np.concatenate([encoder.encode([text], "document").vectors for text in TEXTS])
    np.testing.assert_array_equal(one_by_one, together)
    np.testing.assert_array_equal(shuffled, np.tile(together[::-1], (3, 1)))


def test_the_definition_in_numpy_and_torch_computes_the_same(encoder):
    model, tokens = encoder.network.model, encoder.network.tokenizer.read(TEXTS).ids
    lengths = np.array([len(ids) for ids in tokens])
    padded = np.zeros((len(tokens), lengths.max()), np.int64)
    for row, ids in zip(padded, tokens, strict=True):
        row[: len(ids)] = ids
    together = embed_by_definition(map_arrays(torch.as_tensor, model), np.concatenate(tokens), lengths)
    assert np.abs(model(padded, lengths) - together).max() < TOLERANCE


def test_traced_weights_are_the_librarys_and_sum_to_one(encoder, reference):
    model, features = encoder.network.model, reference[0].preprocess([TEXTS[2]])
    inputs = {name: features[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        attentions = reference[0].model(**inputs, output_attentions=True).attentions
    layers = trace(model, inputs["input_ids"][0].numpy(), layers=range(len(model.encoder.layers)))
    for traced, expected in zip(layers, attentions, strict=True):
        np.testing.assert_allclose(traced.weights, expected[0].numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(traced.weights.sum(axis=-1), 1, atol=1e-6)
        logits = traced.logits - traced.logits.max(axis=-1, keepdims=True)
        shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(shares, traced.weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "mpnet", "nomic", "gte", "modernbert", "qwen3", "embedding-gemma"])
def test_the_gradients_of_every_parameter(name):
    torch.manual_seed(3)
    config = FAMILIES[name].config(SMALL, 37)
    model = random_transformer(config)
    model.set_attn_implementation("eager")
    parameters = {key: parameter for key, parameter in model.named_parameters() if not key.startswith("pooler")}
    fields = Config("config.json", config.to_dict())
    embeddings, encoder = reader_of(fields)(fields, Tensors("the model", parameters))
    tokens = torch.randint(4, 37, (2, 17))
    expected, encoded = model(tokens).last_hidden_state, encoder(embeddings(tokens))
    direction = torch.randn_like(expected)
    theirs = torch.autograd.grad((expected * direction).sum(), parameters.values())
    ours = torch.autograd.grad((encoded * direction).sum(), parameters.values())
    for key, one, other in zip(parameters, ours, theirs, strict=True):
        assert (one - other).abs().max() / (1 + other.abs().max()) < TOLERANCE, key
