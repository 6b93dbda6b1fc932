"""Static models, which average the vectors of a text's tokens, as model2vec makes them.

Vectors are compared with those that sentence-transformers computes in float64, for it adds vectors in the precision of
its weights: in float32, a sum of 700 equal ones is off by 1e-5.
"""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from softkv_service.encoding.registry import load_encoder
from softkv_service.encoding.texts import PURPOSES
from tests.checkpoints import VOCABULARY, WIDTH, assert_unusable, library_vectors

TEXTS = ["a red house", "", "word " * 700, "猫 and dogs", "a red house"]
PROMPTS = {"query": "search for: ", "document": ""}


@pytest.fixture
def static(static_model):
    """Makes a random static model with prompts."""
    return partial(static_model, prompts=PROMPTS)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("truncation", [None, {"max_length": 9}, {"max_length": 9, "direction": "left"}])
def test_vectors_are_those_of_sentence_transformers(static, truncation, normalise):
    directory = static(truncation=truncation, normalise=normalise)
    encoder = load_encoder(str(directory))
    assert (encoder.runs_on, encoder.dimension) == ("NumPy", WIDTH)
    assert encoder.max_tokens == (truncation["max_length"] if truncation else None)
    for purpose in PURPOSES:
        expected = library_vectors(directory, TEXTS, purpose, precision="float64")
        vectors = encoder.encode(TEXTS, purpose).vectors
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)
        alone = [encoder.encode([text], purpose).vectors[0] for text in TEXTS]
        np.testing.assert_array_equal(vectors, alone)


def stored(directory, **tensors):
    """Write the weights as model2vec does, and list the module at the folder itself, under its older name."""
    from safetensors.numpy import save_file

    for name in ("tokenizer.json", "model.safetensors"):
        (file,) = directory.rglob(name)
        file.rename(directory / name)
    save_file(tensors, directory / "model.safetensors")
    list_modules(directory, {"StaticEmbedding": ".", "Normalize": "1_Normalize"})


def list_modules(directory, kinds):
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for kind, path in kinds.items()]
    listed = [{"idx": i, "name": str(i)} | module for i, module in enumerate(modules)]
    (directory / "modules.json").write_text(json.dumps(listed))


def test_the_files_of_model2vec_are_read(static, change):
    """Its newer models share rows between tokens, weight them, and store rows as whole numbers."""
    random = np.random.default_rng(8)
    rows = random.standard_normal((1000, WIDTH)).astype(np.float32)
    mapping, weights = random.integers(0, 1000, VOCABULARY), random.random(VOCABULARY)
    stores = [
        {"embeddings": random.standard_normal((VOCABULARY, WIDTH)).astype(np.float32)},
        {"embeddings": rows, "mapping": mapping},
        {"embeddings": rows.astype(np.float16), "mapping": mapping, "weights": weights},
        {"embeddings": (40 * rows).astype(np.int8), "mapping": mapping, "weights": weights},
    ]
    directory = static()
    change(directory / "config_sentence_transformers.json", truncate_dim=7)
    for tensors in stores:
        stored(directory, **tensors)
        expected = library_vectors(directory, TEXTS, precision="float64")
        encoder = load_encoder(str(directory))
        assert (encoder.runs_on, encoder.dimension) == ("NumPy", 7)
        # The library rounds weighted rows of float16 to float16 again.
        tolerance = 1e-3 if tensors["embeddings"].dtype == np.float16 else 1e-6
        np.testing.assert_allclose(encoder.encode(TEXTS, "document").vectors, expected, rtol=0, atol=tolerance)


def test_vectors_stored_in_bfloat16_are_widened(static):
    import torch
    from safetensors.torch import load_file, save_file

    directory = static()
    (file,) = directory.rglob("model.safetensors")
    save_file({name: tensor.to(torch.bfloat16) for name, tensor in load_file(file).items()}, file)
    encoder = load_encoder(str(directory))
    assert encoder.runs_on == "NumPy"
    vectors = encoder.encode(TEXTS, "document").vectors
    np.testing.assert_allclose(vectors, library_vectors(directory, TEXTS), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"rows": np.zeros((2, 3))}, "must have embeddings of shape"),
        ({"embeddings": np.zeros((2, 3))}, "a vector for each token up to 30521, got 2"),
        ({"embeddings": np.zeros((2, 3)), "mapping": np.full(VOCABULARY, 2)}, "a row from 0 to 1 for each token"),
        ({"embeddings": np.zeros((VOCABULARY, 3)), "weights": np.zeros(2)}, "the tensor weights must have shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused(static, tensors, message):
    directory = static()
    stored(directory, **tensors)
    assert_unusable(directory, message)


def test_a_static_model_with_further_layers_runs_in_the_library(static):
    directory = static(dense=True)
    encoder = load_encoder(str(directory))
    assert encoder.runs_on == "sentence-transformers"
    encoded = encoder.encode(TEXTS, "document")
    np.testing.assert_allclose(encoded.vectors, library_vectors(directory, TEXTS), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(encoded.token_counts, [3, 0, 700, 3, 3])


def test_tokens_are_counted_without_special_ones(static):
    for max_tokens, truncation in ((None, None), (9, {"max_length": 9})):
        encoded = load_encoder(str(static(truncation=truncation))).encode(TEXTS, "document")
        np.testing.assert_array_equal(encoded.token_counts, [3, 0, 700, 3, 3])
        np.testing.assert_array_equal(encoded.truncated, [False, False, max_tokens is not None, False, False])
        np.testing.assert_array_equal(encoded.unknown_tokens, [0, 0, 0, 1, 0])


def test_the_parts_that_take_tokens_take_them(static):
    encoder = load_encoder(str(static()))
    (tokens,) = encoder.tokens(["a red house"], "query")
    assert [token.text for token in tokens] == ["search", "for", ":", "a", "red", "house"]
    ids = encoder.network.tokenizer.read(["a red house"]).ids[0].tolist()
    assert encoder.decode(ids) == "a red house"


def test_a_text_without_tokens_is_a_zero_vector(static):
    encoder = load_encoder(str(static()))
    for purpose in PURPOSES:
        assert np.abs(encoder.encode(["a"], purpose).vectors).max() > 0
    assert np.abs(encoder.encode(["", " \n"], "document").vectors).max() == 0
    assert np.isfinite([encoder.background.mean, encoder.background.deviation]).all()


def test_a_lower_precision_is_refused(static):
    assert_unusable(static(), "say PRECISION=float32", precision="bfloat16")


def test_a_text_of_many_tokens_is_added_up_in_parts(static):
    encoder = load_encoder(str(static()))
    long = "red house " * 3000
    np.testing.assert_allclose(*encoder.encode([long, "red house"], "document").vectors, rtol=0, atol=1e-6)


def test_a_tokeniser_of_another_make_is_named(static):
    directory = static()
    list_modules(directory, {"BoW": "0_BoW"})
    (directory / "0_BoW").mkdir()
    (directory / "0_BoW" / "config.json").write_text(json.dumps({"vocab": ["a", "b"]}))
    assert_unusable(directory, "reads texts with WhitespaceTokenizer, wanted a tokeniser of the")
