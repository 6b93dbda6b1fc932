"""docs/guide/encoding.md: every row of its table of models, tried with a small random model of its family."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from softkv_service.encoding.registry import load_encoder
from softkv_service.encoding.texts import PURPOSES
from tests.bfloat16 import FLOAT32_BY_TILES
from tests.checkpoints import assert_unusable, library_vectors, save_sentence_encoder, save_static, save_transformer
from tests.examples import Page
from tests.thorough import thorough

PAGE = Page("docs/guide/encoding.md")
OWN_CODE = "its own code"
POOLINGS = {"mean": "mean", "cls": "cls", "last": "lasttoken"}
TEXTS = ["a red house", "", *("word " * n for n in (3, 17, 50, 80)), "猫 and dogs"]
PROMPTS = {"query": "search for: ", "document": ""}
# Heads of a width that the kernels compute.
SIZES = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128}
GROUPED = {"num_key_value_heads": 1, "head_dim": 32}
CONFIGS = {
    "bert": ("BertConfig", SIZES),
    "roberta": ("RobertaConfig", SIZES),
    "xlm-roberta": ("XLMRobertaConfig", SIZES),
    "distilbert": ("DistilBertConfig", {"dim": 64, "n_heads": 2, "hidden_dim": 128, "n_layers": 2}),
    "mpnet": ("MPNetConfig", SIZES),
    "nomic_bert": ("NomicBertConfig", SIZES),
    "new": ("GteConfig", SIZES | {"type_vocab_size": 1}),
    "modernbert": ("ModernBertConfig", SIZES | {"local_attention": 16, "pad_token_id": 0}),
    "qwen3": ("Qwen3Config", SIZES | GROUPED),
    "mistral": ("MistralConfig", SIZES | GROUPED),
    "gemma3_text": (
        "Gemma3TextConfig",
        SIZES | GROUPED | {"query_pre_attn_scalar": 32, "use_bidirectional_attention": True, "sliding_window": 16},
    ),
}


class Row(NamedTuple):
    """What a row says of a model, without its own sizes and prompts."""

    family: str
    pooling: str
    as_bin: bool
    kind: str
    error: float


def cells():
    """Return the cells of each row of the page's table of models."""
    lines = (line.replace("\\|", "") for line in PAGE.text.splitlines() if line.startswith("|"))
    table = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
    return [row for row in table if len(row) >= 8 and row[0] not in ("model", "---")]


def rows():
    """Return each different row of the page's table, with the names of its models."""
    models: dict[Row, list[str]] = {}
    for name, family, _, _, pooling, _, kind, error, *_ in cells():
        row = Row(family.strip("`"), pooling, "²" in name, kind, float(error or 0))
        models.setdefault(row, []).append(name)
    return models


ROWS = rows()
LOCAL = [row for row in ROWS if row.kind != "remote"]
FIRST = {row.family: row for row in reversed(LOCAL)}.values()
"""Of each family the most downloaded."""


def test_the_page_has_more_than_thirty_models_once_each():
    names = [row[0] for row in cells()]
    assert len(set(names)) == len(names) > 30


def test_a_model_that_runs_elsewhere_is_of_no_family_that_runs_here():
    assert {row.family for row in ROWS if row.kind == "remote"} == {OWN_CODE, "OpenAI's"}
    assert {row.family for row in LOCAL} == {*CONFIGS, "static"}


@pytest.fixture
def saved_as(tmp_path):
    """Saves a random model of a row's family and pooling."""

    def save(row):
        directory, bare = tmp_path / "model", tmp_path / "bare"
        pooling, *further = row.pooling.split(", ")
        normalise = "unit length" in further
        if row.family == "static":
            save_static(directory, normalise=normalise, prompts=PROMPTS)
            return directory
        config, options = CONFIGS[row.family]
        save_transformer(bare, config, **options)
        dense = {"dense with tanh": ((48,), "Tanh"), "2 dense": ((96, 48), "Identity")}
        widths, activation = next((dense[name] for name in further if name in dense), ((), "Identity"))
        pooling = POOLINGS[pooling]
        save_sentence_encoder(
            directory, bare, pooling=pooling, dense=widths, activation=activation, normalise=normalise, prompts=PROMPTS
        )
        if row.as_bin:
            weights = directory / "model.safetensors"
            torch.save(load_file(weights), directory / "pytorch_model.bin")
            weights.unlink()
        return directory

    return save


@pytest.mark.parametrize(
    "row", [row if row in FIRST else thorough(row) for row in LOCAL], ids=lambda row: f"{ROWS[row][0]}"
)
def test_a_model_runs_as_the_page_says_and_as_exactly(row, saved_as):
    directory = saved_as(row)
    encoder = load_encoder(str(directory))
    assert (encoder.kind, encoder.batched, encoder.notes) == (row.kind, True, []), ROWS[row]
    for purpose in PURPOSES:
        expected = library_vectors(directory, TEXTS, purpose)
        vectors = encoder.encode(TEXTS, purpose).vectors
        lengths = np.maximum(np.linalg.norm(expected, axis=1), 1e-12)
        errors = np.abs(vectors - expected).max(axis=1) / lengths
        # A matrix unit multiplies float32 as sums of bfloat16.
        limit = max(row.error, 1e-5) if FLOAT32_BY_TILES else row.error
        assert errors.max() <= limit, f"{ROWS[row]}: {errors.max():.1e}"


@pytest.mark.parametrize("own", ["architecture", "module"])
def test_a_model_with_its_own_code_is_refused_with_advice(own, tmp_path, random_model, change):
    directory = random_model("BertConfig")
    (directory / "theirs.py").write_text("raise SystemExit('this code was run')")
    if own == "architecture":
        change(directory / "config.json", model_type="theirs", auto_map={"AutoConfig": "theirs.Config"})
    else:
        modules = json.loads((directory / "modules.json").read_bytes())
        modules[0]["type"] = "theirs.Transformer"
        (directory / "modules.json").unlink()
        (directory / "modules.json").write_text(json.dumps(modules))
    assert_unusable(directory, r"brings Python code of its own.*which softkv never runs.*behind a URL")
