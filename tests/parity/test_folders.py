"""Folders that are unlike those that sentence-transformers saves today, against its vectors.

They have files of older versions, lack fields, or give a setting twice; the texts name special tokens.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers

from softkv_attention.transformer.checkpoints.families import DEFAULTS
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.registry import load_encoder, load_reranker
from tests.checkpoints import assert_unusable, save_cross_encoder
from tests.parity.families import WIDE, save
from tests.thorough import thorough

TOLERANCE = 1e-5
TEXTS = ["the dog", "  two  spaces ", "a <pad> x [PAD] y", "Ärger 猫", "a [SEP] b </s> c <unk>", "tree " * 90 + "stone"]
CONFIG, SETTINGS, TOKENIZER = "config.json", "sentence_bert_config.json", "tokenizer_config.json"
MISSING = object()


def edit(folder, file, fields):
    """Change fields of a file; the file appears if there was none, and a field may go."""
    path = folder / file
    content = (json.loads(path.read_text()) if path.exists() else {}) | fields
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not MISSING}))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Makes a sentence encoder of a family, once."""
    saved = {}

    def make(family):
        if family not in saved:
            saved[family] = save(family, tmp_path_factory.mktemp(family), WIDE)
        return saved[family]

    return make


def assert_same_vectors(folder):
    """Assert that both compute the same vectors of texts, each alone, and return softkv's encoder."""
    from sentence_transformers import SentenceTransformer  # takes seconds to import

    options = {"device": "cpu", "local_files_only": True, "model_kwargs": {"dtype": torch.float32}}
    reference, encoder = SentenceTransformer(str(folder), **options).float(), load_encoder(str(folder))
    assert encoder.max_tokens in (reference.max_seq_length, None)
    for purpose, encode in (("query", reference.encode_query), ("document", reference.encode_document)):
        expected = np.stack([encode(text, show_progress_bar=False) for text in TEXTS])
        np.testing.assert_allclose(encoder.encode(TEXTS, purpose).vectors, expected, rtol=0, atol=TOLERANCE)
    return encoder


WITHOUT_LIMIT = {"max_seq_length": MISSING}
ALTERNATING = ["sliding_attention", "full_attention"] * 2
PROMPTS = "config_sentence_transformers.json"
LEFT = {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}


@pytest.mark.parametrize(
    ("family", "edits"),
    [
        ("bert", {SETTINGS: WITHOUT_LIMIT, "sentence_roberta_config.json": {"max_seq_length": 12}}),
        ("bert", {SETTINGS: WITHOUT_LIMIT, TOKENIZER: {"model_max_length": MISSING, "max_len": 12}}),
        thorough("bert", {SETTINGS: WITHOUT_LIMIT, TOKENIZER: {"model_max_length": None, "max_len": 12}}),
        thorough("bert", {TOKENIZER: {"truncation_side": "left"}}),
        ("bert", {"tokenizer.json": {"truncation": LEFT}}),
        ("bert", {TOKENIZER: {"split_special_tokens": True}}),
        ("bert", {TOKENIZER: {"tokenizer_class": "BertTokenizer"}, "tokenizer.json": {"normalizer": None}}),
        ("bert", {CONFIG: {"type_vocab_size": MISSING, "hidden_act": MISSING, "pad_token_id": None}}),
        ("bert", {PROMPTS: {"prompts": {"query": None}}}),
        thorough("bert", {PROMPTS: {"prompts": {}, "default_prompt_name": "query"}}),
        ("xlm-roberta", {CONFIG: {"pad_token_id": 0}}),
        ("xlm-roberta", {CONFIG: {"pad_token_id": MISSING}, TOKENIZER: {"tokenizer_class": "XLMRobertaTokenizer"}}),
        thorough("mpnet", {CONFIG: {"pad_token_id": 5}}),
        ("llama", {CONFIG: {"sliding_window": 4, "use_sliding_window": True}}),
        ("mistral", {CONFIG: {"layer_types": ALTERNATING}}),
        ("mistral", {CONFIG: {"sliding_window": MISSING}}),
        thorough("qwen2", {CONFIG: {"use_sliding_window": True, "sliding_window": 4, "layer_types": MISSING}}),
    ],
)
def test_the_core_reads_a_folder_as_the_library_does(original, tmp_path, family, edits):
    folder = tmp_path / "model"
    shutil.copytree(original(family), folder)
    for file, fields in edits.items():
        edit(folder, file, fields)
    assert assert_same_vectors(folder).kind == "core"


@pytest.mark.parametrize(
    ("family", "edits"),
    [
        ("xlm-roberta", {"sentence_camembert_config.json": {"do_lower_case": True}, SETTINGS: "remove"}),
        thorough("mistral", {CONFIG: {"layer_types": None}}),
        thorough("qwen2", {"1_Pooling/config.json": {"pooling_mode": "mean_sqrt_len_tokens"}}),
    ],
)
def test_the_library_computes_folders_that_the_core_cannot_read(original, tmp_path, family, edits):
    folder = tmp_path / "model"
    shutil.copytree(original(family), folder)
    for file, fields in edits.items():
        if fields == "remove":
            (folder / file).unlink()
        else:
            edit(folder, file, fields)
    assert assert_same_vectors(folder).kind == "library"


def test_a_text_without_tokens_has_a_vector_of_zeros_in_the_library_too(original, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(original("qwen2"), folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text()) | {"post_processor": None}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    edit(folder, PROMPTS, {"prompts": {}})
    core = load_encoder(str(folder))
    edit(folder, "1_Pooling/config.json", {"pooling_mode": "mean_sqrt_len_tokens"})
    library = load_encoder(str(folder))
    assert (core.kind, library.kind) == ("core", "library")
    for encoder in (core, library):
        vectors = encoder.encode(["the dog", "", "a"], "query").vectors
        np.testing.assert_array_equal(np.linalg.norm(vectors, axis=1).round(5), [1, 0, 1])
        np.testing.assert_array_equal(encoder.encode([""], "document").vectors, np.zeros((1, encoder.dimension)))
        np.testing.assert_array_equal(encoder.encode(["", ""], "document").vectors, np.zeros((2, encoder.dimension)))


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("adapter_config.json", {"peft_type": "LORA", "base_model_name_or_path": "base"}, "peft"),
        (CONFIG, {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "bitsandbytes"),
    ],
)
def test_an_adapter_or_a_quantisation_is_left_to_the_library(original, tmp_path, file, fields, message):
    folder = tmp_path / "model"
    shutil.copytree(original("bert"), folder)
    edit(folder, file, fields)
    with pytest.raises(ModelUnusable, match=message):  # the library needs a package that is not installed
        load_encoder(str(folder))


def test_an_adapter_as_sentence_transformers_5_saves_it_is_left_to_the_library(original, tmp_path):
    """It has neither a config.json nor weights of its own: both are in the folder of the base."""
    folder = tmp_path / "model"
    shutil.copytree(original("bert"), folder)
    for name in (CONFIG, "model.safetensors"):
        (folder / name).unlink()
    (folder / "adapter_model.safetensors").write_bytes(b"")
    edit(folder, "adapter_config.json", {"peft_type": "LORA", "base_model_name_or_path": str(original("bert"))})
    assert_unusable(folder, "peft")


@pytest.mark.parametrize("name", ["onnx/model.onnx", "openvino/openvino_model.xml", "model-q4.gguf", "tf_model.h5"])
@pytest.mark.parametrize("load", [load_encoder, load_reranker], ids=["encoder", "reranker"])
def test_weights_of_other_programs_are_named(original, tmp_path, name, load):
    folder = tmp_path / "model"
    if load is load_encoder:
        shutil.copytree(original("bert"), folder)
    else:
        save_cross_encoder(folder)
    (folder / "model.safetensors").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    assert_unusable(folder, rf"model\.safetensors, there is only {name}: fetch the model's", load)


@pytest.mark.parametrize("model_type", DEFAULTS)
def test_fields_that_a_file_leaves_out_are_those_of_transformers(model_type):
    config = transformers.AutoConfig.for_model(model_type, use_sliding_window=True)
    assert {name: getattr(config, name) for name in DEFAULTS[model_type]} == DEFAULTS[model_type]
