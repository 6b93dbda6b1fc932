"""The declarations of a folder: the width of its vectors, their similarity, and what it lacks to be an encoder."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from softkv_service.encoding.registry import load_encoder
from tests.checkpoints import assert_unusable, library_vectors
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
    assert_unusable(directory, "truncate_dim must be a whole number from 1 on")


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
    assert_unusable(directory, reason)


def test_a_normalisation_of_something_else_is_left_to_the_library(model):
    directory = model("BertConfig", normalise=True, truncate_dim=None)
    config = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    (directory / "2_Normalize" / "config.json").write_text(json.dumps(config))
    encoder = load_encoder(str(directory))
    encoded = encoder.encode(TEXTS, "query").vectors
    np.testing.assert_allclose(encoded, library_vectors(directory, TEXTS, "query"), rtol=0, atol=1e-5)
    assert np.linalg.norm(encoded, axis=1).min() > 1.5


def splade(bare_model):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer

    bare = bare_model("BertConfig", auto="AutoModelForMaskedLM")
    return SparseEncoder(modules=[Transformer(bare, transformer_task="fill-mask"), SpladePooling("max")], device="cpu")


def inference_free(bare_model):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import Router, SparseStaticEmbedding, SpladePooling, Transformer

    transformer = Transformer(bare_model("BertConfig", auto="AutoModelForMaskedLM"), transformer_task="fill-mask")
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(tokenizer=transformer.tokenizer)],
        document_modules=[transformer, SpladePooling("max")],
    )
    return SparseEncoder(modules=[router], device="cpu")


def late_interaction(bare_model):
    from sentence_transformers import MultiVectorEncoder

    return MultiVectorEncoder(bare_model("BertConfig"), device="cpu")


def cross_encoder(bare_model):
    from sentence_transformers import CrossEncoder

    return CrossEncoder(bare_model("BertConfig", auto="AutoModelForSequenceClassification", num_labels=1), device="cpu")


KINDS = {
    splade: "holds a sparse encoder",
    inference_free: "holds a sparse encoder",
    late_interaction: "holds a late-interaction model",
    cross_encoder: "holds a cross-encoder",
}


@pytest.mark.parametrize("make", KINDS)
def test_other_kinds_of_models_are_refused_with_their_kind_and_advice(bare_model, saved, make):
    directory = saved(make(bare_model))
    for weights in directory.rglob("*.safetensors"):
        weights.unlink()  # so the reason cannot come from them
    advice = "wants one dense vector a text: name a dense sentence-transformers model"
    assert_unusable(directory, f"{directory} {KINDS[make]}.*{advice}")


@pytest.mark.parametrize("make", [make for make in KINDS if make is not cross_encoder])
def test_the_modules_tell_where_the_model_type_does_not(bare_model, saved, change, make):
    directory = saved(make(bare_model))
    change(directory / "config_sentence_transformers.json", model_type="SentenceTransformer")
    assert_unusable(directory, f"{KINDS[make]}.*it has the module")


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("SparseEncoder", "holds a sparse encoder.*model_type is 'SparseEncoder'"),
        ("ColBERT", "holds a late-interaction model.*model_type is 'ColBERT'"),
        ("CrossEncoder", "holds a cross-encoder"),
        ("Reranker", "model_type is 'Reranker', wanted SentenceTransformer"),
        (None, "model_type is None, wanted SentenceTransformer"),
        (["SparseEncoder"], r"model_type is \['SparseEncoder'\], wanted"),
    ],
)
def test_the_model_type_counts_where_the_core_would_take_the_modules(random_model, change, model_type, reason):
    directory = random_model("BertConfig")
    assert load_encoder(str(directory)).runs_on == "attention/transformer"
    change(directory / "config_sentence_transformers.json", model_type=model_type)
    assert_unusable(directory, reason)


def test_modules_of_pylate_are_known_by_their_name(random_model):
    directory = random_model("BertConfig")
    listed = json.loads((directory / "modules.json").read_bytes())
    listed[1]["type"] = "pylate.models.Dense.Dense"
    (directory / "modules.json").write_text(json.dumps(listed))
    assert_unusable(directory, r"late-interaction model.*it has the module Dense")


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("BertForSequenceClassification", "holds a cross-encoder.*BertForSequenceClassification"),
        ("HF_ColBERT", "holds a late-interaction model"),
        ("BertModel", r"no modules\.json"),
    ],
)
def test_a_folder_without_modules_says_it_by_its_architecture(tmp_path, architecture, reason):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    assert_unusable(tmp_path, reason)


def test_nothing_heavy_is_imported_to_refuse(bare_model, saved):
    directory = saved(splade(bare_model))
    script = f"""
import sys
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.registry import load_encoder
try:
    load_encoder({str(directory)!r})
except ModelUnusable as error:
    print(error, "sentence_transformers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "holds a sparse encoder" in done.stdout
    assert done.stdout.endswith("False\n")
    assert done.stderr == ""


def test_modules_that_end_in_no_vector_are_refused(bare_model, saved):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    directory = saved(SentenceTransformer(modules=[Transformer(bare_model("BertConfig"))], device="cpu"))
    assert_unusable(directory, r"fails on a query .* and end in a module that gives 32 numbers")
