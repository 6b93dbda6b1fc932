"""Models whose vectors change with what else is in a batch: each text is encoded alone, and that is said."""

from __future__ import annotations

import numpy as np
import pytest

from service.encoding.registry import load_encoder
from service.encoding.texts import PURPOSES
from tests.thorough import thorough

TEXTS = ["a red house", "", *("word " * n for n in (3, 17, 50, 80)), "猫 and dogs", "a red house"]
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 101, "eos_token_id": 102}


@pytest.fixture
def left_padded(bare_model, saved):
    """A model with learned positions that pads on the left, so that the padding moves them, as SGPT does."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    bare = bare_model("GPT2Config", padding_side="left", **GPT2)
    prompts = {"query": "search for: ", "document": ""}
    modules = [Transformer(bare, max_seq_length=64), Pooling(32, "lasttoken")]
    return saved(SentenceTransformer(modules=modules, prompts=prompts, device="cpu"))


@pytest.mark.parametrize("precision", ["float32", thorough("bfloat16")])
def test_a_text_has_one_vector_whatever_it_is_encoded_with(left_padded, precision):
    encoder = load_encoder(str(left_padded), precision=precision)
    assert not encoder.batched
    (note,) = encoder.notes
    assert "reads each text alone" in note
    for purpose in PURPOSES:
        together = encoder.encode(TEXTS, purpose).vectors
        alone = np.concatenate([encoder.encode([text], purpose).vectors for text in TEXTS])
        np.testing.assert_array_equal(together, alone)
        np.testing.assert_array_equal(together[0], together[-1])


@pytest.mark.thorough
def test_the_vectors_are_the_librarys_own_of_each_text(left_padded):
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(left_padded), device="cpu", local_files_only=True)
    encoder = load_encoder(str(left_padded))
    for purpose, encode in (("query", reference.encode_query), ("document", reference.encode_document)):
        expected = np.stack([encode(text, show_progress_bar=False) for text in TEXTS])
        np.testing.assert_allclose(encoder.encode(TEXTS, purpose).vectors, expected, rtol=0, atol=1e-5)
        # In one batch the library itself moves them: that is the fault which is kept out.
        assert np.abs(encode(TEXTS, show_progress_bar=False) - expected).max() > 0.1


@pytest.mark.parametrize("precision", ["float32", thorough("bfloat16")])
@pytest.mark.parametrize(
    ("config", "options"),
    [
        thorough("GPT2Config", GPT2),
        thorough("Qwen3Config", {"num_key_value_heads": 2, "head_dim": 32}),
        thorough("ModernBertConfig", {"local_attention": 8, "pad_token_id": 0}),
        thorough("MPNetConfig", {}),
        ("BertConfig", {"num_attention_heads": 1}),
    ],
)
def test_other_models_run_in_batches_without_notes(random_model, config, options, precision):
    encoder = load_encoder(str(random_model(config, **options)), precision=precision)
    assert encoder.batched
    assert encoder.notes == []
    together = encoder.encode(TEXTS, "document").vectors
    alone = np.concatenate([encoder.encode([text], "document").vectors for text in TEXTS])
    moved = np.linalg.norm(together - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert moved.max() <= {"float32": 1e-5, "bfloat16": 2**-8}[precision]
