from __future__ import annotations

import numpy as np
import pytest

from softkv_service.encoding.errors import Untraceable
from softkv_service.encoding.registry import load_encoder
from softkv_service.encoding.tracing import read_pair, trace_layers, traceable
from tests.bfloat16 import needs_bfloat16


def test_only_models_on_the_core_can_be_traced(random_model):
    encoder = load_encoder(str(random_model("MegatronBertConfig")))
    with pytest.raises(Untraceable, match="runs on sentence-transformers"):
        traceable(encoder)


@pytest.mark.parametrize("config", ["XLMRobertaConfig", "DistilBertConfig"])
def test_models_without_two_types_take_pairs_too(random_model, config):
    names = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4} if config == "DistilBertConfig" else {}
    encoder = load_encoder(str(random_model(config, pad_token_id=0, type_vocab_size=2, **names)))
    read = read_pair(encoder, "a dog", "a cat")
    (layer,) = trace_layers(traceable(encoder), read, layers=[-1], heads=[1], causal=False)
    assert layer.weights.shape == (1, 7, 7)
    np.testing.assert_allclose(layer.weights.sum(axis=-1), 1, atol=1e-6)


@needs_bfloat16
def test_a_model_in_bfloat16_is_looked_into_in_float32(encoder):
    rough = load_encoder("all-MiniLM-L6-v2", precision="bfloat16")
    (traced,), (expected,) = (
        trace_layers(
            traceable(model_encoder), read_pair(model_encoder, "a dog", None), layers=[0], heads=None, causal=False
        )
        for model_encoder in (rough, encoder)
    )
    assert traced.value.dtype == np.float32
    np.testing.assert_array_equal(traced.weights, expected.weights)


def test_a_prompt_is_read_before_the_text_and_is_not_part_of_it(random_model):
    encoder = load_encoder(str(random_model("XLMRobertaConfig", pad_token_id=0, type_vocab_size=2)))
    encoder.network.prompts["query"] = "a question: "
    read = read_pair(encoder, "a dog", None, "query")
    assert read.ids == read_pair(encoder, "a question: a dog", None).ids
    assert read_pair(encoder, "a dog", None, "document").ids == read_pair(encoder, "a dog", None).ids
    of_text = [token for token in read.tokens if token.sequence is not None]
    assert [(token.text, token.start, token.end) for token in of_text] == [("a", 0, 1), ("dog", 2, 5)]
