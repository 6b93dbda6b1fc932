"""all-MiniLM-L6-v2 from its folder, against sentence-transformers, on texts from empty to beyond the limit."""

from __future__ import annotations

import hashlib
from functools import partial
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from softkv_attention.transformer import load, map_arrays
from softkv_service.encoding.models.core_network import embed_by_definition

TEXTS = [
    "",
    "   \n\t",
    "a",
    "The dog chased the cat across the street.",
    "How do I reset my password?",
    "Straße, naïve café — Ünïcödé",
    "مرحبا بالعالم",
    "猫は道を渡った",
    "😺 \x00\x01 control",
    "supercalifragilisticexpialidocious" * 20,
    *("word " * n for n in (1, 2, 3, 5, 17, 61, 127, 253, 254, 255, 256, 511, 1300)),
    *("Attention blends what it remembers; the weights say how much. " * n for n in (1, 4, 9, 18, 40)),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    weights = next(file for file in files("softkv-model-minilm") or [] if file.name == "model.safetensors")
    return Path(str(weights.locate())).parent


@pytest.fixture(scope="module")
def checkpoint(folder):
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return load(folder, sha256=sha256)


@pytest.fixture(scope="module")
def reference(folder):
    from sentence_transformers import SentenceTransformer  # takes seconds to import

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def encode(folder, checkpoint):
    """Return by_definition tokens of texts, and their lengths."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(checkpoint.max_tokens)

    def tokenise(texts):
        ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        return np.concatenate(ids), np.array([len(row) for row in ids])

    return tokenise


@pytest.fixture(scope="module")
def by_definition(checkpoint):
    return partial(embed_by_definition, map_arrays(torch.as_tensor, checkpoint.model))


def pad(tokens, lengths):
    rows = torch.from_numpy(tokens).split(lengths.tolist())
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).numpy(), lengths


def test_the_folder_declares_the_limits_of_the_model(checkpoint, reference):
    assert checkpoint.max_tokens == reference.max_seq_length == 256
    assert checkpoint.model.dimension == reference.get_embedding_dimension() == 384
    assert checkpoint.prompt("query") == checkpoint.prompt("document") == ""


@pytest.mark.thorough
def test_embeddings_match_sentence_transformers(checkpoint, reference, encode, by_definition):
    tokens, lengths = encode(TEXTS)
    assert lengths.min() == 2
    assert lengths.max() == 256
    expected = reference.encode(TEXTS)
    assert np.abs(by_definition(tokens, lengths) - expected).max() < 1e-5

    few = [0, 3, 6, 8, -1]  # the definition pads them all to the longest
    result = checkpoint.model(*pad(*encode([TEXTS[i] for i in few])))
    assert np.abs(result - expected[few]).max() < 1e-5
