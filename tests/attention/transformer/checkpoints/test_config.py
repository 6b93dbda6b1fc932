"""The modules of sentence-transformers that the core computes, and their options."""

from __future__ import annotations

import json

import pytest

from softkv_attention.transformer import UnsupportedModelError, load


def test_the_older_form_of_a_poolings_config(folder):
    path = folder / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"pooling_mode_cls_token": False, "pooling_mode_max_tokens": True}))
    assert load(folder).model.poolings == ("max",)


@pytest.mark.parametrize(
    ("kinds", "got"),
    [
        (["Transformer"], "got Transformer"),
        (["Transformer", "Dense", "Pooling"], "got Transformer, Dense, Pooling"),
        ([], "got nothing"),
    ],
)
def test_other_modules_are_unsupported(folder, kinds, got):
    listed = [{"type": f"sentence_transformers.models.{kind}", "path": ""} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(UnsupportedModelError, match=got):
        load(folder)


def test_modules_of_another_package_are_unsupported(folder):
    listed = json.loads((folder / "modules.json").read_text())
    listed[1]["type"] = "custom_st.Pooling"
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(UnsupportedModelError, match=r"got Transformer, custom_st\.Pooling, Normalize"):
        load(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"transformer_task": "fill-mask"}, "transformer_task must be 'feature-extraction', got 'fill-mask'"),
        ({"module_output_name": "scores"}, "module_output_name must be 'token_embeddings'"),
        ({"query_expansion": {"strategy": "fixed"}}, "query_expansion must be None"),
        ({"modality_config": {"text": {"method": "get_text_features"}}}, "modality_config must be"),
        ({"modality_config": ["text"]}, "modality_config must be"),
        ({"tokenizer_args": {"model_max_length": 5}}, "tokenizer_args must be empty"),
        ({"model_kwargs": "none"}, "model_kwargs must be empty"),
    ],
)
def test_unsupported_options_of_the_transformer_are_refused(folder, change, fields, message):
    change(folder / "sentence_bert_config.json", model_args={"add_pooling_layer": False})
    assert load(folder).max_tokens == 17
    change(folder / "sentence_bert_config.json", **fields)
    with pytest.raises(UnsupportedModelError, match=message):
        load(folder)


@pytest.mark.parametrize("mode", ["mean_sqrt_len_tokens", ["mean", "mean_sqrt_len_tokens"], []])
def test_other_poolings_are_unsupported(folder, change, mode):
    change(folder / "1_Pooling" / "config.json", pooling_mode=mode)
    with pytest.raises(UnsupportedModelError, match="the pooling must be of cls, max, mean, weightedmean, lasttoken, "):
        load(folder)


def test_leaving_prompts_out_of_the_pooling_is_unsupported(folder, change):
    change(folder / "1_Pooling" / "config.json", include_prompt=False)
    with pytest.raises(UnsupportedModelError, match="include_prompt must be True"):
        load(folder)
