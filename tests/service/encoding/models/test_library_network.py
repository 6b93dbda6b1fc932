"""Models that the core does not compute, small and random, through sentence-transformers."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from softkv_service.encoding.registry import load_encoder
from softkv_service.encoding.texts import PURPOSES
from tests.checkpoints import assert_unusable, library_vectors
from tests.thorough import thorough

TEXTS = ["a red house", "", *("word " * n for n in (3, 17, 50, 80)), "猫 and dogs"]
MODELS = {
    "causal with shared keys": ("GraniteConfig", {"num_key_value_heads": 2}, True),
    "sliding windows": ("Starcoder2Config", {"num_key_value_heads": 2, "sliding_window": 8}, True),
    "capped logits": ("Gemma2Config", {"num_key_value_heads": 2, "head_dim": 8}, False),
    "attention of its own": ("MegatronBertConfig", {}, False),
}


@pytest.fixture(scope="module", params=[next(iter(MODELS)), *map(thorough, list(MODELS)[1:])])
def model(request, random_model):
    config, options, allows_attention = MODELS[request.param]
    return random_model(config, **options), allows_attention


def test_vectors_are_the_librarys_on_the_cores_attention_where_that_can_be(model):
    directory, allows_attention = model
    encoder = load_encoder(str(directory))
    assert encoder.runs_on == "sentence-transformers" + " with attention" * allows_attention
    encoded = encoder.encode(TEXTS, "document")
    np.testing.assert_allclose(encoded.vectors, library_vectors(directory, TEXTS), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(encoded.token_counts, [5, 2, 5, 19, 52, 82, 5])
    np.testing.assert_array_equal(encoded.truncated, [False] * 5 + [True, False])
    np.testing.assert_array_equal(encoded.unknown_tokens, [0] * 6 + [1])


@pytest.mark.thorough
def test_a_lower_precision_is_the_librarys_too(random_model):
    directory = random_model("GraniteConfig", num_key_value_heads=2)
    exact, rough = (load_encoder(str(directory), precision=precision) for precision in ("float32", "bfloat16"))
    assert rough.precision == "bfloat16"
    expected, encoded = (encoder.encode(TEXTS, "query").vectors for encoder in (exact, rough))
    assert encoded.dtype == np.float32
    difference = np.abs(encoded - expected).max() / np.abs(expected).max()
    assert 1e-5 < difference < 0.1


@pytest.mark.thorough
def test_a_model_that_cannot_change_its_attention_loads_silently(random_model):
    directory = random_model("MegatronBertConfig")
    script = f"from softkv_service.encoding.registry import load_encoder; load_encoder({str(directory)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_a_model_whose_files_lack_weights_is_refused(random_model):
    """transformers would draw them at random, and the vectors would be others after each start."""
    directory = random_model("ElectraConfig")
    tensors = load_file(directory / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    assert_unusable(directory, r"lacks weights .* the first is encoder\.layer\.1\.output\.dense\.weight")


def routed(query, document):
    """A model that reads questions with one transformer and documents with another."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Router

    router = Router.for_query_document(query_modules=[query], document_modules=[document])
    return SentenceTransformer(modules=[router, Pooling(32)], device="cpu")


def test_a_question_and_a_document_may_have_a_transformer_each(bare_model, saved):
    from sentence_transformers.sentence_transformer.modules import Transformer

    transformers = (
        Transformer(bare_model(config, **options), max_seq_length=64)
        for config, options in (("ElectraConfig", {}), ("GraniteConfig", {"num_key_value_heads": 2}))
    )
    directory = saved(routed(*transformers))
    encoder = load_encoder(str(directory))
    for purpose in PURPOSES:
        expected = library_vectors(directory, TEXTS, purpose)
        np.testing.assert_allclose(encoder.encode(TEXTS, purpose).vectors, expected, rtol=0, atol=1e-5)


def test_a_question_and_a_document_that_are_not_cut_alike_are_refused(bare_model, saved):
    from sentence_transformers.sentence_transformer.modules import Transformer

    bare = bare_model("BertConfig")
    directory = saved(routed(Transformer(bare, max_seq_length=16), Transformer(bare, max_seq_length=64)))
    assert_unusable(directory, "unlike tokenisers or limits")


def test_modules_in_another_order_are_refused_with_their_file(random_model):
    file = random_model("GraniteConfig", num_key_value_heads=2) / "modules.json"
    transformer, *others = json.loads(file.read_text())
    file.write_text(json.dumps([*others, transformer]))
    assert_unusable(file.parent, r"modules\.json must begin with a module that reads texts, got Pooling")
