"""Rotary positions as config.json declares them, against transformers; and the other forms of checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from softkv_attention.rotary import Rotary
from softkv_attention.transformer import CheckpointError, Config, Embeddings, Tensors, UnsupportedModelError, arrays
from softkv_attention.transformer.checkpoints.families import position_limit, reader_of
from softkv_attention.transformer.checkpoints.rope import rope_settings, rotary, scaling
from tests.parity.families import FAMILIES, SMALL, random_transformer

FORMS = {
    "linear": {"factor": 3.0},
    "dynamic": {"factor": 2.0},
    "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 64},
    "yarn with more": {"factor": 4.0, "beta_fast": 20, "beta_slow": 2, "mscale": 1.2, "mscale_all_dim": 0.7},
}


def config_of(form: str | None, **settings: object) -> transformers.LlamaConfig:
    stretched = {} if form is None else {"rope_type": form.split()[0]} | FORMS.get(form, {})
    return transformers.LlamaConfig(
        hidden_size=96,
        num_attention_heads=3,
        max_position_embeddings=256,
        rope_parameters={"rope_theta": 10_000.0} | stretched | settings,
    )


def rotation_of(fields: dict) -> Rotary:
    config = Config("config.json", fields)
    return rotary(config, scaling(config) or rope_settings(config), config.number("rope_theta", 10_000), 32)


@pytest.mark.parametrize("form", FORMS)
def test_stretched_positions_are_the_librarys(form):
    config = config_of(form)
    frequencies, factor = ROPE_INIT_FUNCTIONS[form.split()[0]](config, device="cpu")
    turn = rotation_of(config.to_dict())
    np.testing.assert_allclose(turn.frequencies, frequencies, rtol=5e-7)
    assert turn.scale == pytest.approx(factor)


@pytest.mark.parametrize("form", FORMS)
def test_the_older_form_of_the_settings_says_the_same(form):
    fields = config_of(form).to_dict()
    settings = fields.pop("rope_parameters")
    older = {"type": settings.pop("rope_type")} | {k: v for k, v in settings.items() if k != "rope_theta"}
    assert rotation_of(fields | {"rope_theta": 10_000.0, "rope_scaling": older}) == rotation_of(
        config_of(form).to_dict()
    )


def test_an_unknown_rotation_is_unsupported():
    with pytest.raises(UnsupportedModelError, match=r"rope_type must be default, .* got 'longrope'"):
        rotation_of({"rope_scaling": {"type": "longrope"}})
    with pytest.raises(CheckpointError, match="factor must be a number above 0"):
        rotation_of({"rope_scaling": {"type": "linear"}})


def test_dynamic_positions_must_not_be_stretched():
    config = Config("config.json", config_of("dynamic").to_dict())
    embeddings = Embeddings(np.zeros((3, 2)))
    assert position_limit(config, embeddings, None) == 256
    assert position_limit(config, embeddings, 200) is None
    with pytest.raises(UnsupportedModelError, match="got texts of 257 tokens for 256"):
        position_limit(config, embeddings, 257)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_a_logit_depends_on_the_distance_alone(interleaved, convert):
    random = np.random.default_rng(2)
    turn = Rotary.of(100, 6, interleaved=interleaved)
    query, key = (convert(np.repeat(random.standard_normal((1, 7)), 11, axis=0)) for _ in range(2))
    logits = np.asarray(turn(query) @ turn(key).T)
    for distance in range(-10, 11):
        diagonal = np.diagonal(logits, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(turn(query[3:], start=3)), np.asarray(turn(query))[3:])
    np.testing.assert_array_equal(np.asarray(turn(query))[:, 6], np.asarray(query)[:, 6])


def parameters(fields, named):
    config = Config("config.json", fields)
    return dict(arrays(reader_of(config)(config, Tensors("the model", named))))


def test_nomics_own_form_says_the_same():
    config = FAMILIES["nomic"].config(SMALL, 41)
    state = random_transformer(config).state_dict()
    own = {
        "model_type": "nomic_bert",
        "n_embd": SMALL.d_model,
        "n_inner": SMALL.d_ff,
        "n_head": SMALL.n_heads,
        "n_layer": SMALL.n_layers,
        "n_positions": SMALL.longest,
        "layer_norm_epsilon": config.layer_norm_eps,
        "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0,
        "activation_function": "swiglu",
        "qkv_proj_bias": False,
        "prenorm": False,
        "vocab_size": 41,
        "type_vocab_size": 2,
    }
    renamed = {}
    for name, tensor in state.items():
        for ours, theirs in {
            "layers.": "encoder.layers.",
            "embeddings.LayerNorm": "emb_ln",
            "self_attn.o_proj": "attn.out_proj",
            "up_proj": "fc11",
            "gate_proj": "fc12",
            "down_proj": "fc2",
            "post_attention_layernorm": "norm1",
            "post_mlp_layernorm": "norm2",
        }.items():
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    for i in range(SMALL.n_layers):
        parts = [renamed.pop(f"encoder.layers.{i}.self_attn.{part}_proj.weight") for part in "qkv"]
        renamed[f"encoder.layers.{i}.attn.Wqkv.weight"] = torch.cat(parts)
    expected, loaded = parameters(config.to_dict(), state), parameters(own, renamed)
    assert expected.keys() == loaded.keys()
    for name, array in expected.items():
        torch.testing.assert_close(loaded[name], array, rtol=0, atol=0)
    for name, value in {"rotary_scaling_factor": 2, "moe_every_n_layers": 2, "prenorm": True}.items():
        with pytest.raises(UnsupportedModelError, match=name):
            parameters(own | {name: value}, renamed)
