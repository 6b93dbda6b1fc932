"""Models whose vectors change with what else is in a batch: each text is encoded alone, and that is said."""

from __future__ import annotations

import numpy as np
import pytest

from service.encoding.registry import load_encoder
from service.encoding.texts import PURPOSES
from tests.checkpoints import library_vectors
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
        if precision == "float32":
            expected = library_vectors(left_padded, TEXTS, purpose)
            np.testing.assert_allclose(together, expected, rtol=0, atol=1e-5)
