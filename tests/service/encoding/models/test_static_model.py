"""Static models, which average the vectors of a text's tokens, as model2vec makes them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from service.encoding.errors import ModelUnusable
from service.encoding.registry import default_checkpoint, load_encoder
from service.encoding.texts import PURPOSES

TEXTS = ["a red house", "", "word " * 700, "猫 and dogs", "a red house"]
WIDTH = 24


@pytest.fixture
def static(saved):
    """Makes a random static model; `truncation` is that of its tokenizer.json."""

    def make(*, truncation=None, normalise=True, weights=np.float32):
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

        tokenizer = Tokenizer.from_file(str(default_checkpoint() / "tokenizer.json"))
        tokenizer.no_truncation()
        if truncation:
            tokenizer.enable_truncation(**truncation)
        embedding = np.random.default_rng(7).standard_normal((tokenizer.get_vocab_size(), WIDTH)).astype(weights)
        modules = [
            StaticEmbedding(tokenizer, embedding_weights=torch.from_numpy(embedding)),
            *[Normalize()] * normalise,
        ]
        prompts = {"query": "search for: ", "document": ""}
        return saved(SentenceTransformer(modules=modules, prompts=prompts, device="cpu"))

    return make


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("truncation", [None, {"max_length": 9}, {"max_length": 9, "direction": "left"}])
def test_vectors_are_those_of_sentence_transformers(static, truncation, normalise):
    from sentence_transformers import SentenceTransformer

    directory = static(truncation=truncation, normalise=normalise)
    reference = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    encoder = load_encoder(str(directory))
    assert (encoder.runs_on, encoder.dimension) == ("sentence-transformers", WIDTH)
    assert encoder.max_tokens == (truncation["max_length"] if truncation else None)
    for purpose, encode in (("query", reference.encode_query), ("document", reference.encode_document)):
        expected = encode(TEXTS, show_progress_bar=False)
        np.testing.assert_allclose(encoder.encode(TEXTS, purpose).vectors, expected, rtol=0, atol=1e-5)


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


@pytest.mark.parametrize("weights", [np.float16, np.float32])
def test_the_precision_is_the_one_that_was_asked_for(static, weights):
    directory = static(weights=weights)
    exact, rough = (load_encoder(str(directory), precision=precision) for precision in ("float32", "bfloat16"))
    expected, encoded = (encoder.encode(TEXTS, "document").vectors for encoder in (exact, rough))
    assert 1e-5 < np.abs(encoded - expected).max() < 2e-2
    # In float32 the mean is taken in float32, whatever the weights were stored in.
    ids = exact.network.tokenizer.read(TEXTS[:1]).ids[0]
    embedding = np.random.default_rng(7).standard_normal((30_522, WIDTH)).astype(weights).astype(np.float64)
    mean = embedding[ids].mean(axis=0)
    np.testing.assert_allclose(expected[0], mean / np.linalg.norm(mean), rtol=0, atol=1e-6)


def test_a_tokeniser_of_another_make_is_named(static):
    directory = static()
    (directory / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "0_BoW", "type": "sentence_transformers.models.BoW"}])
    )
    (directory / "0_BoW").mkdir()
    (directory / "0_BoW" / "config.json").write_text(json.dumps({"vocab": ["a", "b"]}))
    with pytest.raises(ModelUnusable, match="reads texts with WhitespaceTokenizer, wanted a tokeniser of the"):
        load_encoder(str(directory))
