"""A folder without a dense sentence encoder is refused by its small files, before any weights are read."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from service.encoding.errors import ModelUnusable
from service.encoding.registry import load_encoder

WIDTH = 32


def splade(bare_model):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer

    bare = bare_model("BertConfig", auto="AutoModelForMaskedLM")
    return SparseEncoder(modules=[Transformer(bare, transformer_task="fill-mask"), SpladePooling("max")], device="cpu")


def inference_free(bare_model):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import Router, SparseStaticEmbedding, SpladePooling, Transformer

    transformer = Transformer(bare_model("BertConfig", auto="AutoModelForMaskedLM"), transformer_task="fill-mask")
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(tokenizer=transformer.tokenizer)],
        document_modules=[transformer, SpladePooling("max")],
    )
    return SparseEncoder(modules=[router], device="cpu")


def late_interaction(bare_model):
    from sentence_transformers import MultiVectorEncoder

    return MultiVectorEncoder(bare_model("BertConfig"), device="cpu")


def cross_encoder(bare_model):
    from sentence_transformers import CrossEncoder

    return CrossEncoder(bare_model("BertConfig", auto="AutoModelForSequenceClassification", num_labels=1), device="cpu")


KINDS = {
    splade: "holds a sparse encoder",
    inference_free: "holds a sparse encoder",
    late_interaction: "holds a late-interaction model",
    cross_encoder: "holds a cross-encoder",
}


@pytest.mark.parametrize("make", KINDS)
def test_other_kinds_of_models_are_refused_with_their_kind_and_advice(bare_model, saved, make):
    directory = saved(make(bare_model))
    for weights in directory.rglob("*.safetensors"):
        weights.unlink()  # so the reason cannot come from them
    with pytest.raises(ModelUnusable, match=f"{directory} {KINDS[make]}.*wants one dense vector a text") as refused:
        load_encoder(str(directory))
    assert "name a dense sentence-transformers model" in str(refused.value)


@pytest.mark.parametrize("make", [make for make in KINDS if make is not cross_encoder])
def test_the_modules_tell_where_the_model_type_does_not(bare_model, saved, change, make):
    directory = saved(make(bare_model))
    change(directory / "config_sentence_transformers.json", model_type="SentenceTransformer")
    with pytest.raises(ModelUnusable, match=f"{KINDS[make]}.*it has the module"):
        load_encoder(str(directory))


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("SparseEncoder", "holds a sparse encoder.*model_type is 'SparseEncoder'"),
        ("ColBERT", "holds a late-interaction model.*model_type is 'ColBERT'"),
        ("CrossEncoder", "holds a cross-encoder"),
        ("Reranker", "model_type is 'Reranker', wanted SentenceTransformer"),
        (None, "model_type is None, wanted SentenceTransformer"),
        (["SparseEncoder"], r"model_type is \['SparseEncoder'\], wanted"),
    ],
)
def test_the_model_type_counts_where_the_core_would_take_the_modules(random_model, change, model_type, reason):
    directory = random_model("BertConfig")
    assert load_encoder(str(directory)).runs_on == "attention/transformer"
    change(directory / "config_sentence_transformers.json", model_type=model_type)
    with pytest.raises(ModelUnusable, match=reason):
        load_encoder(str(directory))


def test_modules_of_pylate_are_known_by_their_name(random_model):
    directory = random_model("BertConfig")
    listed = json.loads((directory / "modules.json").read_bytes())
    listed[1]["type"] = "pylate.models.Dense.Dense"
    (directory / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ModelUnusable, match=r"late-interaction model.*it has the module Dense"):
        load_encoder(str(directory))


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("BertForSequenceClassification", "holds a cross-encoder.*BertForSequenceClassification"),
        ("HF_ColBERT", "holds a late-interaction model"),
        ("BertModel", r"no modules\.json"),
    ],
)
def test_a_folder_without_modules_says_it_by_its_architecture(tmp_path, architecture, reason):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    with pytest.raises(ModelUnusable, match=reason):
        load_encoder(str(tmp_path))


def test_nothing_heavy_is_imported_to_refuse(bare_model, saved):
    directory = saved(splade(bare_model))
    script = f"""
import sys
from service.encoding.errors import ModelUnusable
from service.encoding.registry import load_encoder
try:
    load_encoder({str(directory)!r})
except ModelUnusable as error:
    print(error, "sentence_transformers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "holds a sparse encoder" in done.stdout
    assert done.stdout.endswith("False\n")
    assert done.stderr == ""


def test_modules_that_end_in_no_vector_are_refused(bare_model, saved):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    directory = saved(SentenceTransformer(modules=[Transformer(bare_model("BertConfig"))], device="cpu"))
    with pytest.raises(ModelUnusable, match=r"fails on a query .* and end in a module that gives 32 numbers"):
        load_encoder(str(directory))
