"""The declarations of a folder: the width of its vectors, and their similarity."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from service.encoding.errors import ModelUnusable
from service.encoding.registry import load_encoder
from tests.checkpoints import library_vectors
from tests.thorough import thorough

TEXTS = ["Straße, a RED house", "", "word " * 300, "猫 😺", "a small house"]
WIDTH = 32


@pytest.fixture
def model(bare_model, saved):
    """Makes a model with prompts, of which only the first numbers are kept."""

    def make(config, *, normalise, truncate_dim):
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

        modules = [Transformer(bare_model(config), max_seq_length=64), Pooling(WIDTH), *[Normalize()] * normalise]
        prompts = {"query": "search for: ", "document": "read: "}
        return saved(SentenceTransformer(modules=modules, prompts=prompts, truncate_dim=truncate_dim, device="cpu"))

    return make


@pytest.mark.parametrize("purpose", ["query", thorough("document")])
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize(
    ("config", "runs_on"),
    [("BertConfig", "attention/transformer"), ("ElectraConfig", "sentence-transformers with attention")],
)
def test_a_saved_truncation_is_kept(model, config, runs_on, normalise, purpose):
    directory = model(config, normalise=normalise, truncate_dim=13)
    encoder = load_encoder(str(directory))
    assert (encoder.dimension, encoder.runs_on) == (13, runs_on)
    encoded, expected = encoder.encode(TEXTS, purpose).vectors, library_vectors(directory, TEXTS, purpose)
    assert expected.shape == (5, 13)
    np.testing.assert_allclose(encoded, expected, rtol=0, atol=1e-5)
    # Nothing brings what is left to length one again.
    assert (np.linalg.norm(encoded, axis=1) < 0.95).all() == normalise


@pytest.mark.parametrize(("truncate_dim", "dimension"), [(None, WIDTH), (WIDTH, WIDTH), (5000, WIDTH), (1, 1)])
def test_a_truncation_beyond_the_width_keeps_all(model, truncate_dim, dimension):
    directory = model("BertConfig", normalise=True, truncate_dim=truncate_dim)
    encoder = load_encoder(str(directory))
    assert encoder.dimension == dimension
    expected = library_vectors(directory, TEXTS, "query")
    np.testing.assert_allclose(encoder.encode(TEXTS, "query").vectors, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", ["BertConfig", "ElectraConfig"])
@pytest.mark.parametrize("truncate_dim", [0, -3, "16", 2.5, True])
def test_an_invalid_truncation_is_refused(random_model, change, config, truncate_dim):
    directory = random_model(config)
    change(directory / "config_sentence_transformers.json", truncate_dim=truncate_dim)
    with pytest.raises(ModelUnusable, match="truncate_dim must be a whole number from 1 on"):
        load_encoder(str(directory))


@pytest.mark.parametrize(
    ("named", "similarity", "note"),
    [
        ("cosine", "cosine", None),
        ("dot", "dot", None),
        (None, "cosine", None),
        ("euclidean", "gaussian", "euclidean distance: collections default to the similarity gaussian"),
        ("manhattan", "cosine", "'manhattan', which no similarity of a collection orders alike"),
        ("maxsim", "cosine", "'maxsim', which no similarity of a collection orders alike"),
        (["dot"], "cosine", r"\['dot'\], which no similarity"),
    ],
)
def test_the_makers_similarity_is_the_encoders(random_model, change, named, similarity, note):
    directory = random_model("BertConfig")
    change(directory / "config_sentence_transformers.json", similarity_fn_name=named)
    encoder = load_encoder(str(directory))
    assert encoder.similarity == similarity
    assert encoder.temperature == encoder.temperatures[similarity]
    if note is None:
        assert encoder.notes == []
    else:
        (said,) = encoder.notes
        assert re.search(note, said)


def test_the_background_is_of_cosines_whatever_vectors_are_compared_by(random_model, change):
    directory = random_model("BertConfig")
    cosine = load_encoder(str(directory)).background
    change(directory / "config_sentence_transformers.json", similarity_fn_name="dot")
    dot = load_encoder(str(directory))
    assert np.linalg.norm(dot.encode(["a house"], "query").vectors) > 2
    assert dot.background == cosine
    assert abs(cosine.mean) <= 1


def test_arguments_of_the_transformer_are_left_to_the_library(random_model, change):
    directory = random_model("BertConfig")
    assert load_encoder(str(directory)).runs_on == "attention/transformer"
    change(directory / "sentence_bert_config.json", max_seq_length=None, processor_kwargs={"model_max_length": 6})
    encoder = load_encoder(str(directory))
    assert encoder.runs_on == "sentence-transformers with attention"
    encoded = encoder.encode(TEXTS, "query")
    np.testing.assert_array_equal(encoded.truncated, [True, False, True, False, False])
    np.testing.assert_allclose(encoded.vectors, library_vectors(directory, TEXTS, "query"), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"query_length": 5}, "settings of its own .query_length 5."),
        ({"document_length": 9}, "settings of its own .document_length 9."),
        ({"processing_kwargs": {"text": {"max_length": 7}}}, "processing_kwargs.text.max_length 7"),
        (
            {"modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}},
            "must give 32 finite numbers of a query, got 1",
        ),
    ],
)
def test_unsupported_options_of_the_transformer_are_refused(random_model, change, fields, reason):
    directory = random_model("BertConfig")
    change(directory / "sentence_bert_config.json", **fields)
    with pytest.raises(ModelUnusable, match=reason):
        load_encoder(str(directory))


def test_a_normalisation_of_something_else_is_left_to_the_library(model):
    directory = model("BertConfig", normalise=True, truncate_dim=None)
    config = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    (directory / "2_Normalize" / "config.json").write_text(json.dumps(config))
    encoder = load_encoder(str(directory))
    encoded = encoder.encode(TEXTS, "query").vectors
    np.testing.assert_allclose(encoded, library_vectors(directory, TEXTS, "query"), rtol=0, atol=1e-5)
    assert np.linalg.norm(encoded, axis=1).min() > 1.5
