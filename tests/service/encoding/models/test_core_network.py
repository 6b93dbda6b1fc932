"""The models that run on the core, and their results there."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.kernels.transformer import parameters
from softkv_attention.transformer import compiled
from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.registry import load_encoder
from tests.bfloat16 import needs_bfloat16
from tests.checkpoints import assert_unusable, library_vectors
from tests.thorough import thorough

TEXTS = ["Straße, a RED house", "", "word " * 300, "猫 😺"]


@needs_bfloat16
def test_bfloat16_is_near_and_not_the_same(encoder):
    rough = load_encoder("all-MiniLM-L6-v2", precision="bfloat16")
    assert (rough.precision, rough.runs_on) == ("bfloat16", "attention/transformer")
    encoded, expected = rough.encode(TEXTS, "document").vectors, encoder.encode(TEXTS, "document").vectors
    assert encoded.dtype == np.float32
    assert 1e-4 < np.abs(encoded - expected).max() < 2e-3
    assert np.sum(encoded * expected, axis=1).min() >= 0.99995


def test_int16_is_nearly_float32(encoder):
    near = load_encoder("all-MiniLM-L6-v2", precision="int16")
    assert (near.precision, near.runs_on, near.checksum) == ("int16", "attention/transformer", encoder.checksum)
    assert near.memory_bytes < encoder.memory_bytes - 20e6
    texts = [*TEXTS, *(topic.text for topic in TOPICS)]
    encoded, expected = near.encode(texts, "document").vectors, encoder.encode(texts, "document").vectors
    cosines = np.sum(encoded.astype(np.float64) * expected, axis=1)
    assert cosines.mean() > 1 - 1e-6
    assert 1 - 1e-5 < cosines.min() < 1 - 1e-9
    assert np.abs(encoded @ encoded.T - expected @ expected.T).max() < 1e-3


@pytest.mark.parametrize(("spread", "precision"), [(1, "int16"), (1e4, "float32")])
def test_int16_is_for_models_whose_numbers_it_keeps(random_model, spread, precision, monkeypatch):
    """One number of each group dwarfs the others, so that integers lose these."""
    columns = parameters.round_columns

    def spread_columns(matrix, across):
        changed = matrix.copy()
        changed[::128] *= spread
        return columns(changed, across)

    monkeypatch.setattr(parameters, "round_columns", spread_columns)
    assert load_encoder(str(random_model("BertConfig")), precision="int16").precision == precision


def test_other_computations_than_the_kernels_are_float32_in_place_of_int16(random_model):
    directory = random_model("Qwen3Config", num_key_value_heads=2, head_dim=8)
    assert load_encoder(str(directory), precision="int16").precision == "float32"


def test_bfloat16_is_refused_with_advice_on_processors_without_amx(monkeypatch):
    monkeypatch.setattr(compiled, "multiplies_bfloat16", lambda: False)
    message = r"AMX, which this one lacks: say PRECISION=int16 or float32"
    assert_unusable("all-MiniLM-L6-v2", message, precision="bfloat16")


def test_bfloat16_without_the_kernels_is_refused_with_advice(random_model):
    message = r"bfloat16 was asked for, .* float32 alone.* PRECISION=float32"
    assert_unusable(random_model("Qwen3Config", num_key_value_heads=2, head_dim=8), message, precision="bfloat16")


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("sentence_bert_config.json", {"do_lower_case": True}),
        thorough("1_Pooling/config.json", {"pooling_mode": "mean_sqrt_len_tokens"}),
    ],
)
def test_a_model_that_the_core_would_read_differently_is_left_to_the_library(random_model, change, file, fields):
    directory = random_model("BertConfig")
    assert load_encoder(str(directory)).runs_on == "attention/transformer"
    change(directory / file, **fields)
    loaded = load_encoder(str(directory))
    assert loaded.runs_on == "sentence-transformers with attention"
    encoded = loaded.encode(TEXTS, "document").vectors
    np.testing.assert_allclose(encoded, library_vectors(directory, TEXTS), rtol=0, atol=1e-5)


def test_another_limit_is_kept(model_copy, encoder, change):
    change(model_copy / "sentence_bert_config.json", max_seq_length=5)
    loaded = load_encoder(str(model_copy))
    assert (loaded.max_tokens, loaded.runs_on) == (5, "attention/transformer")
    encoded = loaded.encode(["one two three four five six"], "document")
    np.testing.assert_allclose(encoded.vectors, encoder.encode(["one two three"], "document").vectors, atol=1e-6)
    assert (encoded.token_counts[0], encoded.truncated[0]) == (8, True)


@pytest.mark.parametrize("content", ["{}", '{"model": {}}', "no JSON", "[]"])
def test_a_damaged_tokenizer_is_named(model_copy, content):
    (model_copy / "tokenizer.json").unlink()
    (model_copy / "tokenizer.json").write_text(content)
    assert_unusable(model_copy, r"tokenizer\.json")


def test_a_missing_tensor_is_named(model_copy):
    import safetensors.torch

    weights = model_copy / "model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    del tensors["encoder.layer.3.attention.self.query.weight"]
    weights.unlink()
    safetensors.torch.save_file(tensors, weights)
    assert_unusable(model_copy, r"encoder\.layer\.3\.attention\.self\.query\.weight")
