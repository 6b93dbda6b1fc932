"""A folder as sentence-transformers writes it, whole and in every way damaged."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from softkv_attention.transformer import (
    CheckpointError,
    Compiled,
    StoredRows,
    UnsupportedModelError,
    arrays,
    load,
    map_arrays,
)
from tests.checkpoints import save_transformer


def test_prompts(folder, change):
    checkpoint = load(folder)
    assert checkpoint.prompt("query") == "the "
    change(folder / "config_sentence_transformers.json", prompts={"passage": "dog "}, default_prompt_name="passage")
    checkpoint = load(folder)
    assert checkpoint.prompt("document") == "dog "
    assert checkpoint.prompt("query") == ""
    assert checkpoint.default_prompt == "passage"


def test_a_bare_transformer_has_the_mean_of_its_tokens(folder):
    (folder / "modules.json").unlink()
    model = load(folder).model
    assert model.poolings == ("mean",)
    assert not model.unit_length


def test_the_checksum_is_kept(folder):
    right = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert load(folder, sha256=right.upper()).max_tokens == 17
    with pytest.raises(CheckpointError, match=f"must have the sha256 {'0' * 64}, got {right}"):
        load(folder, sha256="0" * 64)


def test_parameters_are_float32_of_numpy_and_torch_is_left_out(folder):
    model = load(folder).model
    assert {(type(array), array.dtype) for _, array in arrays(model)} == {(np.ndarray, np.dtype("float32"))}
    script = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from softkv_attention.transformer import load, trace\n"
        f"model = load(Path({str(folder)!r})).model; trace(model, np.array([2, 4, 3])); print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = run.stdout.split()
    assert "softkv_attention.transformer.sentence" in loaded
    assert not {"torch", "transformers"} & set(loaded)


@pytest.mark.parametrize(
    "name",
    [
        "embeddings.word_embeddings.weight",
        "embeddings.LayerNorm.bias",
        "encoder.layer.0.attention.self.query.weight",
        "encoder.layer.1.attention.output.LayerNorm.weight",
        "encoder.layer.1.output.dense.bias",
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(folder, name):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    shape = tuple(tensors[name].shape)
    save_file({other: tensor for other, tensor in tensors.items() if other != name}, path)
    with pytest.raises(CheckpointError, match=f"model.safetensors lacks the tensor {name} of shape") as missing:
        load(folder)
    assert str(list(shape)) in str(missing.value)

    save_file(tensors | {name: torch.zeros(shape[0] + 1, *shape[1:])}, path)
    with pytest.raises(CheckpointError, match=f"the tensor {name} must have shape") as misshapen:
        load(folder)
    assert f"got {[shape[0] + 1, *shape[1:]]}" in str(misshapen.value)


def test_a_quantised_tensor_is_refused(folder):
    path, name = folder / "model.safetensors", "encoder.layer.0.intermediate.dense.weight"
    tensors = load_file(path)
    save_file(tensors | {name: tensors[name].to(torch.int8)}, path)
    with pytest.raises(UnsupportedModelError, match=f"{name} must be of a floating type, got int8"):
        load(folder)


def test_a_type_that_numpy_has_not_is_refused(folder):
    path, name = folder / "model.safetensors", "encoder.layer.0.intermediate.dense.weight"
    tensors = load_file(path)
    save_file(tensors | {name: tensors[name].to(torch.float8_e4m3fn)}, path)
    with pytest.raises(UnsupportedModelError, match=rf"must be of BF16, .* got {name} of F8_E4M3: save the model"):
        load(folder)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_type_are_converted_and_none_is_changed(folder, stored):
    path, name = folder / "model.safetensors", "embeddings.word_embeddings.weight"
    extremes = torch.tensor([0.0, -0.0, 1.0, -1e-7, 6e4, 1 / 3, float("inf"), -float("inf"), float("nan")])
    tensors = {name: tensor.to(stored) for name, tensor in load_file(path).items()}
    tensors[name].view(-1)[: len(extremes)] = extremes.to(stored)
    save_file(tensors, path)
    table = load(folder).model.embeddings.tokens
    assert isinstance(table, StoredRows) == (stored is not torch.float64)
    loaded = table[:]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, tensors[name].float().numpy())
    np.testing.assert_array_equal(np.signbit(loaded), torch.signbit(tensors[name]).numpy())


@pytest.mark.parametrize("kind", ["q4_0", "q8_0"])
def test_blocks_of_a_quantised_table_are_widened_row_by_row(tmp_path, change, kind):
    save_transformer(folder := tmp_path, "BertConfig", hidden_size=64)
    path, name = folder / "model.safetensors", "embeddings.word_embeddings.weight"
    tensors, random = load_file(path), np.random.default_rng(4)
    rows, width = tensors[name].shape
    scales = random.random((rows, width // 32)).astype(np.float16)
    low, high = (-8, 8) if kind == "q4_0" else (-128, 128)
    numbers = random.integers(low, high, (rows, width // 32, 32))
    if kind == "q4_0":
        packed = (numbers[..., :16] + 8 | (numbers[..., 16:] + 8) << 4).astype(np.uint8)
    else:
        packed = numbers.astype(np.int8).view(np.uint8)
    blocks = np.concatenate([scales[..., None].view(np.uint8), packed], axis=-1).reshape(rows, -1)
    expected = (numbers * scales[..., None].astype(np.float32)).reshape(rows, width).astype(np.float32)
    save_file(tensors | {name: torch.from_numpy(blocks)}, path)
    change(folder / "config.json", quantization_config={"quant_method": kind})
    model = load(folder).model
    assert model.embeddings.tokens.stored.nbytes == blocks.nbytes
    ids = np.array([[3, 0, rows - 1]])
    for read in (model, map_arrays(torch.from_numpy, model)):
        np.testing.assert_array_equal(np.asarray(read.embeddings.tokens[torch.tensor(ids)]), expected[ids])
    widened = replace(model, embeddings=replace(model.embeddings, tokens=expected))
    for narrow, wide in ((model, widened), (Compiled(model), Compiled(widened))):
        tokens = ids if narrow is model else ids[0]
        np.testing.assert_array_equal(narrow(tokens, np.array([3])), wide(tokens, np.array([3])))
    save_file(tensors | {name: torch.from_numpy(blocks[:, :-1].copy())}, path)
    with pytest.raises(CheckpointError, match="must be of blocks of"):
        load(folder)
    change(folder / "config.json", quantization_config={"quant_method": "gptq"})
    with pytest.raises(UnsupportedModelError, match="quant_method must be one of q4_0, q8_0, got 'gptq'"):
        load(folder)


def test_names_of_2018_are_understood(folder):
    path = folder / "model.safetensors"
    expected = load(folder).model.embeddings.norm
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, tensor in load_file(path).items():
        for new, old in older.items():
            name = name.replace(new, old)
        renamed["bert." + name] = tensor
    save_file(renamed, path)
    actual = load(folder).model.embeddings.norm
    np.testing.assert_array_equal(actual.scale, expected.scale)
    np.testing.assert_array_equal(actual.shift, expected.shift)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model_type": "t5"}, UnsupportedModelError, "model_type must be one of bert, .* got 't5'"),
        ({"model_type": None}, UnsupportedModelError, "got None"),
        ({"hidden_act": "quick_gelu"}, UnsupportedModelError, "hidden_act must be one of .* got 'quick_gelu'"),
        (
            {"position_embedding_type": "relative_key"},
            UnsupportedModelError,
            "position_embedding_type must be 'absolute', got 'relative_key'",
        ),
        ({"is_decoder": True}, UnsupportedModelError, "is_decoder must be False, got True"),
        ({"hidden_size": "15"}, CheckpointError, "hidden_size must be a whole number from 1 on, got '15'"),
        ({"num_hidden_layers": "2"}, CheckpointError, "num_hidden_layers must be .* got '2'"),
        ({"num_attention_heads": 4}, CheckpointError, "num_attention_heads must divide the width 15, got 4"),
        ({"layer_norm_eps": 0}, CheckpointError, "layer_norm_eps must be a number above 0, got 0"),
        ({"num_hidden_layers": 3}, CheckpointError, "lacks the tensor encoder.layer.2."),
        ({"vocab_size": 11}, CheckpointError, r"word_embeddings.weight must have shape \[11, 15\], got \[10, 15\]"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder, change, fields, error, message):
    change(folder / "config.json", **fields)
    with pytest.raises(error, match=message) as refused:
        load(folder)
    assert type(refused.value) is error


def test_a_truncation_keeps_the_first_numbers(folder, change):
    whole = load(folder).model
    change(folder / "config_sentence_transformers.json", truncate_dim=7)
    model = load(folder).model
    assert (whole.dimension, model.dimension) == (30, 7)
    tokens, lengths = np.array([[2, 4, 5, 3]]), np.array([4])
    np.testing.assert_array_equal(model(tokens, lengths), whole(tokens, lengths)[:, :7])


@pytest.mark.parametrize("truncate_dim", [0, -1, "7", True, 7.5])
def test_a_truncation_must_be_a_width(folder, change, truncate_dim):
    change(folder / "config_sentence_transformers.json", truncate_dim=truncate_dim)
    with pytest.raises(CheckpointError, match="truncate_dim must be a whole number from 1 on"):
        load(folder)


def test_weights_in_another_form_are_unsupported_and_none_are_missing(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsupportedModelError, match=r"there is only pytorch_model\.bin"):
        load(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"must be in .*model\.safetensors, which cannot be read"):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "modules.json", "1_Pooling/config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"7", b'"text"'])
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        load(folder)


def test_damaged_weights_are_refused(folder):
    path = folder / "model.safetensors"
    for content in (b"", b"nonsense", path.read_bytes()[:-7]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"must be a safetensors file, got a damaged one"):
            load(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"modules\.json, which cannot be read"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompts": ["query: "]}, "prompts must be texts by name"),
        ({"prompts": {"query": 7}}, "prompts must be texts by name"),
        ({"default_prompt_name": "title"}, "default_prompt_name must be one of .* got 'title'"),
    ],
)
def test_invalid_prompts_are_refused(folder, change, fields, message):
    change(folder / "config_sentence_transformers.json", **fields)
    with pytest.raises(CheckpointError, match=message):
        load(folder)
